"""The ranking model: what each feature adds, which rule a finding gets, and what text alone may claim."""

from __future__ import annotations

import numpy as np
import pytest

from memaudit.rank import CRITICAL, EXACT, NEAR, TEMPLATE, TERMS, Measures, rank, repeated, score, terms
from memaudit.rules import catalogue, risk_model
from memaudit.schemas import FEATURES, SEVERITIES


def measures(n: int = 1, **given: object) -> Measures:
    """n templates of 20 bits, half of each caption fixed, four captions, one domain of unknown share; and `given`.

    Where captions with pictures are not given, each has one row and at most one picture repeats."""
    values = {
        "kind": TEMPLATE, "n_rows": 4, "n_texts": 4, "bits": 20.0, "share": 0.5, "focus": np.nan, "furniture": 0.0,
        "shapes": 0.0, "style": -1, "n_pictured": 0, "n_images": 0, "n_placeholders": 0,
    }  # fmt: skip
    pictured, images, hidden = (np.asarray(given.get(name, 0)) for name in ("n_pictured", "n_images", "n_placeholders"))
    shown = pictured - hidden  # with one row a caption, and one picture that repeats
    again = shown - (images - (hidden > 0))
    values |= {"n_shown": shown, "n_repeating": np.where(again > 0, again + 1, 0)}
    columns = {name: np.broadcast_to(np.asarray(given.get(name, value)), n) for name, value in values.items()}
    return Measures(**columns, hashed=bool(given.get("hashed", False)))


def risk(**given: object) -> float:
    return float(score(measures(**given)).risk[0])


def test_the_reference_cluster_has_the_base_risk_and_no_contributions() -> None:
    found = rank(measures())
    assert found.risk[0] == pytest.approx(1 / (1 + np.exp(-risk_model()["model"]["base"])))
    assert {name: float(values[0]) for name, values in found.features.items()} == dict.fromkeys(FEATURES, 0.0)


def test_contributions_add_up_to_the_log_odds() -> None:
    rng = np.random.default_rng(0)
    m = measures(
        50, kind=rng.integers(0, 3, 50), n_rows=rng.integers(2, 900, 50), n_texts=rng.integers(1, 90, 50),
        bits=rng.uniform(1, 80, 50), share=rng.uniform(0.05, 1, 50), focus=rng.uniform(0, 1, 50),
        furniture=rng.uniform(0, 1, 50), n_pictured=rng.integers(0, 9, 50), n_images=0, hashed=True,
    )  # fmt: skip
    found = rank(m)
    odds = np.sum(list(found.features.values()), axis=0) + risk_model()["model"]["base"]
    assert found.risk == pytest.approx(1 / (1 + np.exp(-odds)), rel=1e-5)
    assert (found.risk == score(m).risk).all()


def test_more_evidence_is_more_risk() -> None:
    assert risk(bits=30.0) > risk() > risk(bits=10.0)
    assert risk(share=0.9) > risk() > risk(share=0.2)
    assert risk(n_texts=400, n_rows=400) > risk()
    assert risk(focus=1.0) > risk() > risk(focus=0.0)
    assert risk(furniture=1.0) < risk()
    assert risk(bits=40.0) == risk(bits=90.0)  # saturates
    assert risk(kind=EXACT, n_rows=500) > risk(kind=EXACT, n_rows=5)


def test_the_same_picture_raises_risk_most() -> None:
    many = {"n_rows": 40, "n_texts": 40, "n_pictured": 40}
    same, half, different = (risk(**many, n_images=n, hashed=True) for n in (1, 20, 40))
    assert same > half > risk(n_rows=40, n_texts=40) > different
    assert risk(**many, n_images=40) == risk(n_rows=40, n_texts=40)  # references prove no difference
    alone = rank(measures(**many, n_images=1, hashed=True)).features
    assert alone["images"][0] == max(float(values[0]) for values in alone.values())


def test_one_repeated_picture_weighs_less_than_many() -> None:
    pair = rank(measures(kind=EXACT, n_rows=2, n_texts=1, share=1.0, n_pictured=2, n_images=1)).features["images"][0]
    many = rank(measures(kind=EXACT, n_rows=40, n_texts=1, share=1.0, n_pictured=40, n_images=1)).features["images"][0]
    assert 0 < pair < many / 3


def test_text_alone_is_never_critical() -> None:
    strongest = {"bits": 90.0, "share": 1.0, "n_rows": 10**6, "n_texts": 10**6, "focus": 1.0, "shapes": 1.0}
    assert risk(**strongest) >= risk_model()["severity"]["critical"]
    assert SEVERITIES[score(measures(**strongest)).severity[0]] == "high"
    assert score(measures(**strongest, n_pictured=10**6, n_images=10**6)).severity[0] < CRITICAL
    assert score(measures(**strongest, n_pictured=10**6, n_images=9)).severity[0] == CRITICAL


def test_rows_of_one_caption_do_not_speak_for_a_template() -> None:
    """60 of 74 rows show one picture, but under one caption of 15; an image template's captions each repeat theirs."""
    rows = {"n_rows": 74, "n_texts": 15, "n_pictured": 74, "n_images": 15, "n_shown": 15, "hashed": True, "bits": 40.0}
    one, most, all_of_them = (measures(**rows, share=0.9, n_repeating=n) for n in (1, 8, 15))
    assert repeated(one)[0][0] == 0
    assert rank(one).features["images"][0] == risk_model()["pictures"]["distinct"]
    assert repeated(most)[0][0] == 0.5
    assert repeated(all_of_them)[0][0] == 1
    assert score(one).severity[0] < CRITICAL == score(all_of_them).severity[0]
    for kind in (EXACT, NEAR):  # there the rows are asked
        assert repeated(measures(**rows | {"kind": kind}, n_repeating=0))[0][0] == pytest.approx(59 / 73)


def test_a_template_with_one_pictured_caption_is_of_unknown_pictures() -> None:
    m = measures(n_rows=60, n_texts=9, n_pictured=52, n_images=1, n_shown=1, n_repeating=1, hashed=True)
    assert np.isnan(repeated(m)[0][0])
    assert rank(m).features["images"][0] == 0


def test_placeholders_are_no_evidence_and_have_their_rule() -> None:
    shown = {"n_rows": 40, "n_texts": 40, "n_pictured": 40, "n_images": 1, "n_placeholders": 40}
    assert risk(**shown) < risk(n_rows=40, n_texts=40)
    assert rank(measures(**shown)).rule[0] == "PI01"
    few = shown | {"n_placeholders": 3, "n_images": 38}  # three placeholders, 37 pictures
    assert risk(**few) == risk(n_rows=40, n_texts=40)
    assert rank(measures(**few)).rule[0] == "TE01"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"kind": EXACT}, "EX01"),
        ({"kind": NEAR}, "NE01"),
        ({}, "TE01"),
        ({"share": 0.2}, "TE02"),
        ({"bits": 8.0}, "TE02"),
        ({"style": 0}, "TE03"),
        ({"style": 1}, "TE04"),
        ({"style": 2, "share": 0.2}, "TE05"),
    ],
)
def test_rules(given: dict[str, object], code: str) -> None:
    assert rank(measures(**given)).rule[0] == code
    assert code in catalogue()


def test_the_model_has_at_most_ten_fitted_weights() -> None:
    model = risk_model()
    assert list(model["weights"]) == list(TERMS)
    assert len(TERMS) <= 10
    assert terms(measures(3)).shape == (3, len(TERMS))
