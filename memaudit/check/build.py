"""The index of one audit: member texts by key and by shingle, templates and triggers by their rarest word.

Texts are pointers, so the words of members are read back from the data once. What cannot be read (the files are gone
or have changed) still matches by its key, and representatives are in the audit itself.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl

from memaudit.check.entries import frame_entries, trigger_entries
from memaudit.check.index import Index, Stored, radix
from memaudit.check.posting import posted
from memaudit.check.rules import FRAMES_FROM, MIN_WORDS
from memaudit.ragged import Pieces, offsets_of
from memaudit.text.arrow import buffers
from memaudit.text.lexer import lex_buffers, read_only
from memaudit.verdicts import REPLICATED, judged

if TYPE_CHECKING:
    from memaudit.store import Audit

CAPTION = 300  # characters of a representative that a match shows
BATCH = 1 << 16  # texts read back at a time


class _Members(NamedTuple):
    """Member texts by ascending key; `known` are those whose words are."""

    frame: pl.DataFrame  # text_id, key_lo, key_hi, file, row, column
    owners: Pieces  # uint32: findings


def build(audit: Audit) -> Stored:
    """Everything that `check` looks prompts up in; about 3 us a member text, and the time to read the files that hold
    members once. Raises as `verdicts.judged` does."""
    findings, told = _ranked(audit)
    members = _members(audit, findings)
    words, unread = _words(audit, findings, members.frame)
    threshold = float(audit.manifest.get("config", {}).get("threshold", 0.7))
    facts: dict[str, Any] = {
        "findings": len(findings),
        "members": len(members.frame),
        "without_words": int((np.diff(words.at) == 0).sum()),
        "unread": unread,
        "threshold": threshold,
    }
    severe = findings.filter(pl.col("severity") >= FRAMES_FROM).select("cluster_id", "rank")
    templates = audit.frame("templates").join(severe, on="cluster_id").sort("rank")
    frames = frame_entries(templates["template"].to_list(), templates["rank"].to_numpy(), words)
    rows = audit.frame("triggers").join(severe, on="cluster_id").sort("rank", "coverage", descending=[False, True])
    sets = trigger_entries(rows["words"].to_list(), rows["rank"].to_numpy(), words)
    facts["unreadable_templates"] = frames.left_out + sets.left_out
    said = rows.select("words", "purity", "coverage").to_dicts()
    said = [*told, *({**one, **{name: _rounded(one[name]) for name in ("purity", "coverage")}} for one in said)]
    encoded = [json.dumps(one).encode() for one in said]
    key_lo = members.frame["key_lo"].to_numpy()
    arrays = [
        *(radix(key_lo), key_lo, members.frame["key_hi"].to_numpy()),
        *members.owners,
        *posted(words),
        *frames.arrays,
        *sets.arrays,
        findings["severity"].to_physical().to_numpy().astype(np.uint8),
        offsets_of(np.array([len(one) for one in encoded], np.int64)),
        np.frombuffer(b"".join(encoded), np.uint8),
    ]
    index = Index._make(read_only(np.ascontiguousarray(array)) for array in arrays)  # as one that is mapped
    return Stored(index, facts)


def _ranked(audit: Audit) -> tuple[pl.DataFrame, list[dict[str, Any]]]:
    """Findings that are not suppressed, the worst first, with their `rank`; and what a match says of each.

    Worst: one that a model copies, then by severity, then by risk. What was sampled without a copy is no better than
    what was not: it is evidence about one model.
    """
    judgement = judged(audit)
    worst = judgement.verdicts.unique("fingerprint", keep="first", maintain_order=True)
    worst = worst.select("fingerprint", "model", pl.col("verdict").cast(pl.String), "rate", "low", "high", "relation")
    templates = audit.frame("templates").select("cluster_id", "template")
    findings = judgement.findings.filter(~pl.col("suppressed"))
    findings = findings.join(worst, on="fingerprint", how="left", maintain_order="left")
    findings = findings.join(templates, on="cluster_id", how="left", maintain_order="left")
    copied = pl.col("verdict").is_in(REPLICATED).fill_null(False)
    findings = findings.sort(copied, "severity", "risk", "cluster_id", descending=[True, True, True, False])
    findings = findings.with_row_index("rank")
    return findings, [_told(row) for row in findings.iter_rows(named=True)]


def _told(row: dict[str, Any]) -> dict[str, Any]:
    verdict = None
    if row["verdict"] is not None:
        rates = {name: _rounded(row[name]) for name in _RATES}
        verdict = {"verdict": row["verdict"], "model": row["model"], "relation": row["relation"], **rates}
    return {
        "fingerprint": row["fingerprint"],
        "cluster_id": row["cluster_id"],
        "finding": row["kind"],
        "rule": row["rule"],
        "severity": row["severity"],
        "risk": _rounded(row["risk"]),
        "n_rows": row["n_rows"],
        "template": row["template"],
        "representative": row["representative"][:CAPTION],
        "verdict": verdict,
    }


_RATES = ("rate", "low", "high")


def _rounded(value: float | None) -> float | None:
    """Four places; None where nothing is known."""
    return None if value is None or value != value else round(value, 4)


def _members(audit: Audit, findings: pl.DataFrame) -> _Members:
    ranks = findings.lazy().select("cluster_id", "rank")
    pairs = audit.collect(
        audit.scan("clusters").select("cluster_id", "text_id").join(ranks, on="cluster_id"), "clusters"
    )
    pairs = pl.concat([pairs.select("text_id", "rank"), findings.select("text_id", "rank")])  # an exact one's own
    ids = pairs.lazy().select("text_id").unique()
    columns = ("text_id", "key_lo", "key_hi", "file", "row", "column")
    texts = audit.collect(audit.scan("texts").select(columns).join(ids, on="text_id"), "texts")
    texts = texts.sort("key_lo", "key_hi").with_row_index("member")
    owned = (
        pairs.join(texts.select("text_id", "member"), on="text_id").unique(["member", "rank"]).sort("member", "rank")
    )
    counts = np.bincount(owned["member"].to_numpy(), minlength=len(texts))
    return _Members(texts, Pieces(offsets_of(counts), owned["rank"].to_numpy().astype(np.uint32)))


def _words(audit: Audit, findings: pl.DataFrame, members: pl.DataFrame) -> tuple[Pieces, dict[str, str]]:
    """Words of members that have at least `MIN_WORDS` and could be read, by member; and files that were not read."""
    from memaudit.originals import Originals

    found: list[tuple[np.ndarray, Pieces]] = []
    shown = findings.select("text_id", "representative").unique("text_id")
    own = members.join(shown, on="text_id").sort("member")
    found.append(_lexed(own["representative"], own))
    originals = Originals(audit)
    rest = members.join(shown, on="text_id", how="anti").sort("file", "row", "column")
    for part in rest.partition_by("file", maintain_order=True):
        for piece in part.iter_slices(BATCH):
            read = originals.read(piece["file"][0], piece["row"].to_numpy(), piece["column"].to_numpy())
            found.append(_lexed(read.captions, piece))
    lengths = np.zeros(len(members), np.int64)
    for numbers, words in found:
        lengths[numbers] = np.diff(words.at)
    at = offsets_of(lengths)
    values = np.empty(int(at[-1]), np.uint32)
    for numbers, words in found:
        each = np.diff(words.at)
        values[np.arange(len(words.values)) + np.repeat(at[numbers] - words.at[:-1], each)] = words.values
    return Pieces(at, values), originals.unread


def _lexed(captions: pl.Series, members: pl.DataFrame) -> tuple[np.ndarray, Pieces]:
    """Numbers and words of members with these captions; no words where the caption is not the one that was scanned."""
    data, offsets, _ = buffers(captions.fill_null("").to_arrow(compat_level=pl.CompatLevel.oldest()))
    lexed = lex_buffers(data, offsets)
    same = (lexed.key_lo == members["key_lo"].to_numpy()) & (lexed.n_words >= MIN_WORDS)
    lengths = np.where(same, np.diff(lexed.word_at), 0)
    keep = np.repeat(same, np.diff(lexed.word_at))
    return members["member"].to_numpy(), Pieces(offsets_of(lengths), lexed.words[keep])
