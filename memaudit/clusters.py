"""Clusters of all kinds side by side: which there are, how risky they are, and which of them become findings."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from memaudit.detect.chosen import choose, gather, numbers
from memaudit.detect.evidence import Evidence, evidence, evidence_of_all, rows_by_text
from memaudit.detect.families import families
from memaudit.detect.grams import Tokens
from memaudit.detect.style import Styles, Vocabulary, styles, vocabulary
from memaudit.detect.templates import Templates, tightest
from memaudit.ragged import Pieces, blocks, joined, offsets_of, pick
from memaudit.rank import TEMPLATE, Measures, Ranked, Scores, rank, score
from memaudit.rules import furniture_words, risk_model
from memaudit.schemas import FRAMES, KIND, KINDS, conform
from memaudit.scratch import release
from memaudit.store import no_space_is_clear

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from memaudit.detect.stars import Stars
    from memaudit.ingest import Rows, Texts
    from memaudit.store import Audit

T = TypeVar("T")
SLICE = 1 << 18  # members measured, or written, at a time


class Group(NamedTuple):
    """The clusters of one kind: the k-th owns entries at[k]:at[k + 1].

    text: uint32, similarity: float32 to the representative, by entry; bits: float32, information of the representative
    or of what is fixed of it, by cluster.
    """

    at: np.ndarray
    text: np.ndarray
    similarity: np.ndarray
    bits: np.ndarray

    def __len__(self) -> int:
        return len(self.bits)


class Clusters(NamedTuple):
    """All clusters in the order of their ids."""

    exact: Group
    near: Group
    template: Group

    def firsts(self) -> np.ndarray:
        """int64 (4,): the first id of each kind, and the number of clusters."""
        return offsets_of(np.array([len(group) for group in self], np.int64))


@dataclass(frozen=True)
class Findings:
    """Clusters that become findings, by ascending id; all arrays are by finding."""

    ids: np.ndarray  # int64: their cluster ids
    by_risk: np.ndarray  # int64: positions in descending order of risk
    members: Pieces  # uint32 text ids
    representative: np.ndarray  # uint32 text id
    template: np.ndarray  # int64: which template it is; -1 for other kinds
    measures: Measures
    evidence: Evidence
    ranked: Ranked
    family: np.ndarray  # int64: position of its family's head
    parent: np.ndarray  # int64: position of the next broader finding of its family, -1 for none

    def __len__(self) -> int:
        return len(self.ids)


def assemble(n_rows: np.ndarray, stars: Stars, templates: Templates, bits: np.ndarray) -> Clusters:
    """Put the three kinds side by side. n_rows, bits (information): by text."""
    parts = []
    for a, b in blocks(len(n_rows), 1 << 24):
        parts.append((np.flatnonzero(n_rows[a:b] >= 2) + a).astype(np.uint32))
        release(n_rows)
    repeated = np.concatenate(parts) if parts else np.empty(0, np.uint32)
    n = len(repeated)
    exact = Group(np.arange(n + 1), repeated, np.ones(n, np.float32), gather(bits, repeated))
    near = Group(stars.member_at, stars.text, stars.similarity, bits[stars.text[stars.member_at[:-1]]])
    release(bits)
    return Clusters(exact, near, Group(templates.member_at, templates.text, templates.share, templates.bits))


class Pictures(NamedTuple):
    """What is known of pictures in the whole dataset."""

    placeholders: np.ndarray | None  # uint64 keys, ascending; None where no source has pictures
    hashed: bool  # whether keys come from hashes of pictures; else from references


@cache
def _vocabulary() -> Vocabulary:
    words = furniture_words()
    return vocabulary([table["words"] for table in words["vocabulary"]], words["neutral"])


def score_all(
    clusters: Clusters, templates: Templates, texts: Texts, rows: Rows, pictures: Pictures, threads: int
) -> Scores:
    """Risk and severity of every cluster. In slices: what a risk is made of is needed again for findings only."""
    found = list(for_all(clusters, templates, texts, rows, pictures, threads, score))
    if not found:
        return Scores(np.empty(0, np.float32), np.empty(0, np.int8))
    return Scores(*(np.concatenate(columns) for columns in zip(*found, strict=True)))


def for_all(
    clusters: Clusters, templates: Templates, texts: Texts, rows: Rows, pictures: Pictures, threads: int,
    judge: Callable[[Measures], T],
) -> Iterator[T]:  # fmt: skip
    """What `judge` makes of what ranking knows of all clusters, in slices and in order."""
    chosen = choose(len(texts.n_rows), (group.text for group in clusters))
    grouped = rows_by_text(chosen, texts.n_rows, rows.text, rows.image, rows.site, pictures.placeholders)
    streams = Tokens(texts.tokens, texts.token_at)

    def judged(part: tuple[int, int, int]) -> T:
        kind, first, last = part
        at, text, similarity, bits = clusters[kind]
        kinds, n_texts = np.full(last - first, kind, np.int8), np.diff(at[first : last + 1])
        found = evidence(at, text, similarity, grouped, first, last)
        heads = at[first:last]
        spans = templates.span[heads] if kind == TEMPLATE else None
        made_of = styles(text[heads], spans, streams, _vocabulary())
        return judge(_measures(kinds, n_texts, bits[first:last], found, made_of, pictures.hashed))

    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(judged, [(k, *ab) for k, group in enumerate(clusters) for ab in slices(group.at)])


def _measures(
    kind: np.ndarray, n_texts: np.ndarray, bits: np.ndarray, found: Evidence, made_of: Styles, hashed: bool
) -> Measures:
    return Measures(
        kind, found.n_rows, n_texts, bits, found.share, found.focus, made_of.furniture, made_of.shapes,
        _table(made_of), found.n_pictured, found.n_images, found.n_placeholders, found.n_shown,
        found.n_repeating, hashed,
    )  # fmt: skip


def _table(made_of: Styles) -> np.ndarray:
    """Which table most furniture words stand in, the last one for captions' openers only; -1 below the least share."""
    shares = made_of.tables.copy()
    shares[~made_of.opens, -1] = 0
    shares[made_of.opens, -1] *= 1.01  # of equals an opener is an opener
    out: np.ndarray = np.where(made_of.furniture >= furniture_words()["share"], shares.argmax(axis=1), -1)
    return out


