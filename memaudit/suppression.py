"""Findings as the allow-list leaves them now: flagged, never deleted.

A scan stores what the list said then, and the manifest says which findings that flagged; whoever reads findings takes
them through `current`, so that a changed list or a passed date shows without a rescan.
"""

from __future__ import annotations

import datetime
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from memaudit import allow
from memaudit.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from memaudit.allow import Entry
    from memaudit.store import Audit

MANIFEST_KEY = "suppressed"  # in manifest.json: cluster ids that the scan flagged by the list
LEAST_SHARED = 0.5  # of an entry's members that a finding must hold to be the one that is meant
NO_REASON = "on the allow-list"


class Current(NamedTuple):
    """FINDINGS as flagged now; what was said of which finding, by cluster id; entries that suppress nothing, because no
    finding is meant or their day has passed."""

    findings: pl.DataFrame
    labels: dict[int, Entry]
    unmatched: list[Entry]
    expired: list[Entry]

    def notes(self) -> list[str]:
        """What every report says of the list; nothing where there is nothing to say."""
        out = []
        n = int(self.findings["suppressed"].sum())
        if n:
            out.append(
                f"{n:,} {'finding is' if n == 1 else 'findings are'} suppressed: on the allow-list, not deleted."
            )
        for entries, what in ((self.unmatched, "match no finding"), (self.expired, "have expired")):
            if entries:
                said = what.replace("match", "matches").replace("have", "has") if len(entries) == 1 else what
                noun = "entry" if len(entries) == 1 else "entries"
                out.append(f"{len(entries):,} {noun} of the allow-list {said}.")
        return out


def current(audit: Audit, today: datetime.date | None = None) -> Current:
    """The findings of an audit as the allow-list stands today. Raises BadInput for a damaged audit, UsageError for a
    list that cannot be used."""
    findings = audit.frame("findings")
    by_scan = pl.Series(audit.manifest.get(MANIFEST_KEY, []), dtype=pl.UInt32)
    if len(by_scan):
        own = pl.col("cluster_id").is_in(by_scan.implode())
        findings = findings.with_columns(
            suppressed=pl.col("suppressed") & ~own, reason=pl.when(~own).then(pl.col("reason"))
        )
    return apply(audit, findings, audit.frame("templates"), entries_of(audit), today)


def entries_of(audit: Audit) -> list[Entry]:
    """The allow-list of an audit; one that the user named must exist."""
    return allow.load(allow.list_path(audit.folder, audit.allow), required=audit.allow is not None)


def flag_stored(audit: Audit, findings: pl.DataFrame, templates: pl.DataFrame) -> pl.DataFrame:
    """FINDINGS as a scan stores them, and the note of it in the manifest. CLUSTERS and TEXTS must be written."""
    flagged = apply(audit, findings, templates, entries_of(audit)).findings
    ids = flagged.filter("suppressed")["cluster_id"].sort().to_list()
    audit.manifest.pop(MANIFEST_KEY, None)
    if ids:
        audit.manifest[MANIFEST_KEY] = ids
    return flagged


def apply(
    audit: Audit,
    findings: pl.DataFrame,
    templates: pl.DataFrame,
    entries: list[Entry],
    today: datetime.date | None = None,
) -> Current:
    """Flag the findings that `entries` accept.

    An entry means the finding of its fingerprint; else the one of its template; else, where neither exists any more,
    the one of the same kind that holds most of its members, at least half of them, the smaller one of equals. Of
    several entries for one finding the last holds. Costs a pass over TEXTS and CLUSTERS where members are looked for.
    """
    if not entries:
        return Current(findings, {}, [], [])
    today = today or datetime.date.today()
    meant = _meant(audit, findings, templates, entries)
    labels = {meant[i]: entry for i, entry in enumerate(entries) if i in meant}
    reasons = {
        cluster: entry.reason or NO_REASON
        for cluster, entry in labels.items()
        if entry.label == allow.ACCEPTED and not entry.expired(today)
    }
    unmatched = [e for i, e in enumerate(entries) if i not in meant and e.label == allow.ACCEPTED]
    expired = [e for i, e in enumerate(entries) if i in meant and e.expired(today)]
    return Current(_flagged(findings, reasons), labels, unmatched, expired)


