"""What is said of a prompt: a `Match` for programs, a line of JSON, a sentence. Never "safe": no match is no evidence."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from memaudit.check.rules import EXACT, KINDS, TRIGGER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from memaudit.check.index import Index

NO_MATCH = "no match in this audit"
LISTED = 8  # findings of one prompt that are named
SHORT = 8  # hex digits of a fingerprint in a sentence

RawHit = tuple[int, int, float, int]  # fields of `rules.Hit`


@dataclass(frozen=True)
class Match:
    """How a prompt matches one finding.

    kind: of `rules.KINDS`; similarity: Jaccard (near), shared information (partial), the share of the prompt that the
    template fixes (template), 1 (exact), None (trigger); words, purity, coverage: of the trigger that the prompt holds;
    verdict: the worst over models, None where no model was asked; the rest describes the finding. others: further
    findings, the worst first, at most `LISTED` - 1 of `n_findings` - 1.
    """

    kind: str
    similarity: float | None
    words: tuple[str, ...] | None
    purity: float | None
    coverage: float | None
    fingerprint: str
    cluster_id: int
    finding: str
    rule: str
    severity: str
    risk: float
    verdict: Mapping[str, Any] | None
    template: str | None
    representative: str
    n_rows: int
    n_findings: int = 1
    others: tuple[Match, ...] = ()

    @property
    def says(self) -> str:
        """The match in one sentence; its texts are not escaped."""
        told = asdict(self)
        return sentence(self.kind, self.similarity, told)

    def as_dict(self) -> dict[str, Any]:
        """As a line of JSON has it."""
        told = asdict(self)
        others = told.pop("others")
        return {**told, "others": [{name: one[name] for name in _SHORT} for one in others]}


_SHORT = ("kind", "similarity", "fingerprint", "cluster_id", "severity", "risk")


def sentence(kind: str, similarity: float | None, told: Mapping[str, Any]) -> str:
    """near match (0.83) of finding 3f9a21c0 (exact, high, risk 0.42); not verified."""
    size = "" if similarity is None or kind == "exact" else f" ({similarity:.2f})"
    by = ""
    if kind == "trigger":
        by = f' by "{" ".join(told["words"])}" (purity {told["purity"]:.2f})'
    finding = f"{told['finding']}, {told['severity']}, risk {told['risk']:.2f}"
    return f"{kind} match{size}{by} of finding {told['fingerprint'][:SHORT]} ({finding}); {judged(told['verdict'])}"


def judged(verdict: Mapping[str, Any] | None) -> str:
    """What the model did, in words."""
    if verdict is None:
        return "not verified"
    name, model = verdict["verdict"], verdict["model"]
    if name in ("verbatim", "template"):
        unseen = ", which has not seen this data" if verdict["relation"] == "unrelated" else ""
        return f"{name}: {_percent(verdict['rate'])} of samples copy ({model}{unseen})"
    if name == "not_replicated":
        return f"not replicated: at most {_percent(verdict['high'])} of samples ({model})"
    return f"{name.replace('_', ' ')}: not sampled ({model})"


def _percent(share: float | None) -> str:
    return "an unknown share" if share is None else f"{100 * share:.0f} %"


class Answers:
    """Hits of one index in words. `min_severity`: place in schemas.SEVERITIES below which findings do not count."""

    def __init__(self, index: Index, min_severity: int = 0) -> None:
        self._index = index
        self._least = min_severity
        self._severity: list[int] = index.severity.tolist()
        self._told: dict[tuple[int, int], tuple[dict[str, Any], str, str]] = {}

    def counted(self, hits: Sequence[RawHit]) -> Sequence[RawHit]:
        """Hits of findings that are severe enough."""
        if not self._least:
            return hits
        return [hit for hit in hits if self._severity[hit[0]] >= self._least]

    def worst(self, hits: Sequence[RawHit]) -> int:
        """The highest severity among hits, -1 for none."""
        return max((self._severity[hit[0]] for hit in hits), default=-1)

    def match(self, hits: Sequence[RawHit]) -> Match | None:
        """Counted hits, the worst first, as a match."""
        if not hits:
            return None
        others = tuple(self._one(hit) for hit in hits[1:LISTED])
        return self._one(hits[0], len(hits), others)

    def _one(self, hit: RawHit, n_findings: int = 1, others: tuple[Match, ...] = ()) -> Match:
        told = self._of(hit)[0]
        words = told.get("words")
        return Match(
            kind=KINDS[hit[1]],
            similarity=_similarity(hit),
            n_findings=n_findings,
            others=others,
            **{**told, "words": None if words is None else tuple(words)},
        )

    def line(self, number: int, prompt: str, hits: Sequence[RawHit]) -> str:
        """One line of JSON, ASCII, without the line feed. prompt: as JSON (`quoted`)."""
        if not hits:
            return f'{{"line": {number}, "prompt": {prompt}, "match": null, "says": "{NO_MATCH}"}}'
        told, body, rest = self._of(hits[0])
        kind, similarity = KINDS[hits[0][1]], _similarity(hits[0])
        others = ", ".join(
            f'{{"kind": "{KINDS[hit[1]]}", "similarity": {_number(_similarity(hit))}, {self._of(hit)[2]}}}'
            for hit in hits[1:LISTED]
        )
        says = quoted(sentence(kind, similarity, told))
        return (
            f'{{"line": {number}, "prompt": {prompt}, "match": {{"kind": "{kind}", '
            f'"similarity": {_number(similarity)}, {body}, "n_findings": {len(hits)}, "others": [{others}]}}, '
            f'"says": {says}}}'
        )

    def _of(self, hit: RawHit) -> tuple[dict[str, Any], str, str]:
        """(what is told, the same as the inside of a JSON object, and of a short one)."""
        key = hit[0], hit[3] if hit[1] == TRIGGER else -1
        if (known := self._told.get(key)) is None:
            told = {"words": None, "purity": None, "coverage": None}
            if hit[1] == TRIGGER:
                told |= {name: self._index.word_set(hit[3])[name] for name in told}
            told |= self._index.finding(hit[0])
            short = {name: told[name] for name in _SHORT[2:]}
            known = self._told[key] = told, quoted(told)[1:-1], quoted(short)[1:-1]
        return known


def quoted(value: Any) -> str:
    """JSON in printable ASCII: nothing in it acts on a terminal."""
    return json.dumps(value).replace("\x7f", "\\u007f")


def _similarity(hit: RawHit) -> float | None:
    return None if hit[1] == TRIGGER else 1.0 if hit[1] == EXACT else round(hit[2], 4)


def _number(value: float | None) -> str:
    return "null" if value is None else repr(value)