def slices(at: np.ndarray) -> Iterator[tuple[int, int]]:
    """Ranges of clusters with about `SLICE` members each."""
    cuts = np.unique([0, *np.searchsorted(at, np.arange(0, at[-1], SLICE)).tolist(), len(at) - 1])
    return itertools.pairwise(cuts.tolist())


def chosen_ids(scores: Scores) -> np.ndarray:
    """Clusters that become findings, ascending: all above the info band, and of those in it the riskiest, the smaller
    id on a tie."""
    severe, info = np.flatnonzero(scores.severity > 0), np.flatnonzero(scores.severity == 0)
    room = max(risk_model()["info"]["most"] - len(severe), 0)
    if room < len(info):
        least = np.partition(scores.risk[info], len(info) - room - 1)[len(info) - room - 1] if room else np.inf
        info = info[scores.risk[info] >= least]
        info = info[np.argsort(-scores.risk[info], kind="stable")[:room]]
    return np.sort(np.concatenate([severe, info]))


def select(
    clusters: Clusters, templates: Templates, scores: Scores, ids: np.ndarray
) -> tuple[Clusters, Templates, Scores, np.ndarray]:
    """Without the templates that become no finding: phrases of the language, which would swamp the frame. What is left
    of the templates keeps its order and takes the ids after the near clusters; `ids` are told anew."""
    first = int(clusters.firsts()[TEMPLATE])
    kept = ids[ids >= first] - first
    own = pick(np.arange(len(templates.text), dtype=np.uint32), templates.member_at, kept)
    templates = Templates(
        own.at,
        templates.text[own.values],
        templates.span[own.values],
        templates.share[own.values],
        templates.bits[kept],
    )
    group = Group(templates.member_at, templates.text, templates.share, templates.bits)
    scores = Scores(*(np.concatenate([column[:first], column[first:][kept]]) for column in scores))
    ids = np.concatenate([ids[ids < first], first + np.arange(len(kept))])
    return clusters._replace(template=group), templates, scores, ids


def _members(clusters: Clusters, ids: np.ndarray) -> tuple[Pieces, np.ndarray]:
    """Member texts and their similarities of some clusters (ascending)."""
    firsts = clusters.firsts()
    text, similarity = [], []
    for kind, group in enumerate(clusters):
        own = ids[(ids >= firsts[kind]) & (ids < firsts[kind + 1])] - firsts[kind]
        text.append(pick(group.text, group.at, own))
        similarity.append(pick(group.similarity, group.at, own).values)
    return joined(*text), np.concatenate(similarity)


