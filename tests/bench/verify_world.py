"""How well verify tells what the built-in world's model replicates: the table of docs/verify.md.

    python -m tests.bench.verify_world [WORLD] [--pictures none] [--full] [--json FILE]

Every prompt of the world is judged by the code that `memaudit verify` runs, as a cluster of its own; truth.parquet is
read only to choose prompts and, afterwards, to count. --full also draws 50 pictures of every prompt that should
replicate, to compare recall and calls with sampling everything.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from PIL import Image

from memaudit.progress import PlainProgress, Silent
from memaudit.verify import stages
from memaudit.verify.drawing import FromModel
from memaudit.verify.likeness import fitted
from memaudit.verify.models import load
from memaudit.verify.outcome import FULL_SEEDS
from memaudit.verify.pictures import Gallery
from memaudit.verify.settings import VerifyConfig
from memaudit.verify.trial import Terms
from memaudit.verify.trials import case_of, try_case
from memaudit.verify.verdict import replicated
from tests.bench.judging import REPLICATED, NoPictures, judge_prompts, work_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memaudit.verify.calibration import Controls
    from memaudit.verify.drawing import Shelf
    from memaudit.verify.work import Work

STEPS, GUIDANCE = 20, 3.0
LEAST_DOSE = 20  # from here on a repeated caption must be found
TESTED_UNIQUE = 150
COPIES, HARMLESS, BETWEEN = "copies", "harmless", "between"


@dataclass(frozen=True)
class Case:
    """One prompt: what it should be called, and the pictures that its samples are compared with."""

    caption: str
    group: str
    truth: str  # COPIES, HARMLESS, BETWEEN (a dose of 5 or 10: told, not counted)
    kind: str | None  # the verdict that it should get
    pictures: tuple[str, ...]


class WorldPictures:
    """The world's pictures as verify's picture source: text ids are indices of cases, then of controls."""

    kind, told = "bytes", "pictures of the world"

    def __init__(self, files: dict[str, bytes], names: Sequence[tuple[str, ...]]) -> None:
        self.files, self.names = files, names

    def gallery(self, text_ids: Sequence[int], size: int, most: int) -> Gallery:
        names = list(dict.fromkeys(n for i in text_ids for n in self.names[i]))[:most]
        return self._read(names, np.zeros(len(names), np.uint32), size)

    def one_each(self, text_ids: Sequence[int], size: int) -> Gallery:
        found = [(i, self.names[i][0]) for i in text_ids if self.names[i]]
        return self._read([n for _, n in found], np.array([i for i, _ in found], np.uint32), size)

    def _read(self, names: list[str], ids: np.ndarray, size: int) -> Gallery:
        pictures = [fitted(Image.open(io.BytesIO(self.files[n])), size) for n in names]
        stacked = np.stack(pictures) if pictures else np.zeros((0, size, size, 3), np.uint8)
        return Gallery(stacked, names, ids, 0)


def cases_of(truth: pl.DataFrame) -> tuple[list[Case], list[tuple[str, tuple[str, ...]]]]:
    """Prompts to judge, and controls (caption, pictures): unique captions that are not among the judged."""
    by_template = {
        str(name): tuple(dict.fromkeys(p for some in part["pictures"] for p in some))
        for (name,), part in truth.filter(pl.col("template").is_not_null()).group_by("template", maintain_order=True)
    }
    unique = [row for row in truth.iter_rows(named=True) if row["role"] == "unique"]
    others = [row for row in truth.iter_rows(named=True) if row["role"] != "unique"]
    cases = []
    for i, row in enumerate([*others, *unique[:TESTED_UNIQUE]]):
        role, dose = row["role"], row["dose"]
        own = by_template[row["template"]] if row["template"] else tuple(row["pictures"])
        if role == "held_out":  # it has no pictures: somebody else's stand there
            own = tuple(unique[TESTED_UNIQUE + i % 500]["pictures"])
        group = f"dose {dose}" if role in ("dose", "duplicate") else role
        if role in ("image_template", "unseen_filler"):
            truth_, kind = COPIES, "template"
        elif role in ("dose", "duplicate") and dose >= LEAST_DOSE:
            truth_, kind = COPIES, "verbatim"
        else:
            truth_, kind = (BETWEEN if role == "dose" and dose > 2 else HARMLESS), None
        cases.append(Case(row["caption"], group, truth_, kind, own))
    return cases, [(row["caption"], tuple(row["pictures"])) for row in unique[TESTED_UNIQUE:]]


def judge(world: Path, with_pictures: bool, full: bool, progress: Any) -> dict[str, Any]:
    """Judge every prompt of a world; returns figures and one row a prompt."""
    truth = pl.read_parquet(world / "truth.parquet")
    rows = pl.read_parquet(world / "captions.parquet", columns=["image"])["image"].struct.unnest().unique("path")
    cases, controls = cases_of(truth)
    files = dict(rows.select("path", "bytes").iter_rows())
    names = [c.pictures for c in cases] + [pictures for _, pictures in controls]
    source = WorldPictures(files, names) if with_pictures else NoPictures()
    work = work_of([c.caption for c in cases], [caption for caption, _ in controls], source)
    config = VerifyConfig(str(world / "model"), "trained", steps=STEPS, guidance=GUIDANCE, seed=5000)
    model = load(config.model, "cpu", None, steps=STEPS, guidance=GUIDANCE)
    with tempfile.TemporaryDirectory() as folder:
        judged = judge_prompts(model, work, config, Path(folder), "bench", progress)
        verdicts, records = judged.verdicts, judged.records
        out = {"calls": judged.calls, "seconds": judged.seconds, **_figures(cases, verdicts, records)}
        out["full_calls"] = len(cases) * FULL_SEEDS * STEPS * 2
        if full:
            out["full"] = _sampled_fully(cases, work, judged.controls, model, config, judged.shelf)
    out["rows"] = [
        {"group": c.group, "truth": c.truth, "kind": c.kind, "verdict": v, "n": r.get("n", 0), "hits": r.get("hits", 0),
         "whole": r.get("whole", 0), "region": r.get("region", 0), "magnitude": r.get("magnitude"),
         "limits": r.get("limits"), "controls": r.get("controls"), "agreement": r.get("agreement"),
         "distance": _median(r, "distance"), "region_distance": _median(r, "region_distance")}
        for c, v, r in zip(cases, verdicts, records, strict=True)
    ]  # fmt: skip
    return out


def _median(record: dict[str, Any], name: str) -> float | None:
    values = [s[name] for s in record.get("samples", []) if s.get(name) is not None]
    return float(np.median(values)) if values else None


def _figures(cases: Sequence[Case], verdicts: Sequence[str], records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The table: recall, false verdicts, kinds told apart, unseen values."""
    called = [v in REPLICATED for v in verdicts]
    of = lambda test: [i for i, c in enumerate(cases) if test(c)]  # noqa: E731
    copies, harmless = of(lambda c: c.truth == COPIES), of(lambda c: c.truth == HARMLESS)
    trained = [i for i in copies if cases[i].group != "unseen_filler"]
    unseen = of(lambda c: c.group == "unseen_filler")
    told = [i for i in copies if called[i]]
    share = lambda ids, test: (sum(test(i) for i in ids), len(ids))  # noqa: E731
    audited = [r for r, c in zip(records, cases, strict=True) if r["status"] == "sampled" and c.truth == HARMLESS]
    return {
        "recall": share(trained, lambda i: called[i]),
        "false": share(harmless, lambda i: called[i]),
        "told apart": share(told, lambda i: verdicts[i] == cases[i].kind),
        "unseen as template": share(unseen, lambda i: verdicts[i] == "template"),
        "harmless sampled": len(audited),
        "groups": {
            g: {v: sum(1 for i in of(lambda c, g=g: c.group == g) if verdicts[i] == v) for v in sorted(set(verdicts))}
            for g in dict.fromkeys(c.group for c in cases)
        },
    }


