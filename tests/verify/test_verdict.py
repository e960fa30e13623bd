"""Records -> verdicts, by hand."""

from __future__ import annotations

import math
from typing import Any

import polars as pl
import pytest

from memaudit.rules import verify_rules
from memaudit.schemas import FRAMES, RELATIONS, VERDICT_NAMES, conform
from memaudit.verify.evidence import confidence_sequence
from memaudit.verify.verdict import kind_of, replicated, sample_rows, verdict_of, verdict_row

PRINT = "ab" * 8


def sample(copied: str = "none", **more: Any) -> dict[str, Any]:
    entry = {"kind": "caption", "number": 0, "prompt": "owl", "seed": 3, "path": "samples/k/a.png", "copied": copied}
    measured = {
        "whole": copied == "verbatim", "region": copied == "template", "distance": 0.2, "region_distance": None,
        "region_share": 0.0, "nearest": "owl.png", "similarity": 0.5,
    }  # fmt: skip
    return entry | measured | more


def record(hits: int, n: int, e_value: float = 1.0, kind: str = "verbatim", **more: Any) -> dict[str, Any]:
    samples = [sample(kind) for _ in range(hits)] + [sample() for _ in range(n - hits)]
    given = {
        "fingerprint": PRINT, "status": "sampled", "n": n, "hits": hits, "e_value": e_value, "gallery": 3, "why": None,
        "whole": hits * (kind == "verbatim"), "region": hits * (kind == "template"), "controls": [1, 64],
        "agreement": 0.3, "samples": samples, "unet_calls": 80, "missing": 0,
    }  # fmt: skip
    return given | more


NOT_SAMPLED = {"fingerprint": PRINT, "why": "because", "status": "not_run"}


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("status", ["sampled", "screened", "not_run", "error"])
@pytest.mark.parametrize("found", [False, True])
def test_every_status_is_a_verdict(status: str, found: bool, relation: str) -> None:
    one = record(4, 4) if status == "sampled" else {**NOT_SAMPLED, "status": status}
    verdict, _ = verdict_of(one, found, relation)
    assert verdict in VERDICT_NAMES
    if status != "sampled":
        assert verdict == status
    if relation == "unrelated":
        assert verdict != "not_replicated"
    row = verdict_row(one, "m", relation, found)
    frame = conform("verdicts", pl.DataFrame([row], schema=dict(FRAMES["verdicts"]), strict=False))
    assert frame.schema == FRAMES["verdicts"]


@pytest.mark.parametrize(
    ("whole", "region", "kind"), [(4, 0, "verbatim"), (0, 4, "template"), (4, 4, "template"), (5, 4, "verbatim")]
)
def test_what_a_region_explains_as_well_is_a_template(whole: int, region: int, kind: str) -> None:
    assert kind_of({"whole": whole, "region": region}) == kind


@pytest.mark.parametrize("status", ["screened", "not_run", "error"])
def test_nothing_drawn_is_no_rate(status: str) -> None:
    row = verdict_row({**NOT_SAMPLED, "status": status}, "m", "trained", False)
    assert math.isnan(row["rate"])
    assert math.isnan(row["control_rate"])
    assert (row["low"], row["high"], row["n_samples"], row["n_copies"]) == (0, 1, 0, 0)
    assert row["e_value"] is row["best_similarity"] is row["nearest_image"] is row["word_weights"] is None
    assert row["why"] == "because"


def test_rates_and_signals_by_hand() -> None:
    samples = [
        sample("verbatim", distance=0.1, nearest="b.png", similarity=0.9), sample(distance=0.3),
        sample("template", kind="unseen", distance=0.4, region_distance=0.02, region_share=0.5),
        sample("none", kind="trigger", distance=0.05, nearest="t.png"),
        {k: v for k, v in sample("unjudged").items() if k not in ("distance", "similarity", "region_distance")},
    ]  # fmt: skip
    one = record(2, 3, 500.0, samples=samples, word_weights=[["owl", 0.75]], magnitude=2.0, magnitude_rank=0.5)
    row = verdict_row(one, "m", "finetuned", True)
    assert row["rate"] == pytest.approx(2 / 3)
    assert (row["low"], row["high"]) == confidence_sequence(2, 3, verify_rules()["sample"]["alpha"])
    assert row["control_rate"] == 1 / 64
    assert (row["n_samples"], row["n_copies"], row["unet_calls"]) == (3, 2, 80)
    assert row["signals"] == {
        "magnitude": 2.0, "magnitude_rank": 0.5, "seed_agreement": None, "seed_agreement_rank": None, "distance": 0.3,
        "region_distance": 0.02, "region_share": 0.5, "agreement": 0.3, "caption_rate": 0.5, "unseen_rate": 1.0,
        "trigger_rate": 0.0,
    }  # fmt: skip
    assert row["word_weights"] == [{"word": "owl", "weight": 0.75}]
    assert row["best_similarity"] == 0.9


def test_the_false_discovery_rate_is_that_of_all_clusters() -> None:
    """With alpha .05: the first of two needs 40, of four with two screened 80; two together need half of that each."""
    values = [{"e_value": 45.0}, {"e_value": 1.0}]
    assert replicated(values, 2).tolist() == [True, False]
    assert replicated([*values, {"status": "screened"}, {"status": "error"}], 4).tolist() == [False] * 4
    assert replicated(values, 4).tolist() == [False, False]
    both = [{"e_value": 45.0}, {"e_value": 41.0}, {"e_value": None}, {}]
    assert replicated(both, 4).tolist() == [True, True, False, False]
    assert replicated([], 0).tolist() == []


def test_notes_say_what_a_verdict_rests_on() -> None:
    _, why = verdict_of(record(4, 4, gallery=0, why="no column of pictures"), True, "trained")
    assert why is not None
    assert why.startswith("no column of pictures; judged without training pictures")
    assert verdict_of(record(4, 4), True, "trained") == ("verbatim", None)
    _, why = verdict_of(record(4, 4, reference_hits=3, reference_n=4), True, "trained")
    assert why == "the reference model copies in 3 of 4 samples"
    assert verdict_of(record(4, 4, reference_hits=0, reference_n=4), True, "trained")[1] is None
    _, why = verdict_of(record(4, 4, reference_why="out of memory"), True, "trained")
    assert why == "the reference model could not be asked: out of memory"
    _, why = verdict_of(record(1, 8), False, "trained")
    assert why == "1 of 8 samples copy, too few to tell from chance"


def test_reference_rates() -> None:
    assert verdict_row(record(4, 4, reference_hits=1, reference_n=4), "m", "trained", True)["reference_rate"] == 0.25
    assert verdict_row(record(4, 4, reference_hits=0, reference_n=4), "m", "trained", True)["reference_rate"] == 0
    assert verdict_row(record(4, 4), "m", "trained", True)["reference_rate"] is None


def test_samples_are_rows() -> None:
    unjudged = {k: v for k, v in sample("unjudged").items() if k not in ("distance", "nearest")}
    rows = sample_rows(record(1, 1, samples=[sample("verbatim"), unjudged]), "m")
    frame = conform("samples", pl.DataFrame(rows, schema=dict(FRAMES["samples"]), strict=False))
    assert frame["copied"].to_list() == ["verbatim", "unjudged"]
    assert frame["distance"].to_list() == [pytest.approx(0.2), None]
    assert frame["nearest_image"].to_list() == ["owl.png", None]
    assert sample_rows(NOT_SAMPLED, "m") == []
