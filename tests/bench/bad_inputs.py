"""Input that breaks scanners: how long a scan of it takes, how much memory, and what it says.

    python -m tests.bench.bad_inputs [--scale 1.0] [--folder DIR] [--only NAME ...] [--page docs/scaling.md]

At scale 1: one caption of 50 MB, 10 million empty captions, 10 million equal ones, one row group of 5 million rows,
20,000 tiny files as Parquet and as CSV. Some 6 GB of disk and several minutes.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.bench.generate import Generator
from tests.bench.measure import measure
from tests.bench.table import megabytes, put_between, seconds, table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MARK = "bad inputs"
CHUNK = 1_000_000


def one_long_caption(folder: Path, scale: float) -> str:
    """One caption of 50 MB of different words among ordinary ones."""
    size = int(50e6 * scale)
    words = np.random.default_rng(0).integers(0, 10**9, size // 10 + 1).astype(str)
    captions = ["red oak side table with two drawers", " ".join(words)[:size], "a cat on a mat"]
    pq.write_table(pa.table({"caption": pa.array(captions, pa.large_string())}), folder / "long.parquet")
    return f"a caption of {size / 1e6:.3g} MB"


def empty_captions(folder: Path, scale: float) -> str:
    return _repeated(folder, "", int(10e6 * scale), "empty captions")


def equal_captions(folder: Path, scale: float) -> str:
    return _repeated(folder, "Red oak side table with two drawers", int(10e6 * scale), "equal captions")


def _repeated(folder: Path, caption: str, n: int, what: str) -> str:
    schema = pa.schema({"caption": pa.string()})
    with pq.ParquetWriter(folder / "same.parquet", schema) as writer:
        for start in range(0, n, CHUNK):
            chunk = pa.array([caption], pa.string()).take(pa.array(np.zeros(min(CHUNK, n - start), np.int64)))
            writer.write_table(pa.table({"caption": chunk}))
    return f"{n:,} {what}"


def one_row_group(folder: Path, scale: float) -> str:
    """Generated captions in a single row group."""
    n, generator = int(5e6 * scale), Generator(0, "mixed")
    size = min(250_000, max(1, n))
    chunks = [generator.chunk(i, min(size, n - start))[0] for i, start in enumerate(range(0, n, size))]
    pq.write_table(pa.concat_tables(chunks), folder / "group.parquet", row_group_size=max(1, n), compression="zstd")
    return f"one row group of {n:,} rows"


def tiny_parquet(folder: Path, scale: float) -> str:
    return _tiny(folder, int(20_000 * scale), "parquet")


def tiny_csv(folder: Path, scale: float) -> str:
    return _tiny(folder, int(20_000 * scale), "csv")


def _tiny(folder: Path, n: int, kind: str) -> str:
    """Files of five captions each, a thousand to a folder."""
    for i in range(n):
        inside = folder / f"{i // 1000:03d}"
        inside.mkdir(exist_ok=True)
        captions = [f"number {i * 5 + j} of many small blue boats" for j in range(5)]
        if kind == "csv":
            (inside / f"{i:05d}.csv").write_text("\n".join(["caption", *captions, ""]))
        else:
            pq.write_table(pa.table({"caption": captions}), inside / f"{i:05d}.parquet")
    return f"{n:,} tiny {kind} files"


CASES: dict[str, Callable[[Path, float], str]] = {
    "long": one_long_caption,
    "empty": empty_captions,
    "equal": equal_captions,
    "row-group": one_row_group,
    "tiny-parquet": tiny_parquet,
    "tiny-csv": tiny_csv,
}


def run(name: str, folder: Path, scale: float) -> list[str]:
    """Write one bad input, scan it, delete it; a row of the table."""
    data, audit = folder / name, folder / f"{name}-audit"
    for path in (data, audit):
        shutil.rmtree(path, ignore_errors=True)
    data.mkdir(parents=True)
    what = CASES[name](data, scale)
    command = [sys.executable, "-m", "memaudit", "--quiet", "scan", data, "-o", audit]
    found = measure(command, check=False)
    said = next((line for line in found.errors.splitlines() if line.strip()), "").replace(str(folder), "DATA")
    shutil.rmtree(data)
    shutil.rmtree(audit, ignore_errors=True)
    return [what, seconds(found.seconds), megabytes(found.peak), str(found.code), said[:90]]


def main(words: Sequence[str] | None = None) -> str:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bad_inputs", description="Scan bad input.")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "memaudit-bench")
    parser.add_argument("--page", type=Path, help="page whose generated part is replaced")
    arguments = parser.parse_args(words)
    rows = []
    for name in arguments.only:
        rows.append(run(name, arguments.folder, arguments.scale))
        print("  ".join(rows[-1]), file=sys.stderr, flush=True)
    text = table(("input", "wall", "peak memory", "exit code", "first line on stderr"), rows)
    print(text)
    if arguments.page:
        put_between(arguments.page, MARK, text)
    return text


if __name__ == "__main__":
    main()
