"""How well captions are grouped by template and how well the templates read, beside Drain3, on sets with truth.

    python -m tests.bench.template_quality --peers .bench-venv/bin/python [--templates 2000] [--page docs/templates.md]

Every caption is put in at most one group: with memaudit the riskiest finding that holds it, or the broadest above that
which is about as risky; with Drain3 its cluster. Scored are

- pairs: of all pairs of captions that are put together the share that truly belong together (precision; a pair with a
  noise caption never does), of all true pairs the share that is put together (recall), and their harmonic mean F1. This
  is the pairwise F1 of clusterings; large templates dominate it;
- by template: for every true template the F1 of the group that fits it best, averaged: small templates count alike;
- text: the share of true templates whose best-fitting group reads like them, word for word and slot for slot. Both
  sides are `normalised` first: ends, separators and types of slots are not compared, because Drain3 knows none.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from memaudit.detect.families import AS_RISKY
from memaudit.schemas import SEVERITIES
from tests.bench.cases import TINY, captions_file, run_in_turn, scan, script
from tests.bench.hard_templates import HardSet, hard_set
from tests.bench.machine import machine, today, versions
from tests.bench.measure import measure
from tests.bench.table import put_between, rate, seconds, table, times

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.bench.cases import Case, Result

ROOT = Path(__file__).parents[2]
ALONE, UNSCORED = -1, -2
MARK = "template quality"
SIMILARITIES = (0.4, 0.6)  # Drain3's default, and one that suits captions better than logs
SHAPE = re.compile(r"<(?:num|size|roman|code)>|<\*>")
SEPARATORS = frozenset('-|:/,;()[]"•&+^$')


@dataclass(frozen=True)
class Labelled:
    """captions; group: int64, the true template by caption, ALONE for noise, UNSCORED for what is neither; texts: by
    template."""

    captions: pl.Series
    group: np.ndarray
    texts: list[str]


@dataclass(frozen=True)
class Grouping:
    """group: int64 by caption, ALONE for none; texts: by group."""

    group: np.ndarray
    texts: Mapping[int, str]


@dataclass(frozen=True)
class Quality:
    """All in [0, 1]; see the module. groups: with two captions or more."""

    groups: int
    precision: float
    recall: float
    f1: float
    f1_by_template: float
    exact: float


def normalised(template: str) -> str:
    """Without ends and separators, every slot a "<*>", slots beside each other one."""
    words = ["<*>" if SHAPE.fullmatch(w) else w for w in template.split() if w not in SEPARATORS]
    return " ".join(w for i, w in enumerate(words) if w != "<*>" or i == 0 or words[i - 1] != "<*>")


def quality(truth: Labelled, found: Grouping) -> Quality:
    """Score a grouping."""
    frame = pl.DataFrame({"true": truth.group, "own": found.group}).filter(pl.col("true") != UNSCORED)
    cells = frame.group_by("true", "own").len("n").with_columns(pl.col("n").cast(pl.Int64))
    own = cells.filter(pl.col("own") != ALONE).group_by("own").agg(found=pl.col("n").sum())
    true = cells.filter(pl.col("true") != ALONE).group_by("true").agg(planted=pl.col("n").sum())
    both = cells.filter(pl.col("own") != ALONE, pl.col("true") != ALONE)
    hits, proposed, wanted = _pairs(both["n"]), _pairs(own["found"]), _pairs(true["planted"])
    best = both.join(own, on="own").join(true, on="true")
    best = best.with_columns(f1=2 * pl.col("n") / (pl.col("found") + pl.col("planted")))
    best = best.sort("f1", "own", descending=[True, False]).unique("true", keep="first", maintain_order=True)
    reads = [
        normalised(found.texts.get(g, "")) == normalised(truth.texts[t])
        for t, g in best.select("true", "own").iter_rows()
    ]
    precision, recall = hits / max(proposed, 1), hits / max(wanted, 1)
    f1 = 2 * precision * recall / max(precision + recall, 1e-9)
    n = max(len(true), 1)
    return Quality(
        int((own["found"] > 1).sum()), precision, recall, f1, float(best["f1"].sum()) / n, sum(reads) / n
    )  # fmt: skip


def _pairs(sizes: pl.Series) -> int:
    return int((sizes * (sizes - 1) // 2).sum())


def audit_groups(audit: Path, n: int, severities: Sequence[str] = SEVERITIES) -> Grouping:
    """Each row's template, of an audit of one file of n rows: the riskiest finding that holds it, or the broadest above
    that (`parent`) that is about as risky."""
    findings = pl.read_parquet(audit / "findings.parquet", columns=["cluster_id", "kind", "risk", "severity"])
    findings = findings.filter(
        pl.col("kind").cast(pl.String) != "exact", pl.col("severity").cast(pl.String).is_in(severities)
    )
    read = pl.read_parquet(audit / "templates.parquet", columns=["cluster_id", "template", "parent"])
    unit = _lifted(
        dict(findings.select("cluster_id", "risk").iter_rows()), dict(read.select("cluster_id", "parent").iter_rows())
    )
    clusters = pl.read_parquet(audit / "clusters.parquet", columns=["cluster_id", "text_id"])
    own = clusters.join(findings.select("cluster_id", "risk"), on="cluster_id")
    own = own.sort("risk", "cluster_id", descending=[True, False])
    own = own.unique("text_id", keep="first", maintain_order=True)
    rows = pl.read_parquet(audit / "members.parquet", columns=["row", "text_id"]).join(own, on="text_id")
    group = np.full(n, ALONE, np.int64)
    group[rows["row"].to_numpy().astype(np.int64)] = [unit[c] for c in rows["cluster_id"].to_list()]
    return Grouping(group, dict(read.select("cluster_id", "template").iter_rows()))


def _lifted(risk: Mapping[int, float], parent: Mapping[int, int | None]) -> dict[int, int]:
    """For every finding the broadest one above it that is about as risky."""
    out = {}
    for c, r in risk.items():
        unit, above = c, parent.get(c)
        while above is not None and above in risk:
            if risk[above] >= AS_RISKY * r:
                unit = above
            above = parent.get(above)
        out[c] = unit
    return out


def drain_groups(path: Path, n: int) -> Grouping:
    """What the peer wrote for the first rows; the rest are alone."""
    frame = pl.read_parquet(path)
    group = np.full(n, ALONE, np.int64)
    group[: len(frame)] = frame["group"].to_numpy()
    return Grouping(group, dict(frame.unique("group").iter_rows()))


def hard(n_templates: int) -> Labelled:
    made: HardSet = hard_set(n_templates)
    return Labelled(pl.Series(made.captions), made.template, made.texts)


def sample() -> Labelled:
    """sample_data: captions of templates, and as noise those that repeat nothing. Near and exact repeats, and
    boilerplate, are there but not scored: they repeat something and belong to no template."""
    folder = ROOT / "sample_data"
    files = sorted((folder / "captions").iterdir())
    read = [pl.read_csv(f) if f.suffix == ".csv" else pl.read_parquet(f) for f in files]
    captions = pl.concat([r.select("caption").with_row_index("row").with_columns(file=pl.lit(f.name))
                          for f, r in zip(files, read, strict=True)])  # fmt: skip
    truth = pl.read_parquet(folder / "truth" / "truth.parquet").select("file", "row", "kind", "group", "template")
    truth = truth.with_columns(pl.col("row").cast(pl.UInt32)).sort(pl.col("kind") != "template")
    truth = truth.unique(["file", "row"], keep="first", maintain_order=True)
    frame = captions.join(truth, on=["file", "row"], how="left", maintain_order="left")
    planted = frame.filter(pl.col("kind") == "template").unique("group", maintain_order=True)
    number = {group: k for k, group in enumerate(planted["group"])}
    group = [
        number[g] if kind == "template" else ALONE if kind == "unique" else UNSCORED
        for kind, g in frame.select("kind", "group").iter_rows()
    ]
    return Labelled(frame["caption"], np.array(group, np.int64), planted["template"].to_list())


def compare(name: str, truth: Labelled, arguments: argparse.Namespace, peer: bool) -> list[list[str]]:
    """Scan and mine in turn, score, and make the rows of the table."""
    folder, n = arguments.folder, len(truth.captions)
    file = folder / f"{name}.parquet"
    truth.captions.alias("caption").to_frame().write_parquet(file)
    cases: list[Case] = [scan(name, "memaudit", file, n, folder)]
    outs = {s: folder / f"drain-{s}.parquet" for s in SIMILARITIES} if peer else {}
    for similarity, out in outs.items():
        options = ("--similarity", str(similarity), "--seconds", str(arguments.seconds), "--out", str(out))
        title = f"Drain3, similarity {similarity}"
        cases.append(script(title, title, arguments.peers, "drain3_templates", file, n, folder, *options))
    results = run_in_turn(cases, 1)
    ours, audit = results[name], cases[0].audit
    assert audit is not None
    above = audit_groups(audit, n, SEVERITIES[1:])
    shown = [
        row_of(name, "memaudit", ours, quality(truth, audit_groups(audit, n)), None),
        row_of(name, "memaudit, low and above", ours, quality(truth, above), None),
    ]
    for similarity, out in outs.items():
        theirs = results[f"Drain3, similarity {similarity}"]
        done = theirs.captions
        part = Labelled(truth.captions[:done], truth.group[:done], truth.texts)
        shown.append(row_of(name, theirs.case.title, theirs, quality(part, drain_groups(out, done)), ours))
    return shown


def row_of(name: str, title: str, result: Result, scored: Quality, ours: Result | None) -> list[str]:
    """One line of the table. Drain3 is compared by steady rates: the start of both is left out, where it is not most of
    what was measured."""
    rates = (ours.steady, result.steady) if ours else (None, None)
    faster = times(rates[0] / rates[1]) if rates[0] and rates[1] else "–" if ours else ""
    figures = (scored.precision, scored.recall, scored.f1, scored.f1_by_template, scored.exact)
    spent = [seconds(result.seconds), rate(result.rate), rate(result.steady or 0), faster]
    return [name, title, f"{result.captions:,}", f"{scored.groups:,}", *(f"{f:.3f}" for f in figures), *spent]


HEAD = ("set", "tool", "captions", "groups", "precision", "recall", "F1", "F1 by template", "text", "wall", "rate",
        "steady", "memaudit is faster by")  # fmt: skip
"""rate: captions a second of the whole process; steady: without its start."""


def arguments_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.template_quality", description="Score templates where truth exists."
    )
    parser.add_argument("--peers", type=Path, help="python of the peers' environment; without it memaudit alone")
    parser.add_argument("--templates", type=int, default=2_000, help="of the hard set")
    parser.add_argument("--seconds", type=float, default=600, help="after which Drain3 stops")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "memaudit-bench")
    parser.add_argument("--page", type=Path, help="page whose generated part is replaced")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> str:
    arguments = arguments_of(words)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    known = versions(["drain3"], arguments.peers) if arguments.peers else {}
    measure(scan("warm", "", captions_file(arguments.folder, TINY), TINY, arguments.folder).command)  # compiles
    sets = {"hard": hard(arguments.templates), "sample": sample()}
    rows = [row for name, truth in sets.items() for row in compare(name, truth, arguments, bool(known))]
    named = ", ".join(f"{name} {version}" for name, version in (versions(["memaudit-captions"]) | known).items())
    text = f"Measured {today()} on {machine()} with {named}.\n\n{table(HEAD, rows)}"
    print(text)
    if arguments.page:
        put_between(arguments.page, MARK, text)
    return text


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
