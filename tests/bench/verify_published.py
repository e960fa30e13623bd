"""SD 1.4 or 2.1 on the published prompts of memorised and other LAION captions: reproduce or refute docs/verify.md.

    make verify-published [MODEL=CompVis/stable-diffusion-v1-4] [DATA=folder of the two lists]

Needs your network (the model comes from the hub, the lists from their repository unless DATA holds them) and your GPU.
Every prompt is a cluster of its own, judged without training pictures. Prints AUC and recall at 1 % false positives of
the screen's two signals (published at four seeds: magnitude .992 and .944 for SD 1.4, .980 and .876 for SD 2), and
verdicts by kind of prompt: VM verbatim, TM template, other not memorised.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from memaudit.progress import PlainProgress
from memaudit.store import Audit
from memaudit.verify import stages
from memaudit.verify.drawing import Shelf
from memaudit.verify.journal import Journal
from memaudit.verify.models import load
from memaudit.verify.prompts import Cluster, Prompt
from memaudit.verify.settings import VerifyConfig
from memaudit.verify.verdict import replicated, verdict_of
from memaudit.verify.work import Work
from tests.bench.verify_world import NoPictures

LISTS = "https://raw.githubusercontent.com/ml-research/localizing_memorization/main/prompts"
MEMORISED, OTHER = "memorized_laion_prompts.csv", "unmemorized_laion_prompts.csv"
CONTROLS = 200  # of the other prompts; the rest is judged


def prompts_of(folder: Path | None) -> list[tuple[str, str]]:
    """(kind, caption): VM, TM, other. folder: where the two lists lie; None fetches them."""
    out = []
    for name in (MEMORISED, OTHER):
        if folder is None:
            with urllib.request.urlopen(f"{LISTS}/{name}", timeout=60) as answer:
                text = answer.read(1 << 24).decode("utf-8")
        else:
            text = (folder / name).read_text(encoding="utf-8")
        rows = csv.DictReader(text.splitlines(), delimiter=";")
        out += [(row.get("type") or "other", row["Caption"]) for row in rows]
    return out


def auc(values: np.ndarray, positive: np.ndarray) -> float:
    """The chance that a positive lies above a negative, ties by half."""
    a, b = values[positive], values[~positive]
    return float(((a[:, None] > b).mean() + (a[:, None] >= b).mean()) / 2)


def judge(model: str, prompts: list[tuple[str, str]], n_controls: int, config: dict[str, Any]) -> dict[str, Any]:
    """Figures for the page."""
    others = [text for kind, text in prompts if kind == "other"]
    controls = [Prompt("control", text, None) for text in others[:n_controls]]
    judged = [(kind, text) for kind, text in prompts if text not in set(others[:n_controls])]
    clusters = [
        Cluster(i, f"{i:016x}", "exact", 0.5, text, None, (Prompt("caption", text, i),))
        for i, (_, text) in enumerate(judged)
    ]
    source: Any = NoPictures({}, [() for _ in judged])
    work = Work(clusters, {i: [i] for i in range(len(clusters))}, controls, source)
    settings = VerifyConfig(model, "trained", **config)
    loaded = load(model, settings.device, settings.dtype, steps=settings.steps, guidance=settings.guidance)
    started, progress = time.monotonic(), PlainProgress()
    with tempfile.TemporaryDirectory() as folder:
        audit = Audit(Path(folder))
        audit.work.mkdir()
        journal, shelf = Journal(audit, "published"), Shelf(audit.folder, "published")
        screened = stages.screen(loaded, work, settings, journal, progress)
        sampled = stages.sample_controls(loaded, work, settings, journal, shelf, progress)
        device = str(loaded.device)
        records = stages.try_clusters(loaded, [device], work, screened, sampled, settings, journal, shelf, progress)
    found = replicated(records, len(clusters)).tolist()
    verdicts = [verdict_of(r, yes, "trained")[0] for r, yes in zip(records, found, strict=True)]
    positive = np.array([kind != "other" for kind, _ in judged])
    signals = {}
    for name, by in screened.value.items():
        values = np.array([by[c.fingerprint] for c in clusters])
        cut = np.quantile(values[~positive], 0.99)
        signals[name] = (auc(values, positive), float((values[positive] > cut).mean()))
    kinds: dict[str, Counter[str]] = {}
    for verdict, (kind, _) in zip(verdicts, judged, strict=True):
        kinds.setdefault(kind, Counter())[verdict] += 1
    told = {kind: dict(counts) for kind, counts in kinds.items()}
    minutes = (time.monotonic() - started) / 60
    return {"signals": signals, "verdicts": told, "calls": loaded.calls, "minutes": minutes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="CompVis/stable-diffusion-v1-4")
    parser.add_argument("--data", type=Path, help="folder of the two lists; without it they are fetched")
    parser.add_argument("--device", help="default: cuda")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--controls", type=int, default=CONTROLS)
    args = parser.parse_args()
    if args.device is None:
        import torch

        if not torch.cuda.is_available():
            sys.exit(
                "error: no CUDA device\n  a thousand prompts take days on a processor\n"
                "  try: on a machine with a GPU and network, or --device cpu to start all the same"
            )
    config = {"device": args.device or "cuda", "steps": args.steps, "seed": 1000}
    out = judge(args.model, prompts_of(args.data), args.controls, config)
    for name, (area, recall) in out["signals"].items():
        print(f"{name:<16} AUC {area:.3f}   recall at 1 % false positives {recall:.3f}")
    for kind, counts in out["verdicts"].items():
        print(f"{kind:<16} {counts}")
    print(f"{out['calls']:,} U-Net calls, {out['minutes']:.0f} minutes")


if __name__ == "__main__":
    main()
