"""How fast `memaudit clean` copies, and in how much memory: the figures of docs/clean.md.

    python -m tests.bench.clean_speed AUDIT FOLDER [-- OPTIONS OF CLEAN]

Runs the command beside a plain copy of the same rows by pyarrow (read a batch, write it), which no filter can beat.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq

from memaudit.store import open_audit


def plain_copy(paths: list[str], folder: Path) -> float:
    """Seconds of decoding and encoding every batch of the same files, nothing removed."""
    began = time.perf_counter()
    for i, path in enumerate(paths):
        file = pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False)
        codec = file.metadata.row_group(0).column(0).compression.lower()
        with pq.ParquetWriter(folder / f"{i}.parquet", file.schema_arrow, compression=codec) as writer:
            for group in range(file.num_row_groups):
                writer.write_table(file.read_row_group(group, use_threads=False))
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("audit", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("options", nargs="*")
    args = parser.parse_args()
    shutil.rmtree(args.folder, ignore_errors=True)
    args.folder.mkdir(parents=True)
    paths = open_audit(args.audit).frame("files")["path"].to_list()
    copied = plain_copy(paths, args.folder)
    command = [sys.executable, "-m", "memaudit", "clean", str(args.audit), "-o", str(args.folder / "out"), "-f", "json"]
    began = time.perf_counter()
    done = subprocess.run([*command, *args.options], check=True, capture_output=True, text=True)
    took = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    summary = json.loads(done.stdout)
    print(done.stderr)
    print(
        f"{summary['rows']:,} rows, {summary['removed']:,} removed: {took:.1f} s, {summary['rows'] / took:,.0f} rows/s"
    )
    print(f"a plain copy takes {copied:.1f} s; peak memory {peak:,.0f} MB")


if __name__ == "__main__":
    main()
