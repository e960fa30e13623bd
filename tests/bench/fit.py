"""Fit the weights of rules/risk.toml to labelled captions and check them on families that the fit did not see.

    python -m tests.bench.fit LABELLED.parquet... [--against NAME=ROWS.csv ...] [--write]

Several files are several densities of one set; the first two are fitted, all are reported. Objective: recall at 1 % of
the background, smoothed, and AUC, both by family and pooled, less a penalty where the hand-written captions are flagged
and for moving away from the weights at the start. Coordinate search from fixed weights: nothing is random. Folds keep
families and hosts whole. --against: row scores of other rankings of the first file (row, risk), compared by a paired
bootstrap over families. --write: put weights and validation into rules/risk.toml.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from memaudit.rank import TERMS
from memaudit.rules import risk_model
from tests.bench.labelled import POSITIVE, Labelled, read

FPR = 0.01
FOLDS = 7
START = np.array([1.0, 1.0, 0.5, 0.9, -1.2, 0.0, -0.7, -0.7])  # in the order of TERMS: hand-set, before any fit
PULL = 0.06  # penalty for a squared step away from START
SMOOTH = 0.12  # log-odds
COCO, COCO_PENALTY = 0.003, 30.0
ROUNDS, STEP, SHRINK = 14, 0.4, 0.6
POSITIVE_TERMS = 4  # bits, share, support and domains may not turn negative
BANDS = ("low", "medium", "high")
RISK_TOML = Path(__file__).parents[2] / "rules" / "risk.toml"


class Figures(NamedTuple):
    """auc, tpr: pooled; by family, over families of at least two: means of both; coco: share flagged."""

    auc: float
    tpr: float
    family_auc: float
    family_tpr: float
    coco: float

    def __str__(self) -> str:
        return f"{self.auc:.3f} / {self.tpr:.3f} | {self.family_auc:.3f} / {self.family_tpr:.3f} | {self.coco:.2%}"


def threshold(negative: np.ndarray) -> float:
    """Lowest score with at most `FPR` of the negatives above it."""
    return float(np.sort(negative)[::-1][int(FPR * len(negative))])


def areas(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """For each positive the share of negatives below it, ties one half: their mean is the AUC."""
    ordered = np.sort(negative)
    return (np.searchsorted(ordered, positive, "left") + np.searchsorted(ordered, positive, "right")) / 2 / len(ordered)


def by_family(values: np.ndarray, family: np.ndarray) -> np.ndarray:
    """Means over the families that have at least two members."""
    return np.array([values[family == f].mean() for f in np.unique(family) if np.sum(family == f) > 1])


def _objective(sets: list[Labelled], weights: np.ndarray, left_out: int | None) -> float:
    total = 0.0
    for own in sets:
        score, kept = own.scores(weights), own.fold != left_out
        negative = score[(own.label == "background") & kept]
        least = threshold(negative)
        chosen = (own.label == POSITIVE) & kept
        above = _soft(score[chosen] - least)
        area, family = areas(score[chosen], negative), own.family[chosen]
        total += by_family(above, family).mean() + 0.5 * above.mean()
        total += 2 * by_family(area, family).mean() + area.mean()
        if (coco := own.label == "coco").any():
            total -= COCO_PENALTY * max(0.0, float(_soft(score[coco] - least).mean()) - COCO)
    return total / len(sets) - PULL * float(np.sum((weights - START) ** 2))


def _soft(margin: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(margin / SMOOTH, -30, 30)))


def fit(sets: list[Labelled], left_out: int | None = None) -> np.ndarray:
    """Weights in the order of TERMS; left_out: the fold that is not seen."""
    weights, step = START.copy(), np.full(len(START), STEP)
    best = _objective(sets, weights, left_out)
    for _ in range(ROUNDS):
        for i in range(len(weights)):
            for sign in (1, -1):
                moved = weights.copy()
                moved[i] += sign * step[i]
                value = -np.inf if i < POSITIVE_TERMS and moved[i] < 0 else _objective(sets, moved, left_out)
                if value > best + 1e-5:
                    best, weights = value, moved
                    break
            else:
                step[i] *= SHRINK
    return weights.round(2)


def judged(own: Labelled, weights: list[np.ndarray]) -> tuple[Figures, np.ndarray, np.ndarray]:
    """(figures, recall, AUC by positive row): fold k is scored with weights[k], or all with the only ones."""
    chosen = np.flatnonzero(own.label == POSITIVE)
    hit, area, coco = np.zeros(len(chosen)), np.zeros(len(chosen)), []
    for k, w in enumerate(weights):
        score = own.scores(w)
        negative = score[own.label == "background"]
        mine = own.fold[chosen] == k if len(weights) > 1 else np.ones(len(chosen), bool)
        hit[mine] = score[chosen[mine]] > threshold(negative)
        area[mine] = areas(score[chosen[mine]], negative)
        coco.append(np.mean(score[own.label == "coco"] > threshold(negative)) if (own.label == "coco").any() else 0.0)
    family = own.family[chosen]
    figures = Figures(
        area.mean(), hit.mean(), by_family(area, family).mean(), by_family(hit, family).mean(), float(np.mean(coco))
    )
    return figures, hit, area


def compared(own: Labelled, hit: np.ndarray, area: np.ndarray, rows: Path) -> str:
    """Difference to another ranking by family, with a 95 % interval of a paired bootstrap over families."""
    risk = np.zeros(len(own.label))
    other = pl.read_csv(rows, columns=["row", "risk"]).group_by("row").agg(pl.col("risk").max())
    risk[other["row"].to_numpy()] = other["risk"].to_numpy()
    chosen, negative = own.label == POSITIVE, risk[own.label == "background"]
    family, rng, told = own.family[chosen], np.random.default_rng(0), []
    for name, mine, theirs in (
        ("AUC", area, areas(risk[chosen], negative)),
        ("TPR", hit, risk[chosen] > threshold(negative)),
    ):
        gap = by_family(mine, family) - by_family(theirs.astype(np.float64), family)
        picks = rng.integers(0, len(gap), (10_000, len(gap)))
        low, high = np.quantile(gap[picks].mean(axis=1), [0.025, 0.975])
        told.append(f"{name} {gap.mean():+.3f} [{low:+.3f}, {high:+.3f}]")
    return ", ".join(told)


def bands(own: Labelled, folds: list[np.ndarray]) -> dict[str, tuple[float, float]]:
    """Held-out (recall, false positive rate) of the bands of risk.toml and those above them."""
    cuts = [risk_model()["severity"][name] for name in BANDS]
    risk = np.zeros(len(own.label))
    for k, w in enumerate(folds):
        score = own.scores(w)
        risk[own.fold == k] = 1 / (1 + np.exp(-(score + base_of(own, w))[own.fold == k]))
    return {
        name: (
            float(np.mean(risk[own.label == POSITIVE] >= cut)),
            float(np.mean(risk[own.label == "background"] >= cut)),
        )
        for name, cut in zip(BANDS, cuts, strict=True)
    }


def base_of(own: Labelled, weights: np.ndarray) -> float:
    """The base with which `FPR` of the background lie above "high"."""
    high = risk_model()["severity"]["high"]
    return float(np.log(high / (1 - high)) - threshold(own.scores(weights)[own.label == "background"]))


def write(path: Path, weights: np.ndarray, base: float, validated: dict[str, tuple[float, float]]) -> None:
    """Put the figures into risk.toml; comments stay."""
    text = path.read_text(encoding="utf-8")
    new = {name: f"{value:.2f}" for name, value in zip(TERMS, weights.tolist(), strict=True)} | {"base": f"{base:.2f}"}
    for name, value in new.items():  # the first line of that name: [weights] and [model] come first
        text = re.sub(rf"^{name} = -?[\d.]+", f"{name} = {value}", text, count=1, flags=re.MULTILINE)
    for name, (recall, false) in validated.items():
        figures = f"{name} = {{ recall = {recall:.3f}, false = {false:.4f} }}"
        text = re.sub(rf"^{name} = \{{.*$", figures, text, flags=re.MULTILINE)
    path.write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--against", nargs="*", default=[], metavar="NAME=ROWS.csv")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    sets = [read(path, FOLDS) for path in args.data]
    weights = fit(sets[:2])
    folds = [fit(sets[:2], left_out) for left_out in range(FOLDS)]
    print("weights (over folds: least, most)")
    for name, value, *rest in zip(TERMS, weights, np.min(folds, axis=0), np.max(folds, axis=0), strict=True):
        print(f"  {name:12s}{value:6.2f}  ({rest[0]:.2f}, {rest[1]:.2f})")
    print("pooled AUC / TPR | by family | coco flagged")
    for path, own in zip(args.data, sets, strict=True):
        print(f"{path.stem:>10s}  fitted   {judged(own, [weights])[0]}")
        print(f"{'':>10s}  held out {judged(own, folds)[0]}")
    _, hit, area = judged(sets[0], folds)
    for name, rows in (pair.split("=", 1) for pair in args.against):
        print(f"held out less {name}, by family: {compared(sets[0], hit, area, Path(rows))}")
    validated = bands(sets[0], folds)
    for name, (recall, false) in validated.items():
        print(f"held out, {name} or above: recall {recall:.3f}, false positives {false:.4f}")
    if args.write:
        write(RISK_TOML, weights, base_of(sets[0], weights), validated)


if __name__ == "__main__":
    main()
