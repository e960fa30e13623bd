"""datatrove's four MinHash stages with its defaults (5-word shingles, 14 bands of 8) and its local executor.

    python datatrove_minhash.py CAPTIONS.parquet [--workers 2] [--ngrams 5] [--limit N] [--out PAIRS.npz]

The captions are written as JSON lines first, a file a worker, because datatrove splits work by file. With --out the
pairs that shared a band, by row of the file, and the cluster of each row (-1: none).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter
from loguru import logger


def write_shards(captions: str, folder: Path, limit: int | None, shards: int) -> list[int]:
    """JSON lines, a file a shard; returns the row at which each starts, and the number of rows."""
    frame = pl.read_parquet(captions, columns=["caption"], n_rows=limit).select(text="caption")
    starts = [len(frame) * i // shards for i in range(shards + 1)]
    folder.mkdir()
    for i in range(shards):
        frame[starts[i] : starts[i + 1]].write_ndjson(folder / f"{i:05d}.jsonl")
    return starts


def stages(folder: Path, config: MinhashConfig, shards: int) -> list[tuple[list, int]]:
    """The pipelines of the four stages and the number of tasks of each."""
    at = {name: str(folder / name) for name in ("captions", "signatures", "buckets", "remove", "kept")}
    reader = JsonlReader(at["captions"], glob_pattern="*.jsonl")
    return [
        ([reader, MinhashDedupSignature(at["signatures"], config)], shards),
        ([MinhashDedupBuckets(at["signatures"], at["buckets"], config=config)], config.num_buckets),
        ([MinhashDedupCluster(at["buckets"], at["remove"], config=config, save_cluster_id=True)], 1),
        ([reader, MinhashDedupFilter(at["remove"]), JsonlWriter(at["kept"], compression=None)], shards),
    ]


def found(folder: Path, starts: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Pairs that shared a band, int64 (m, 2), and the cluster of each row, int64."""
    dups = [np.fromfile(path, "<u4").reshape(-1, 4) for path in sorted((folder / "buckets").glob("*.dups"))]
    raw = np.concatenate([*dups, np.empty((0, 4), np.uint32)]).astype(np.int64)
    first = np.array(starts)
    pairs = np.stack([first[raw[:, 0]] + raw[:, 1], first[raw[:, 2]] + raw[:, 3]], axis=1)
    labels = np.full(starts[-1], -1, np.int64)
    for path in (folder / "remove").glob("*.clusters"):
        rows, cluster = np.fromfile(path, "<u4").reshape(-1, 2).astype(np.int64).T
        labels[first[int(path.stem)] + rows] = cluster
    return pairs, labels


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("captions")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--ngrams", type=int, default=5)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--out")
    arguments = parser.parse_args()
    logger.remove()
    logger.add(sys.stderr, level="ERROR")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        starts = write_shards(arguments.captions, folder / "captions", arguments.limit, arguments.workers)
        config = MinhashConfig(n_grams=arguments.ngrams)
        for number, (pipeline, tasks) in enumerate(stages(folder, config, arguments.workers)):
            log = str(folder / f"log{number}")
            # forked workers are children of this process, so that what they take is counted
            LocalPipelineExecutor(
                pipeline, tasks=tasks, workers=arguments.workers, logging_dir=log, start_method="fork"
            ).run()
        pairs, labels = found(folder, starts)
    if arguments.out:
        np.savez(arguments.out, pairs=pairs, labels=labels)
    print(json.dumps({"captions": starts[-1], "candidates": len(pairs)}))


if __name__ == "__main__":
    main()
