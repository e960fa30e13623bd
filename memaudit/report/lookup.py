"""Which finding a name means: a cluster_id, a fingerprint, or the start of one."""

from __future__ import annotations

import difflib
from itertools import takewhile
from typing import TYPE_CHECKING

import polars as pl

from memaudit.errors import UsageError
from memaudit.sources import shown

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SHORTEST = 8  # hex digits of a fingerprint that reports print at least
NEAR_MATCHES = 5
_LOOKED_AT = 2000  # findings that a near match is looked for among


def short(fingerprint: str, findings: pl.DataFrame) -> str:
    """The shortest prefix of a fingerprint, of 8 hex digits or more, that names one finding only."""
    for length in range(SHORTEST, len(fingerprint)):
        prefix = fingerprint[:length]
        if findings["fingerprint"].str.starts_with(prefix).sum() == 1 and _by_number(prefix, findings) is None:
            return prefix
    return fingerprint


def _by_number(name: str, findings: pl.DataFrame) -> pl.DataFrame | None:
    """The finding with this cluster_id, where `name` is one as it is printed (no leading zeros)."""
    if not (name.isascii() and name.isdecimal() and str(int(name[:20])) == name):
        return None
    found = (
        findings.filter(pl.col("cluster_id").cast(pl.UInt64) == int(name)) if int(name) < 2**32 else findings.clear()
    )
    return found if len(found) else None


def find(folder: Path, findings: pl.DataFrame, cluster: int | str) -> pl.DataFrame:
    """The one finding that `cluster` names: a cluster_id, a fingerprint or the start of one.

    Returns one row of FINDINGS. Raises UsageError, with what comes near, for none or several.
    """
    name = str(cluster).strip()
    exact = findings.filter(pl.col("fingerprint") == name.lower())
    if len(exact) == 1:
        return exact
    if (numbered := _by_number(name, findings)) is not None:
        return numbered
    started = findings.filter(pl.col("fingerprint").str.starts_with(name.lower())) if name else findings.clear()
    if len(started) == 1:
        return started
    listing = f"memaudit report {shown(str(folder))}"
    if len(started) > 1:
        what = f"{shown(name)[:40]!r} is the start of {len(started):,} fingerprints"
        raise UsageError(
            what, f"among them: {_listed(started['fingerprint'])}", "type more of it, or the cluster's number"
        )
    near = _near(name.lower(), findings)
    what = f"no finding is called {shown(name)[:40]!r}"
    why_not = f"nearest: {_listed(near)}" if near else "a cluster_id, a fingerprint or its start is wanted"
    if len(findings) == 0:
        why_not = "this audit has no findings"
    elif name.isdecimal():
        why_not = f"a cluster without a finding is below the info band; {why_not}"
    raise UsageError(what, why_not, listing)


def _listed(fingerprints: Iterable[str]) -> str:
    return ", ".join(list(fingerprints)[:NEAR_MATCHES])


def _near(name: str, findings: pl.DataFrame) -> list[str]:
    """Fingerprints that look like `name`: the same start, else few other digits; the riskiest first."""
    known: list[str] = findings.sort("risk", descending=True)["fingerprint"].head(_LOOKED_AT).to_list()
    shared = {text: _common_start(text, name) for text in known}
    longest = max(shared.values(), default=0)
    if longest >= 3:
        return [text for text in known if shared[text] == longest]
    return difflib.get_close_matches(name[:16], known, n=NEAR_MATCHES)


def _common_start(a: str, b: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))