def _flagged(findings: pl.DataFrame, reasons: Mapping[int, str]) -> pl.DataFrame:
    if not reasons:
        return findings
    listed = pl.DataFrame(
        {"cluster_id": list(reasons), "said": list(reasons.values())},
        schema={"cluster_id": pl.UInt32, "said": pl.String},
    )
    joined = findings.join(listed, on="cluster_id", how="left", maintain_order="left")
    said = pl.col("said").is_not_null()
    return joined.with_columns(suppressed=pl.col("suppressed") | said, reason=pl.coalesce("said", "reason")).drop(
        "said"
    )


def _meant(audit: Audit, findings: pl.DataFrame, templates: pl.DataFrame, entries: list[Entry]) -> dict[int, int]:
    """Entry (its position) -> cluster id of the finding that it means."""
    by_fingerprint = dict(findings.select("fingerprint", "cluster_id").iter_rows())
    by_template = dict(templates.select("template", "cluster_id").iter_rows())
    meant, lost = {}, []
    for i, entry in enumerate(entries):
        cluster = by_fingerprint.get(entry.fingerprint)
        if cluster is None and entry.template is not None:
            cluster = by_template.get(entry.template)
        if cluster is not None:
            meant[i] = cluster
        elif entry.members and entry.kind not in (None, "exact"):  # an exact one is its own only member
            lost.append(i)
    return meant | _by_members(audit, findings, {i: entries[i] for i in lost})


def _by_members(audit: Audit, findings: pl.DataFrame, lost: Mapping[int, Entry]) -> dict[int, int]:
    """Entries that no name finds any more, by what their clusters held."""
    if not lost:
        return {}
    keys = pl.Series(sorted({int(key, 16) for entry in lost.values() for key in entry.members}), dtype=pl.UInt64)
    texts = audit.scan("texts").filter(pl.col("key_lo").is_in(keys.implode())).select("text_id", "key_lo")
    known = findings.lazy().select("cluster_id", pl.col("kind").cast(pl.String), "n_texts")
    query = (
        audit.scan("clusters").select("cluster_id", "text_id").join(texts, on="text_id").join(known, on="cluster_id")
    )
    try:
        rows = query.select("cluster_id", "key_lo", "kind", "n_texts").collect(engine="streaming").rows()
    except (OSError, pl.exceptions.PolarsError) as error:
        what = f"{audit.folder} holds no readable texts.parquet and clusters.parquet"
        raise BadInput(what, str(error).splitlines()[0][:200], "scan again with --fresh") from error
    holders: dict[int, list[tuple[int, str, int]]] = {}
    for cluster, key, kind, n_texts in rows:
        holders.setdefault(key, []).append((cluster, kind, n_texts))
    found = {i: _best(entry, holders) for i, entry in lost.items()}
    return {i: cluster for i, cluster in found.items() if cluster is not None}


def _best(entry: Entry, holders: Mapping[int, Iterable[tuple[int, str, int]]]) -> int | None:
    shared: Counter[tuple[int, str, int]] = Counter()
    for key in entry.members:
        shared.update(holder for holder in holders.get(int(key, 16), ()) if holder[1] == entry.kind)
    enough = [(-n, n_texts, cluster) for (cluster, _, n_texts), n in shared.items()]
    enough = [one for one in enough if -one[0] >= LEAST_SHARED * len(entry.members)]
    return min(enough)[2] if enough else None


def member_keys(audit: Audit, cluster: int) -> tuple[str, ...]:
    """What an entry keeps of a finding's members: the smallest keys, so that it does not depend on their order."""
    inside = audit.scan("clusters").filter(pl.col("cluster_id") == cluster).select("text_id")
    keys = audit.scan("texts").join(inside, on="text_id", how="semi").select(pl.col("key_lo").bottom_k(allow.MEMBERS))
    return tuple(f"{key:016x}" for key in sorted(keys.collect(engine="streaming")["key_lo"].to_list()))