def describe(
    clusters: Clusters, templates: Templates, ids: np.ndarray, texts: Texts, rows: Rows, pictures: Pictures,
    threads: int,
) -> Findings:  # fmt: skip
    """Everything that is told of findings but their words. ids: ascending; all templates are among them."""
    firsts = clusters.firsts()
    kind = (np.searchsorted(firsts, ids, side="right") - 1).astype(np.int8)
    members, similarity = _members(clusters, ids)
    chosen = choose(len(texts.n_rows), (members.values,))
    grouped = rows_by_text(chosen, texts.n_rows, rows.text, rows.image, rows.site, pictures.placeholders)
    found = evidence_of_all(*members, similarity, grouped, threads)
    bits = np.concatenate([group.bits[ids[kind == k] - firsts[k]] for k, group in enumerate(clusters)])
    template = np.where(kind == TEMPLATE, ids - firsts[TEMPLATE], -1)
    heads = members.values[members.at[:-1]]
    made_of = _styles_of_findings(heads, template, templates, Tokens(texts.tokens, texts.token_at))
    measures = _measures(kind, np.diff(members.at), bits, found, made_of, pictures.hashed)
    ranked = rank(measures)
    representative = members.values[members.at[:-1]]
    representative[kind == TEMPLATE] = tightest(templates, texts.key_lo)
    release(texts.key_lo)
    by_risk = np.argsort(-ranked.risk, kind="stable")
    keys = np.empty(len(ids), np.uint64)
    ascending = np.argsort(representative, kind="stable")
    keys[ascending] = gather(texts.key_lo, representative[ascending])
    order = np.lexsort((keys, -ranked.risk, -measures.n_rows, -measures.n_texts))
    family, parent = families(order, ranked.risk, members.at, numbers(chosen, members.values), len(chosen))
    return Findings(ids, by_risk, members, representative, template, measures, found, ranked, family, parent)


def _styles_of_findings(heads: np.ndarray, template: np.ndarray, templates: Templates, streams: Tokens) -> Styles:
    """heads: the first member of each finding; template: which template it is, -1 for other kinds."""
    length = np.diff(streams.token_at[np.stack([heads, heads + 1], axis=1).astype(np.int64)], axis=1)[:, 0]
    span = np.minimum(length, 255).astype(np.uint64) << np.uint64(8)
    is_template = template >= 0
    span[is_template] = templates.span[templates.member_at[template[is_template]]]
    made_of = styles(heads, span, streams, _vocabulary())
    release(*streams)
    return made_of


def write_clusters(audit: Audit, clusters: Clusters) -> None:
    """Write CLUSTERS in slices; the same bytes as one frame would hold, not all in memory."""
    temporary, n_members = audit.folder / ".clusters.parquet.tmp", 0
    empty = pl.DataFrame(schema=FRAMES["clusters"])
    with (
        no_space_is_clear(audit.folder),
        pq.ParquetWriter(
            temporary,
            empty.to_arrow().schema,
            compression="zstd",
            compression_level=3,
            use_dictionary=["kind"],
            column_encoding=dict.fromkeys(("cluster_id", "text_id"), "DELTA_BINARY_PACKED"),
        ) as writer,
    ):
        for frame in _frames(clusters):
            writer.write_table(frame.to_arrow())
            n_members += len(frame)
    audit.adopt("clusters", temporary, n_members)


def _frames(clusters: Clusters) -> Iterator[pl.DataFrame]:
    """CLUSTERS in slices, each of one kind."""
    for name, group, first_id in zip(KINDS, clusters, clusters.firsts().tolist(), strict=False):
        for first, last in slices(group.at):
            low, high = group.at[first], group.at[last]
            ids = np.repeat(
                np.arange(first_id + first, first_id + last, dtype=np.uint32), np.diff(group.at[first : last + 1])
            )
            columns = {"cluster_id": ids, "text_id": group.text[low:high], "similarity": group.similarity[low:high]}
            frame = pl.DataFrame(columns).with_columns(kind=pl.lit(name, KIND))
            yield conform("clusters", frame)
