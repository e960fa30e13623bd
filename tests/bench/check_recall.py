"""Which prompts `check` finds: memorised captions as people change them, and ordinary captions that should not match.

    python tests/bench/check_recall.py world            the built-in world: sample_data/world
    python tests/bench/check_recall.py real SHARED/data labelled LAION captions, half of the ordinary held out

Prints Markdown. A prompt is found when it matches a finding that its own caption is a member of; the columns say by
which kind, the closest one. False alarms: ordinary captions that were not scanned and match any finding.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from memaudit.audit import scan
from memaudit.check.guard import Guard
from memaudit.check.rules import EXACT, KINDS
from memaudit.config import ScanConfig
from memaudit.schemas import SEVERITIES
from tests.bench.prompt_edits import EDITS

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]
SEED = 7
ORDINARY = 4000  # held-out captions of one source, at most


def findings_of(guard: Guard, captions: Sequence[str]) -> list[frozenset[int]]:
    """Findings that each caption is a member of."""
    found = guard.hits([caption.encode() for caption in captions])
    return [frozenset(hit[0] for hit in hits if hit[1] == EXACT) for hits in found]


def recall(guard: Guard, captions: Sequence[str]) -> list[str]:
    """Lines of a table over all edits: found, by kind, and by any other finding only."""
    own = findings_of(guard, captions)
    captions = [caption for caption, findings in zip(captions, own, strict=True) if findings]
    own = [findings for findings in own if findings]
    lines = [f"| edit | found | {' | '.join(KINDS)} | another finding |", "|---" * (3 + len(KINDS)) + "|"]
    for name, edit in EDITS.items():
        chance = random.Random(SEED)
        prompts = [edit(caption, chance).encode() for caption in captions]
        counted: Counter[str] = Counter()
        for findings, hits in zip(own, guard.hits(prompts), strict=True):
            kinds = [hit[1] for hit in hits if hit[0] in findings]
            counted[KINDS[min(kinds)] if kinds else "another" if hits else "none"] += 1
        n = len(captions)
        cells = [sum(counted[kind] for kind in KINDS), *(counted[kind] for kind in KINDS), counted["another"]]
        lines.append(f"| {name} | " + " | ".join(percent(cell, n) for cell in cells) + " |")
    return lines


def alarms(guard: Guard, sources: dict[str, Sequence[str]]) -> list[str]:
    """Lines of a table of ordinary captions: which share matches, by the closest kind, and from which severity on."""
    titles = [*KINDS, *(f"{severity} or above" for severity in SEVERITIES[1:])]
    lines = [f"| ordinary captions | number | any match | {' | '.join(titles)} |", "|---" * (3 + len(titles)) + "|"]
    for name, captions in sources.items():
        kinds: Counter[int] = Counter()
        severe: Counter[int] = Counter()
        for hits in guard.hits([caption.encode() for caption in captions]):
            kinds.update([min(hit[1] for hit in hits)] if hits else [])
            severe[guard.answers.worst(hits)] += 1
        n = len(captions)
        cells = [sum(kinds.values()), *(kinds[k] for k in range(len(KINDS)))]
        cells += [sum(severe[k] for k in severe if k >= least) for least in range(1, len(SEVERITIES))]
        lines.append(f"| {name} | {n:,} | " + " | ".join(percent(cell, n) for cell in cells) + " |")
    return lines


def percent(part: int, n: int) -> str:
    return f"{100 * part / max(n, 1):.1f}"


def heading(guard: Guard, what: str, captions: Sequence[str]) -> str:
    own = findings_of(guard, captions)
    severe = [max((guard.answers.worst([(f, 0, 0.0, 0)]) for f in findings), default=-1) for findings in own]
    levels = ", ".join(f"{sum(s >= k for s in severe)} at {SEVERITIES[k]} or above" for k in range(1, 4))
    n = sum(bool(findings) for findings in own)
    return f"\n{what}: {len(captions)} captions, {n} members of a finding ({levels}).\n"


def world(folder: Path) -> None:
    data = ROOT / "sample_data" / "world"
    config = ScanConfig(hash_column="md5")
    guard = Guard(scan([str(data / "captions.parquet")], folder / "audit", config).audit)
    truth = pl.read_parquet(data / "truth.parquet")
    strong = (pl.col("role") == "dose") & (pl.col("dose") >= 20)
    memorised = truth.filter(pl.col("role").is_in(["duplicate", "image_template"]) | strong)["caption"].to_list()
    print(heading(guard, "Memorised captions of the built-in world", memorised))
    print("\n".join(recall(guard, memorised)))
    unseen = truth.filter(pl.col("role") == "unseen_filler")["caption"].to_list()
    named = {"unseen fillers of memorised templates (should match)": unseen}
    print("\n" + "\n".join(alarms(guard, named | {"held out": truth.filter(role="held_out")["caption"].to_list()})))


def real(folder: Path, data: Path) -> None:
    plain: dict[str, pl.Series] = {
        "LAION, listed at random": pl.read_parquet(data / "laion_alt_text_10k.parquet")["TEXT"],
        "LAION, not memorised": pl.read_csv(data / "unmemorized_laion_prompts.csv", separator=";")["Caption"],
        "COCO": pl.read_csv(data / "coco2014_val_10000.csv", separator=";")["Caption"],
    }
    labelled = pl.read_csv(data / "memorized_laion_prompts.csv", separator=";")["Caption"].drop_nulls()
    scanned, held = [labelled], {}
    for name, captions in plain.items():
        mixed = captions.drop_nulls().sample(fraction=1.0, shuffle=True, seed=SEED)
        scanned.append(mixed[: len(mixed) // 2])
        held[name] = mixed[len(mixed) // 2 :].head(ORDINARY).to_list()
    pl.concat([s.rename("caption") for s in scanned]).to_frame().write_parquet(folder / "captions.parquet")
    guard = Guard(scan([str(folder / "captions.parquet")], folder / "audit", ScanConfig()).audit)
    memorised = labelled.unique().sort().to_list()
    print(heading(guard, "LAION captions that Stable Diffusion 1 memorises", memorised))
    print("\n".join(recall(guard, memorised)))
    print("\n" + "\n".join(alarms(guard, held)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("world", "real"))
    parser.add_argument("data", type=Path, nargs="?", default=ROOT.parent / "shared" / "data")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        if given.what == "world":
            world(Path(scratch))
        else:
            real(Path(scratch), given.data)
