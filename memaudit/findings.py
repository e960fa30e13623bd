"""Frames of the findings: FINDINGS, TEMPLATES and TRIGGERS, with their words read back."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from memaudit.describe import fingerprint, triggers
from memaudit.detect.frames import unpack
from memaudit.detect.slots import Slots, TopContents, top_contents
from memaudit.ragged import offsets_of, pick
from memaudit.rank import EXACT, NEAR, TEMPLATE
from memaudit.readback import Library, Requests, requests
from memaudit.rules import slot_rules
from memaudit.schemas import CONFIDENCE, CONFIDENCES, FRAMES, KIND, KINDS, SEVERITIES, SEVERITY, SLOT, conform
from memaudit.slottypes import TEXT, slot_type
from memaudit.text.spelling import FRAME, WORDS
from memaudit.text.spelling import SLOT as SLOT_FORM

if TYPE_CHECKING:
    from memaudit.clusters import Findings
    from memaudit.detect.templates import Templates
    from memaudit.entities import Recogniser
    from memaudit.ingest import Texts
    from memaudit.text.spelling import Spelled

TRIGGERED = 1000  # findings, by risk, whose triggers are counted
DETAILED = 1000  # templates, by risk, whose slot values are read back
SLOT_VALUES = 20  # listed per slot


class _Listed(NamedTuple):
    """Findings as they are listed, by descending risk; arrays by finding."""

    at: np.ndarray  # position in `Findings`
    kind: np.ndarray
    representative: np.ndarray
    template: np.ndarray  # int64, -1 for other kinds
    span: np.ndarray  # uint64, by *template*: where its runs lie in its representative


def findings_frames(
    findings: Findings,
    templates: Templates,
    slots: Slots,
    texts: Texts,
    library: Library,
    recogniser: Recogniser | None,
    threads: int,
) -> dict[str, pl.DataFrame]:
    """FINDINGS (by descending risk), TEMPLATES and TRIGGERS. recogniser: what types slots that patterns do not."""
    at = findings.by_risk
    own = findings.representative[findings.template >= 0]
    span = templates.span[np.repeat(own, np.diff(templates.member_at)) == templates.text]
    listed = _Listed(at, findings.measures.kind[at], findings.representative[at], findings.template[at], span)
    shown = listed.template[listed.template >= 0]
    top = top_contents(templates, slots, shown[:DETAILED], SLOT_VALUES)
    back = library.read(
        _requests(findings, listed, templates, slots, top),
        listed.representative,
        listed.representative[:TRIGGERED],
        threads,
    )
    contents, values = back.strings[: len(at)], back.strings[len(at) :]
    with ThreadPoolExecutor(1) as pool:  # counting triggers leaves Python alone
        counting = pool.submit(_triggers, findings, listed, texts, back.spelled, threads)
        lists = _slot_lists(shown, slots, top, values, recogniser)
        frames = {
            "findings": _findings(findings, listed, back.captions, contents),
            "templates": _templates(findings, listed, templates, slots, contents, lists),
            "triggers": counting.result(),
        }
    return {name: conform(name, frame) for name, frame in frames.items()}


def _requests(findings: Findings, listed: _Listed, templates: Templates, slots: Slots, top: TopContents) -> Requests:
    """What fingerprints are made of (the words of an exact cluster, those of all members of a near one, the template),
    then the values of slots."""
    n = len(listed.at)
    place = {kind: np.flatnonzero(listed.kind == kind) for kind in (EXACT, NEAR, TEMPLATE)}
    near = pick(findings.members.values, findings.members.at, listed.at[place[NEAR]])
    k = listed.template[place[TEMPLATE]]
    held = (slots.exists[k] << np.arange(4)).sum(axis=1)
    parts = [
        requests(listed.representative[place[EXACT]], WORDS, place[EXACT]),
        requests(near.values, WORDS, np.repeat(place[NEAR], np.diff(near.at))),
        requests(listed.representative[place[TEMPLATE]], FRAME, place[TEMPLATE], listed.span[k], held),
        requests(
            templates.text[top.entry], SLOT_FORM, n + np.arange(len(top.entry)), templates.span[top.entry], top.slot
        ),
    ]
    return Requests(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _findings(findings: Findings, listed: _Listed, captions: pa.Array, contents: list[str]) -> pl.DataFrame:
    at, m, e, r = listed.at, findings.measures, findings.evidence, findings.ranked
    n_images, n_sites = e.n_images[at], e.n_sites[at]
    names = [KINDS[kind] for kind in listed.kind.tolist()]
    prints = [fingerprint(kind, content) for kind, content in zip(names, contents, strict=True)]
    return pl.DataFrame(
        {
            "cluster_id": findings.ids[at].astype(np.uint32),
            "fingerprint": pl.Series(prints, dtype=pl.String),
            "kind": _named(listed.kind, KINDS, KIND),
            "rule": pl.Series(r.rule[at].tolist(), dtype=pl.String),
            "severity": _named(r.severity[at], SEVERITIES, SEVERITY),
            "confidence": _named(r.confidence[at], CONFIDENCES, CONFIDENCE),
            "risk": r.risk[at],
            "representative": pl.from_arrow(captions),
            "n_rows": m.n_rows[at],
            "n_texts": m.n_texts[at],
            "n_images": pl.Series(n_images.astype(np.uint64)).set(pl.Series(n_images == 0), None),
            "n_domains": pl.Series(n_sites).set(pl.Series(n_sites == 0), None),
            "features": pl.DataFrame({name: values[at] for name, values in r.features.items()}).to_struct(),
            "suppressed": np.zeros(len(at), np.bool_),
            "reason": pl.Series([None], dtype=pl.String).new_from_index(0, len(at)),
            "text_id": listed.representative,
            "family": findings.ids[findings.family[at]],
        }
    )


def _named(numbers: np.ndarray, names: tuple[str, ...], kind: pl.Enum) -> pl.Series:
    return pl.Series(names, dtype=kind).gather(pl.Series(numbers.astype(np.uint32)))


def _templates(
    findings: Findings, listed: _Listed, templates: Templates, slots: Slots, contents: list[str], lists: pl.Series
) -> pl.DataFrame:
    place = np.flatnonzero(listed.template >= 0)
    at, k = listed.at[place], listed.template[place]
    above = findings.parent[at]
    is_parent = (above >= 0) & (findings.template[above] >= 0)
    return pl.DataFrame(
        {
            "cluster_id": findings.ids[at],
            "parent": pl.Series(findings.ids[above].astype(np.uint32)).set(pl.Series(~is_parent), None),
            "template": pl.Series([contents[i] for i in place.tolist()], dtype=pl.String),
            "n_slots": slots.exists[k].sum(axis=1).astype(np.uint8),
            "support_rows": findings.measures.n_rows[at],
            "support_texts": findings.measures.n_texts[at],
            "slot_entropy": slots.entropy[k],
            "fixed_share": findings.measures.share[at],
            "fixed_bits": templates.bits[k],
            "slots": lists,
        }
    )


def _slot_lists(
    shown: np.ndarray, slots: Slots, top: TopContents, values: list[str], recogniser: Recogniser | None
) -> pl.Series:
    """The column `slots` of templates `shown`, built flat: a slot's values stand where `top` has its contents, which
    are those of the first slots."""
    exists = slots.exists[shown]
    n_flat = int(exists.sum())
    starts = np.flatnonzero(np.diff(top.template * 4 + top.slot, prepend=-1))
    value_at = np.full(n_flat + 1, len(values), np.int64)
    value_at[: len(starts)] = starts
    types = _types(value_at[: len(starts) + 1].tolist(), values, top.times.tolist(), exists, recogniser)
    struct = pa.StructArray.from_arrays(
        [
            pa.array(types + [TEXT] * (n_flat - len(types)), pa.large_string()),
            pa.array(slots.distinct[shown][exists], pa.uint32()),
            pa.LargeListArray.from_arrays(value_at, pa.array(values, pa.large_string())),
            pa.LargeListArray.from_arrays(value_at, pa.array(top.times, pa.uint32())),
        ],
        names=[field.name for field in SLOT.fields],
    )
    lists = pa.LargeListArray.from_arrays(offsets_of(exists.sum(axis=1)), struct)
    return pl.Series("slots", lists).cast(pl.List(SLOT))


def _types(
    value_at: list[int], values: list[str], counts: list[int], exists: np.ndarray, recogniser: Recogniser | None
) -> list[str]:
    """The type of each slot with values: by patterns, and of the riskiest templates what these leave by entities."""
    first = int(exists[: slot_rules()["entities"]].sum())
    out = []
    for i, (a, b) in enumerate(itertools.pairwise(value_at)):
        found = slot_type(values[a:b], counts[a:b])
        if found == TEXT and recogniser and i < first:
            found = recogniser.slot_type(values[a:b], counts[a:b])
        out.append(found)
    return out


def _triggers(
    findings: Findings, listed: _Listed, texts: Texts, spelled: dict[int, Spelled], threads: int
) -> pl.DataFrame:
    at, k = listed.at[:TRIGGERED], listed.template[:TRIGGERED].tolist()
    words = [spelled[t] for t in listed.representative[:TRIGGERED].tolist()]
    fixed = [
        unpack(int(listed.span[t])) if t >= 0 else [(0, len(s.token_hashes))] for t, s in zip(k, words, strict=True)
    ]
    members = pick(findings.members.values, findings.members.at, at)
    rows = [
        {"cluster_id": cluster, **trigger._asdict()}
        for cluster, own in zip(findings.ids[at].tolist(), triggers(words, fixed, members, texts, threads), strict=True)
        for trigger in own
    ]
    return pl.DataFrame(rows, schema=FRAMES["triggers"])
