"""What is asked of a model about each cluster: its captions, captions its template could have made, its triggers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl

from memaudit.schemas import SEVERITIES
from memaudit.suppression import current
from memaudit.text.spelling import spell_all
from memaudit.verify.captions import PLACE, in_dataset, joined_words, read_captions
from memaudit.verify.unseen import SHAPES, SLOT, Known, slots_of, unseen_captions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from memaudit.store import Audit

MEMBERS = 300  # captions of a template, the most repeated ones, whose slot values are read
OTHERS = 300  # captions of the whole dataset that lend words where no other template has values
DRAWS = 8  # candidates per unseen caption that is wanted
SOLID = 4  # letters of a word that may replace another: not "for" and "the"
BASES = 5  # captions of a template that are tried as the mould of its unseen ones


class Prompt(NamedTuple):
    """One prompt."""

    kind: str  # "caption", "unseen", "trigger", "control"
    text: str
    text_id: int | None  # of the audit; None for unseen and trigger


@dataclass(frozen=True)
class Cluster:
    """A finding that is put to a model, with its prompts: captions first, then unseen ones, then triggers."""

    cluster_id: int
    fingerprint: str
    kind: str  # of schemas.KINDS
    risk: float
    representative: str
    template: str | None
    prompts: tuple[Prompt, ...]


class _Members(NamedTuple):
    """Captions of one cluster, the most repeated first."""

    ids: list[int]
    captions: list[str]


def clusters_to_verify(
    audit: Audit,
    top: int,
    min_severity: str,
    captions: int = 3,
    unseen: int = 3,
    triggers: int = 1,
    seed: int = 0,
) -> list[Cluster]:
    """The riskiest clusters, at most `top`, one a family, by falling risk; suppressed findings are left out.

    min_severity: of schemas.SEVERITIES. captions, unseen, triggers: prompts of each kind, at most. Of an exact cluster
    there is one caption; unseen ones only of templates; a trigger that says no more than a caption is left out.
    Captions are those with the highest weight, as they stand in the data; of a template those that differ in its slots.
    The same seed gives the same prompts, whatever `top` is. Raises BadInput where the audit is damaged or its captions
    cannot be read back. Cost: a pass over CLUSTERS and TEXTS, up to `MEMBERS` captions a template read back, and a pass
    over the keys of TEXTS.
    """
    heads = _heads(current(audit).findings, min_severity).head(top)
    if heads.is_empty():
        return []
    ids = heads["cluster_id"]
    templates = _by_cluster(audit, "templates", ids)
    words = _by_cluster(audit, "triggers", ids)
    members = _members(audit, heads, captions, MEMBERS if unseen else captions * DRAWS)
    frames = {c: rows[0]["template"] for c, rows in templates.items()}
    known = {c: _known(rows[0], members[c].captions) for c, rows in templates.items()}
    made = _unseen(audit, heads, members, frames, known, unseen, seed)
    out = []
    for row in heads.iter_rows(named=True):
        c = row["cluster_id"]
        asked = _chosen(members[c], frames.get(c), captions)
        asked += [Prompt("unseen", text, None) for text in made.get(c, [])]
        asked += _triggers(words.get(c, []), asked, triggers)
        out.append(
            Cluster(
                **{key: row[key] for key in ("cluster_id", "fingerprint", "kind", "risk", "representative")},
                template=frames.get(c),
                prompts=tuple(asked),
            )
        )
    return out


def _heads(findings: pl.DataFrame, min_severity: str) -> pl.DataFrame:
    """One finding per family, by falling risk: its head, or where that is suppressed the riskiest other."""
    severe = pl.col("severity").cast(pl.String).is_in(SEVERITIES[SEVERITIES.index(min_severity) :])
    is_head = pl.col("family") == pl.col("cluster_id")
    inside = findings.filter(~pl.col("suppressed")).with_columns(head=is_head)
    inside = inside.sort(["head", "risk", "cluster_id"], descending=[True, True, False])
    one = inside.unique("family", keep="first", maintain_order=True).filter(severe)
    return one.sort(["risk", "cluster_id"], descending=[True, False])


def _by_cluster(audit: Audit, name: str, ids: pl.Series) -> dict[int, list[dict[str, Any]]]:
    rows = audit.collect(audit.scan(name).filter(pl.col("cluster_id").is_in(ids.implode())), name, engine="streaming")
    return rows.rows_by_key("cluster_id", named=True, include_key=False)


def _members(audit: Audit, heads: pl.DataFrame, most: int, most_of_templates: int) -> dict[int, _Members]:
    """The most repeated captions of every cluster, read back in one go."""
    own = audit.scan("clusters").join(heads.lazy().select("cluster_id"), on="cluster_id", how="semi")
    own = own.select("cluster_id", "text_id", "similarity", template=pl.col("kind") == "template")
    texts = audit.scan("texts").select(*PLACE, "weight", "n_rows")
    query = own.join(texts, on="text_id").sort(
        ["cluster_id", "weight", "n_rows", "similarity", "text_id"], descending=[False, True, True, True, False]
    )
    place = pl.int_range(pl.len()).over("cluster_id")
    query = query.filter(place < pl.when("template").then(max(1, most_of_templates)).otherwise(max(1, most)))
    found = audit.collect(query, "clusters", "texts", engine="streaming")
    read = read_captions(audit, found)
    by_cluster = found.group_by("cluster_id", maintain_order=True).agg("text_id")
    return {c: _Members(ids, [read[i] for i in ids]) for c, ids in by_cluster.iter_rows()}


def _chosen(members: _Members, template: str | None, n: int) -> list[Prompt]:
    """The most repeated captions; of a template those with other values in its open slots come first."""
    order = list(range(len(members.ids)))
    if template is not None:
        spelled = spell_all([caption.encode("utf-8", errors="replace") for caption in members.captions])
        seen: set[tuple[str, ...]] = set()
        again = []
        for words in spelled:
            slots = slots_of(words.tokens, words.surface, template) or []
            values = tuple(slot.value for slot in slots if slot.kind == SLOT)
            again.append(bool(values) and values in seen)
            seen.add(values)
        order.sort(key=again.__getitem__)
    return [Prompt("caption", members.captions[i], members.ids[i]) for i in order[:n]]


def _triggers(found: Sequence[Mapping[str, Any]], asked: Sequence[Prompt], n: int) -> list[Prompt]:
    """The shortest triggers as prompts, gaps left out."""
    ranked = sorted(found, key=lambda t: (len(t["words"]), -t["purity"], t["words"]))
    texts = dict.fromkeys(joined_words(word for word in t["words"] if word != SLOT) for t in ranked)
    said = {prompt.text.casefold() for prompt in asked}
    return [Prompt("trigger", text, None) for text in texts if text and text.casefold() not in said][:n]


def _known(template: Mapping[str, Any], captions: Sequence[str]) -> Known:
    """What stands in the slots of a template: in the captions given, and among the values that the scan listed."""
    tokens = template["template"].split(" ")
    listed = iter(template["slots"] if len(template["slots"]) == tokens.count(SLOT) else ())
    own = [next(listed, None) if token == SLOT else None for token in tokens if token in (SLOT, *SHAPES)]
    known = Known([s["type"] if s else "text" for s in own], [set(s["values"] if s else ()) for s in own])
    for spelled in spell_all([caption.encode("utf-8", errors="replace") for caption in captions]):
        for i, slot in enumerate(slots_of(spelled.tokens, spelled.surface, template["template"]) or ()):
            known.values[i].add(slot.value)
    return known


def _unseen(
    audit: Audit,
    heads: pl.DataFrame,
    members: Mapping[int, _Members],
    frames: Mapping[int, str],
    known: Mapping[int, Known],
    n: int,
    seed: int,
) -> dict[int, list[str]]:
    """Unseen captions by cluster: made for all, then checked against the dataset in one pass."""
    if not frames or not n:
        return {}
    pools, others = _pools(audit), _other_captions(audit, seed)
    made: dict[int, list[str]] = {}
    for c, print_, family in heads.select("cluster_id", "fingerprint", "family").iter_rows():
        if c not in frames:
            continue
        rng = np.random.default_rng([seed, int(print_, 16)])
        foreign = [words for text_id, words in others if text_id not in set(members[c].ids)]
        drawn = [
            ([v for f, v in pools.get(kind, ()) if f != family], _phrases(foreign, values))
            for kind, values in zip(known[c].types, known[c].values, strict=True)
        ]
        moulds = (unseen_captions(m, frames[c], known[c], drawn, rng, n * DRAWS) for m in members[c].captions[:BASES])
        made[c] = next(filter(None, moulds), [])
    candidates = [text for texts in made.values() for text in texts]
    held = dict(zip(candidates, in_dataset(audit, candidates), strict=True))
    return {c: [text for text in texts if not held[text]][:n] for c, texts in made.items()}


def _pools(audit: Audit) -> dict[str, list[tuple[int, str]]]:
    """By type of slot, the values that templates hold there, each with the template's family. Only heads of families
    lend values: variants below them have slots where chance left something."""
    families = audit.scan("findings").select("cluster_id", "family").filter(pl.col("cluster_id") == pl.col("family"))
    listed = audit.scan("templates").select("cluster_id", "slots").join(families, on="cluster_id")
    values = listed.explode("slots").unnest("slots").explode("values").select("type", "family", "values").drop_nulls()
    found = audit.collect(values.unique().sort("type", "family", "values"), "templates", "findings", engine="streaming")
    return found.rows_by_key("type", include_key=False)


def _other_captions(audit: Audit, seed: int) -> list[tuple[int, list[str]]]:
    """A few captions of the whole dataset, as (text_id, words)."""
    n = audit.collect(audit.scan("texts").select(pl.len()), "texts", engine="streaming").item()
    ids = np.sort(np.random.default_rng(seed).choice(n, min(n, OTHERS), replace=False)).astype(np.uint32)
    query = audit.scan("texts").select(PLACE).filter(pl.col("text_id").is_in(pl.Series(ids).implode()))
    read = sorted(read_captions(audit, audit.collect(query, "texts", engine="streaming")).items())
    spelled = spell_all([caption.encode("utf-8", errors="replace") for _, caption in read])
    return [(text_id, words.words) for (text_id, _), words in zip(read, spelled, strict=True)]


def _phrases(captions: Sequence[Sequence[str]], values: set[str]) -> list[str]:
    """Runs of words of other captions that are as long as the values they shall replace."""
    lengths = sorted({len(value.split(" ")) for value in values if value})[:BASES]
    runs = [" ".join(words[i : i + n]) for words in captions for n in lengths for i in range(len(words) - n + 1)]
    return [run for run in dict.fromkeys(runs) if min(map(len, run.split(" "))) >= SOLID]
