"""How fast prompts are checked: one prompt in a process of its own, a file on all threads, one at a time in process.

    python tests/bench/check_speed.py AUDIT PROMPTS.parquet [--prompts 1000000]

PROMPTS has a caption column (what `generate.py` writes with another seed, say): half of the prompts are taken from it,
half are captions of the audit's own data with a word dropped, if the data are there. Prints processor and wall seconds.
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

from memaudit.check.index import NAME
from memaudit.store import open_audit


def prompts_of(audit: Path, strangers: Path, n: int) -> list[str]:
    """Captions of `strangers` and, in turn, of the audit's own data with one word dropped."""
    chance = random.Random(1)
    other = pl.read_parquet(strangers, columns=["caption"]).head(n // 2)["caption"].fill_null("").to_list()
    path = open_audit(audit).frame("files")["path"][0]
    own = pl.read_parquet(path, columns=["caption"]).head(n // 2)["caption"].fill_null("").to_list()
    out = []
    for one, two in zip(other, own, strict=False):
        words = two.split()
        if words:
            words.pop(chance.randrange(len(words)))
        out += [one.replace("\n", " "), " ".join(words)]
    return out


def timed(command: list[str], stdin: Path | None = None) -> tuple[float, float]:
    """Processor and wall seconds of a command."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with (stdin or Path("/dev/null")).open("rb") as given:
        subprocess.run(command, stdin=given, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used, time.monotonic() - started


def one_prompt(audit: Path) -> None:
    command = [sys.executable, "-m", "memaudit", "check", str(audit), "a plain prompt of seven words in all"]
    (audit / NAME).unlink(missing_ok=True)
    used, wall = timed(command)
    print(f"one prompt, no index yet: {used:.2f} s processor, {wall:.2f} s wall")
    best = min(timed(command) for _ in range(5))
    size = (audit / NAME).stat().st_size
    print(f"one prompt, index of {size / 1e6:.1f} MB kept: {best[0]:.2f} s processor, {best[1]:.2f} s wall")


def a_file(audit: Path, prompts: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        few, many = Path(folder, "few.txt"), Path(folder, "many.txt")
        few.write_text("\n".join(prompts[:10]) + "\n", encoding="utf-8", errors="replace")
        many.write_text("\n".join(prompts) + "\n", encoding="utf-8", errors="replace")
        command = [sys.executable, "-m", "memaudit", "-q", "check", str(audit), "--file"]
        start = min(timed([*command, str(few)]) for _ in range(2))
        used, wall = timed([*command, str(many)])
        n = len(prompts) - 10
        print(f"10 prompts from a file: {start[0]:.2f} s processor, {start[1]:.2f} s wall")
        print(
            f"{len(prompts):,} prompts from a file: {used:.2f} s processor, {wall:.2f} s wall; "
            f"{n / (wall - start[1]):,.0f} a second after the start, {1e6 * (used - start[0]) / n:.1f} us each"
        )


def in_process(audit: Path, prompts: list[str]) -> None:
    from memaudit import Guard

    started = time.process_time()
    guard = Guard(audit)
    print(f"Guard loaded: {time.process_time() - started:.2f} s processor")
    times, matched, chosen = [], 0, prompts[:20_000]
    for prompt in chosen:
        begun = time.perf_counter()
        matched += guard.check(prompt) is not None
        times.append(1e6 * (time.perf_counter() - begun))
    times.sort()
    middle, late = times[len(times) // 2], times[len(times) * 99 // 100]
    print(f"check: median {middle:.0f} us, 99 % under {late:.0f} us, {matched / len(chosen):.0%} match")
    started = time.process_time()
    guard.check_many(prompts[:200_000])
    n = min(len(prompts), 200_000)
    print(f"check_many: {1e6 * (time.process_time() - started) / n:.1f} us a prompt, one thread")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("audit", type=Path)
    parser.add_argument("prompts", type=Path)
    parser.add_argument("--prompts", dest="n", type=int, default=1_000_000)
    given = parser.parse_args()
    texts = prompts_of(given.audit, given.prompts, given.n)
    one_prompt(given.audit)
    a_file(given.audit, texts)
    in_process(given.audit, texts)