def _sampled_fully(
    cases: Sequence[Case], work: Work, controls: Controls, model: Any, config: VerifyConfig, shelf: Shelf
) -> dict[str, Any]:
    """Recall of 50 seeds of every prompt that should replicate, without screen and without early stop."""
    court = stages.court_of(model, work, controls, config, shelf)
    terms = Terms(len(cases), FULL_SEEDS, court.terms.size, seed=9000, early_stop=False)
    court = replace(court, terms=terms)
    records = []
    for case, cluster in zip(cases, work.clusters, strict=True):
        if case.truth == COPIES and case.group != "unseen_filler":
            one = case_of(work, cluster, court.terms.described)
            records.append(try_case(one, court, FromModel(model)))
    return {"recall": (int(replicated(records, len(cases)).sum()), len(records))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("world", nargs="?", type=Path, default=Path("sample_data/world"))
    parser.add_argument("--pictures", choices=("all", "none"), default="all")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quiet", action="store_true")
    args = parser.parse_args()
    out = judge(args.world, args.pictures == "all", args.full, Silent() if args.quiet else PlainProgress())
    if args.json:
        args.json.write_text(json.dumps(out, indent=1))
    for name, value in out.items():
        if name not in ("rows", "groups"):
            print(f"{name:<20} {value}")
    for group, counts in out["groups"].items():
        print(f"  {group:<16} {counts}")


if __name__ == "__main__":
    main()
