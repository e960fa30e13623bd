"""Does cleaning help? The built-in world's model trained on five versions of its set: docs/does-it-help.md.

    python -m tests.bench.does_it_help FOLDER [--seeds 1 2 3] [--jobs 2] [--only arms|train|measure|page]

For each seed: (a) the original set; (b) one row of every exact and near cluster of captions, as tools do that drop
duplicate texts; (c) `memaudit clean` with image hashes; (d) `memaudit clean --captions-only --min-severity low` of the
captions alone; (e) as many rows removed at random as by (c). All are trained for the same number of steps with the
autoencoder of (a), and asked the same prompts at the same seeds. Some three hours on two cores; what is there already
is not made again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import polars as pl

from memaudit.audit import scan
from memaudit.clean.run import clean
from memaudit.clean.settings import CleanConfig
from memaudit.config import ScanConfig
from tests.bench.helped_page import plot, table

if TYPE_CHECKING:
    from memaudit.store import Audit

ROOT = Path(__file__).parent.parent.parent
WORLD_CODE = ROOT / "sample_data" / "world"
ARMS = ("a", "b", "c", "d", "e")
TEXT_SEVERITY = "low"  # by text alone nothing of this small set ranks higher than medium


def make_arms(world: Path, seed: int) -> None:
    """a.parquet to e.parquet: column uid, the rows that an arm is trained on; audits beside them."""
    out = world.parent
    if all((out / f"{arm}.parquet").is_file() for arm in ARMS):
        return
    captions = world / "captions.parquet"
    bare = out / "bare.parquet"
    pl.read_parquet(captions, columns=["uid", "caption"]).write_parquet(bare)
    by_text = scan([str(bare)], out / "audit-text", ScanConfig(), fresh=True).audit
    by_picture = scan([str(captions)], out / "audit-pictures", ScanConfig(hash_column="md5"), fresh=True).audit
    clean(by_picture, out / "cleaned-c", CleanConfig(), fresh=True)
    clean(by_text, out / "cleaned-d", CleanConfig(TEXT_SEVERITY, captions_only=True), fresh=True)
    every = pl.read_parquet(bare)["uid"].to_list()
    rows = {
        "a": every,
        "b": deduplicated(by_text),
        "c": pl.read_parquet(out / "cleaned-c" / "data" / "captions.parquet", columns=["uid"])["uid"].to_list(),
        "d": pl.read_parquet(out / "cleaned-d" / "data" / "bare.parquet", columns=["uid"])["uid"].to_list(),
    }
    rows["e"] = sorted(Random(f"{seed}/random").sample(every, len(rows["c"])))
    for arm, uids in rows.items():
        pl.DataFrame({"uid": uids}).write_parquet(out / f"{arm}.parquet")


def deduplicated(audit: Audit) -> list[str]:
    """One row of each caption, and one caption of each near cluster: the first row of the one most like the others."""
    near = audit.frame("clusters").filter(pl.col("kind") == "near")
    best = near.sort("similarity", "text_id", descending=[True, False]).unique("cluster_id", keep="first")
    gone = near.filter(~pl.col("text_id").is_in(best["text_id"].implode()))["text_id"]
    first = audit.frame("members").sort("row").unique("text_id", keep="first", maintain_order=True)
    return first.filter(~pl.col("text_id").is_in(gone.implode()))["id"].sort().to_list()


def train(folder: Path, seed: int, arm: str) -> None:
    """FOLDER/SEED/ARM/model, in a process of one thread. Arm a is the world itself."""
    out = folder / str(seed) / arm
    if (out / "model" / "model_index.json").is_file():
        return
    command = [sys.executable, str(WORLD_CODE / "train.py"), "--threads", "1", "--seed", str(seed), "--out", str(out)]
    if arm != "a":
        command += ["--uids", f"{out}.parquet", "--world", str(folder / str(seed) / "a")]
    _run(command, out.with_suffix(".log"))


def measure(folder: Path, seed: int, arm: str) -> None:
    """FOLDER/SEED/ARM.json: what the arm's model does with every prompt, and its loss on held-out pairs."""
    out = folder / str(seed) / f"{arm}.json"
    if out.is_file():
        return
    command = [sys.executable, "-m", "tests.bench.helped", str(folder / str(seed) / "a"), "--seed", str(seed)]
    _run(
        [*command, "--model", str(folder / str(seed) / arm / "model"), "--json", str(out)],
        out.with_suffix(".measure.log"),
    )


def _run(command: list[str], log: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    print(" ".join(command[1:]), flush=True)
    with log.open("w") as sink:
        subprocess.run(command, check=True, stdout=sink, stderr=subprocess.STDOUT, env=environment, cwd=ROOT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=(1, 2, 3))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", choices=("arms", "train", "measure", "page"))
    args = parser.parse_args()
    wanted = lambda step: args.only in (None, step)  # noqa: E731
    runs: list[Any] = [(seed, arm) for seed in args.seeds for arm in ARMS]
    folder = args.folder.resolve()
    with ThreadPoolExecutor(args.jobs) as pool:
        if wanted("train") or wanted("arms"):
            list(pool.map(lambda seed: train(folder, seed, "a"), args.seeds))
            for seed in args.seeds:
                make_arms(folder / str(seed) / "a", seed)
        if wanted("train"):
            list(pool.map(lambda run: train(folder, *run), runs))
        if wanted("measure"):
            list(pool.map(lambda run: measure(folder, *run), runs))
    if wanted("page"):
        found = {run: json.loads((folder / str(run[0]) / f"{run[1]}.json").read_text()) for run in runs}
        rows = {run: folder / str(run[0]) / f"{run[1]}.parquet" for run in runs}
        (ROOT / "docs" / "does-it-help.svg").write_text(plot(found))
        print(table(found, rows))


if __name__ == "__main__":
    main()
