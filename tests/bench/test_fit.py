"""The fit of the ranking: figures against hand-made cases, folds that keep families whole, and a file that stays
readable."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
import polars as pl
import pytest

from memaudit.rank import TERMS
from memaudit.rules import risk_model
from tests.bench import fit as fitting
from tests.bench.fit import RISK_TOML, areas, base_of, by_family, compared, fit, judged, threshold, write
from tests.bench.labelled import FAMILY, Labelled, families, read

if TYPE_CHECKING:
    from pathlib import Path


def made(rng: np.random.Generator, told: int) -> Labelled:
    """400 ordinary rows and 40 memorised ones in ten families, each in a cluster of its own; only term `told` says
    which are which."""
    n = 440
    label = np.array(["TM"] * 40 + ["background"] * 400)
    terms = rng.normal(0, 0.3, (n, len(TERMS)))
    terms[:40, told] += 2.0
    family = np.full(n, -1)
    family[:40] = np.repeat(np.arange(10), 4)
    fold = np.where(family >= 0, family % fitting.FOLDS, np.arange(n) % fitting.FOLDS)
    every = np.arange(n)
    return Labelled(terms, every, every, every, n, every, label, family, fold)


def test_the_fit_finds_the_term_that_tells() -> None:
    own = made(np.random.default_rng(1), TERMS.index("shapes"))
    weights = fit([own])
    before, after = (judged(own, [w])[0] for w in (fitting.START, weights))
    assert weights[TERMS.index("shapes")] > fitting.START[TERMS.index("shapes")] + 0.3
    assert after.family_auc > before.family_auc
    assert (weights[: fitting.POSITIVE_TERMS] >= 0).all()
    assert (fit([own]) == weights).all()  # nothing is random


def test_scores_are_those_of_the_best_cluster() -> None:
    terms = np.zeros((3, len(TERMS)))
    terms[:, 0] = [1.0, 3.0, 2.0]
    # text 0 is in clusters 0 and 1, text 2 in cluster 2, text 1 in none; rows: texts 2, 1, 0
    own = Labelled(
        terms, np.array([0, 2]), np.array([0, 2]), np.array([0, 1, 2]), 3, np.array([2, 1, 0]),
        np.array(["TM"] * 3), np.zeros(3, int), np.zeros(3, int),
    )  # fmt: skip
    assert own.scores(np.eye(len(TERMS))[0]).tolist() == [2.0, -20.0, 3.0]


def test_figures_by_hand() -> None:
    negative = np.arange(100.0)
    assert threshold(negative) == 98.0  # one of a hundred lies above
    assert areas(np.array([49.5, 10.0, 200.0]), negative).tolist() == [0.5, 0.105, 1.0]
    assert by_family(np.array([1.0, 0.0, 1.0, 0.0]), np.array([5, 5, 6, 7])).tolist() == [0.5]  # two are alone


def test_a_left_out_fold_is_not_seen() -> None:
    own = made(np.random.default_rng(2), 0)
    before = fit([own], left_out=3)
    own.terms[own.fold == 3] = np.random.default_rng(3).normal(0, 9, own.terms[own.fold == 3].shape)
    assert (fit([own], left_out=3) == before).all()
    assert (fit([own]) != before).any()


def test_families_are_components() -> None:
    rng = np.random.default_rng(4)
    captions = [" ".join(rng.choice(list("abcdefghij"), 4)) for _ in range(60)]
    graph = nx.Graph()
    graph.add_nodes_from(range(60))
    words = [set(c.split()) for c in captions]
    graph.add_edges_from(
        (i, k) for i in range(60) for k in range(i) if len(words[i] & words[k]) / len(words[i] | words[k]) > FAMILY
    )
    found = families(captions)
    assert {frozenset(np.flatnonzero(found == f).tolist()) for f in set(found)} == {
        frozenset(c) for c in nx.connected_components(graph)
    }


def test_another_ranking_is_compared_family_by_family(tmp_path: Path) -> None:
    own = made(np.random.default_rng(5), 0)
    _, hit, area = judged(own, [fitting.START])
    pl.DataFrame({"row": np.arange(440), "risk": own.scores(fitting.START) + 30}).write_csv(tmp_path / "same.csv")
    assert compared(own, hit, area, tmp_path / "same.csv") == "AUC +0.000 [+0.000, +0.000], TPR +0.000 [+0.000, +0.000]"


def test_weights_are_written_and_everything_else_stays(tmp_path: Path) -> None:
    path = tmp_path / "risk.toml"
    path.write_text(RISK_TOML.read_text(encoding="utf-8"), encoding="utf-8")
    same = risk_model()
    rates = {name: tuple(same["validation"][name].values()) for name in ("low", "medium", "high")}
    write(path, np.array([same["weights"][name] for name in TERMS]), same["model"]["base"], rates)
    assert path.read_text(encoding="utf-8") == RISK_TOML.read_text(encoding="utf-8")
    write(path, np.arange(8) / 4, -9.0, rates | {"high": (0.5, 0.25)})
    new = tomllib.loads(path.read_text(encoding="utf-8"))
    assert list(new["weights"].values()) == (np.arange(8) / 4).tolist()
    assert new["model"]["base"] == -9.0
    assert new["validation"]["high"] == {"recall": 0.5, "false": 0.25}
    assert new["severity"] == same["severity"]
    assert new["boilerplate"] == same["boilerplate"]
    assert new["pictures"] == same["pictures"]


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    rng = np.random.default_rng(6)
    words = [f"{a}{b}" for a in "bcdfghklmn" for b in ("ar", "eto", "imu", "ona", "usel")]
    captions = [" ".join(rng.choice(words, 6, replace=False)) for _ in range(300)]
    captions += [f"velvet harbour lamp {w} shade" for w in words[:20]]
    label = ["background"] * 200 + ["coco"] * 100 + ["TM"] * 20
    url = [f"https://site{i % 40}.example/{i}.jpg" if i < 200 else None for i in range(300)]
    url += [f"https://lamps.example/{i}.jpg" for i in range(20)]
    pl.DataFrame({"caption": captions, "url": url, "label": label}).write_parquet(tmp_path / "labelled.parquet")
    return tmp_path / "labelled.parquet"


def test_a_labelled_file_is_scanned_and_fitted(labelled: Path) -> None:
    own = read(labelled, fitting.FOLDS)
    assert len(own.text) == 320
    assert len(set(own.family[own.label == "TM"])) == len(set(own.fold[own.label == "TM"])) == 1
    weights = fit([own])
    figures = judged(own, [weights])[0]
    assert figures.tpr == 1.0
    assert figures.coco <= 0.02
    score = own.scores(weights) + base_of(own, weights)
    high = np.log(risk_model()["severity"]["high"] / (1 - risk_model()["severity"]["high"]))
    assert np.mean(score[own.label == "background"] > high) <= fitting.FPR
