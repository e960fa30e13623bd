"""Files of prompts to lines of JSON, in order, on two threads, in bounded memory."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from memaudit.check.answers import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future

    from memaudit.check.guard import Guard


class Checked(NamedTuple):
    """One block: its lines with line feeds, how many prompts, how many match, the highest severity (-1 for none)."""

    text: str
    prompts: int
    matched: int
    worst: int


def check_blocks(guard: Guard, blocks: Iterable[list[bytes]], threads: int | None = None) -> Iterator[Checked]:
    """Check every block; at most two a thread wait for their turn."""
    n = threads or min(2, os.cpu_count() or 1)
    waiting: deque[Future[Checked]] = deque()
    number = 1
    with ThreadPoolExecutor(n) as pool:
        for block in blocks:
            waiting.append(pool.submit(_checked, guard, block, number))
            number += len(block)
            if len(waiting) >= 2 * n:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _checked(guard: Guard, block: list[bytes], first: int) -> Checked:
    lines, matched, worst, answers = [], 0, -1, guard.answers
    for number, (prompt, hits) in enumerate(zip(block, guard.hits(block), strict=True), first):
        lines.append(answers.line(number, quoted(prompt.decode("utf-8", "replace")), hits))
        if hits:
            matched += 1
            worst = max(worst, answers.worst(hits))
    return Checked("\n".join([*lines, ""]), len(block), matched, worst)
