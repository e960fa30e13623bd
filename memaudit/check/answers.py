"""What is said of a prompt: a `Match` for programs, a line of JSON, a sentence. Never "safe": no match is no proof."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from memaudit.check.rules import EXACT, KINDS, TRIGGER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from memaudit.check.index import Index

NO_MATCH = "no match in this audit"
LISTED = 8  # findings of one prompt that are named
SHORT = 8  # hex digits of a fingerprint in a sentence

RawHit = tuple[int, int, float, int]  # fields of `rules.Hit`


class Other(NamedTuple):
    """A further finding that a prompt matches."""

    kind: str
    similarity: float | None
    fingerprint: str
    cluster_id: int
    severity: str
    risk: float


@dataclass(frozen=True)
class Match:
    """How a prompt matches one finding.

    kind: of `rules.KINDS`; similarity: Jaccard (near), shared information (partial), the share of the prompt that the
    template fixes (template), 1 (exact), None (trigger); words, purity, coverage: of the trigger that the prompt holds;
    verdict: the worst over models, None where no model was asked; the rest describes the finding. others: further
    findings, the worst first, at most `LISTED` - 1 of the `n_findings` - 1 (themselves at most `rules.MOST` - 1).
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
    n_rows: int
    template: str | None
    representative: str
    verdict: Mapping[str, Any] | None
    n_findings: int = 1
    others: tuple[Other, ...] = ()

    @property
    def says(self) -> str:
        """The match in one sentence; texts in it are not escaped."""
        return sentence(self.kind, self.similarity, vars(self))

    def as_dict(self) -> dict[str, Any]:
        """As a line of JSON has it."""
        return {**vars(self), "others": [one._asdict() for one in self.others]}


class _Told(NamedTuple):
    """What is said of a finding, with the trigger that the prompt holds."""

    told: dict[str, Any]
    short: tuple[Any, ...]  # the last fields of `Other`
    json: str  # of `told`, without its braces
    short_json: str


def sentence(kind: str, similarity: float | None, told: Mapping[str, Any]) -> str:
    """near match (0.83) of finding 3f9a21c0 (exact, high, risk 0.42); not verified."""
    size = "" if similarity is None or kind == "exact" else f" ({similarity:.2f})"
    by = f' by "{" ".join(told["words"])}" (purity {told["purity"]:.2f})' if kind == "trigger" else ""
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
    """Hits of one index in words. min_severity: place in schemas.SEVERITIES below which findings do not count."""

    def __init__(self, index: Index, min_severity: int = 0) -> None:
        self._index = index
        self._least = min_severity
        self._severity: list[int] = index.severity.tolist()
        self._told: dict[tuple[int, int], _Told] = {}

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
        others = tuple(Other(KINDS[hit[1]], _similarity(hit), *self._of(hit).short) for hit in hits[1:LISTED])
        first = hits[0]
        return Match(KINDS[first[1]], _similarity(first), n_findings=len(hits), others=others, **self._of(first).told)

    def line(self, number: int, prompt: str, hits: Sequence[RawHit]) -> str:
        """One line of JSON, ASCII, without the line feed. prompt: as JSON (`quoted`)."""
        start = f'{{"line": {number}, "prompt": {prompt}, "match": '
        if not hits:
            return f'{start}null, "says": "{NO_MATCH}"}}'
        known, kind, similarity = self._of(hits[0]), KINDS[hits[0][1]], _similarity(hits[0])
        others = ", ".join(f"{{{_opening(hit)}, {self._of(hit).short_json}}}" for hit in hits[1:LISTED])
        says = quoted(sentence(kind, similarity, known.told))
        rest = f'"n_findings": {len(hits)}, "others": [{others}]'
        return f'{start}{{{_opening(hits[0])}, {known.json}, {rest}}}, "says": {says}}}'

    def _of(self, hit: RawHit) -> _Told:
        key = hit[0], hit[3] if hit[1] == TRIGGER else -1
        if (known := self._told.get(key)) is None:
            told: dict[str, Any] = {"words": None, "purity": None, "coverage": None}
            if hit[1] == TRIGGER:
                told |= self._index.word_set(hit[3])
                told["words"] = tuple(told["words"])
            told |= self._index.finding(hit[0])
            short = {name: told[name] for name in Other._fields[2:]}
            known = _Told(told, tuple(short.values()), quoted(told)[1:-1], quoted(short)[1:-1])
            self._told[key] = known
        return known


def quoted(value: Any) -> str:
    """JSON in printable ASCII: nothing in it acts on a terminal."""
    return json.dumps(value).replace("\x7f", "\\u007f")


def _similarity(hit: RawHit) -> float | None:
    return None if hit[1] == TRIGGER else 1.0 if hit[1] == EXACT else round(hit[2], 4)


def _opening(hit: RawHit) -> str:
    similarity = _similarity(hit)
    return f'"kind": "{KINDS[hit[1]]}", "similarity": {"null" if similarity is None else similarity}'
