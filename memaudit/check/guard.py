"""`Guard`: prompts checked in a serving process."""

from __future__ import annotations

import threading
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from memaudit.check.answers import Answers
from memaudit.check.index_of import index_of
from memaudit.check.matching import HIT, Work, match_lexed, work
from memaudit.check.rules import MOST
from memaudit.errors import UsageError
from memaudit.schemas import SEVERITIES
from memaudit.store import Audit, open_audit
from memaudit.text.lexer import lex_buffers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from memaudit.check.answers import Match, RawHit

AT_ONCE = 512  # prompts of one call of the kernel


class Guard:
    """The findings of one audit, ready for prompts. Loaded once; what changes in the audit later is not seen.

    audit: its folder, or an opened audit. min_severity: findings below do not count. allow: the allow-list, by default
    the one beside the audit; suppressed findings do not count. Any number of threads may share one guard. Raises as
    `store.open_audit` does, and UsageError for an unknown severity. The first use on a machine compiles for some
    seconds; docs/check.md has the times.
    """

    def __init__(
        self, audit: str | Path | Audit, *, min_severity: str = "info", allow: str | Path | None = None
    ) -> None:
        if min_severity not in SEVERITIES:
            raise UsageError(
                f"unknown severity {min_severity!r}", f"known: {', '.join(SEVERITIES)}", 'min_severity="low"'
            )
        opened = audit if isinstance(audit, Audit) else open_audit(audit, None if allow is None else Path(allow))
        stored = index_of(opened, compiled=True)
        self.facts = stored.facts  # see `index.Stored`
        self.answers = Answers(stored.index, SEVERITIES.index(min_severity))
        self._index = stored.index
        self._threshold = float(stored.facts["threshold"])
        self._local = threading.local()
        self.check("warm")

    def check(self, prompt: str | bytes) -> Match | None:
        """The worst finding that a prompt matches, others with it; None where there is no match in this audit."""
        return self.answers.match(self._hits([_encoded(prompt)])[0])

    def check_many(self, prompts: Iterable[str | bytes]) -> list[Match | None]:
        """`check` of each prompt, in order; some microseconds a prompt."""
        return [self.answers.match(found) for found in self.hits([_encoded(prompt) for prompt in prompts])]

    def hits(self, prompts: list[bytes]) -> Iterator[Sequence[RawHit]]:
        """Counted hits of each prompt, the worst finding first (`rules.Hit`)."""
        for first in range(0, len(prompts), AT_ONCE):
            yield from self._hits(prompts[first : first + AT_ONCE])

    def _hits(self, prompts: list[bytes]) -> list[Sequence[RawHit]]:
        scratch, hits, hit_at = self._scratch()
        offsets = np.array([0, *accumulate(map(len, prompts))], np.int64)
        data = np.frombuffer(b"".join(prompts) or b" ", np.uint8)
        lexed = lex_buffers(data, offsets)
        done = match_lexed(self._index, lexed, self._threshold, scratch, hits, hit_at)
        assert done == len(prompts)
        ends: list[int] = hit_at[: done + 1].tolist()
        found: list[RawHit] = hits[: ends[-1]].tolist()
        return [self.answers.counted(found[a:b]) if b > a else () for a, b in pairwise(ends)]

    def _scratch(self) -> tuple[Work, np.ndarray, np.ndarray]:
        """This thread's own."""
        known: tuple[Work, np.ndarray, np.ndarray] | None = getattr(self._local, "scratch", None)
        if known is None:
            known = self._local.scratch = work(), np.zeros(AT_ONCE * MOST, HIT), np.zeros(AT_ONCE + 1, np.int64)
        return known


def _encoded(prompt: str | bytes) -> bytes:
    return prompt if isinstance(prompt, bytes) else prompt.encode("utf-8", "surrogatepass")
