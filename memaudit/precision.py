"""What labels say of rules and severities: of the findings that people looked at, how many were true."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from memaudit.allow import DANGEROUS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memaudit.allow import Entry

VERSION = 1
Z = 1.959964  # of a two-sided interval of 95 %
UNKNOWN = "unknown"  # entries written by hand, which say neither rule nor severity
ORDER = ("critical", "high", "medium", "low", "info", UNKNOWN)


def wilson(true: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share, `true` of `n` (n > 0). Wilson, JASA 22(158), 1927."""
    share, z2 = true / n, Z * Z
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    low, high = middle - half, middle + half
    return (0.0 if true == 0 else max(0.0, low)), (1.0 if true == n else min(1.0, high))


def precision(entries: Sequence[Entry]) -> dict[str, Any]:
    """Precision y / (y + n) by rule and by severity, and of all labels, as JSON types; expired labels count too: what
    was seen was seen. Rule and severity are those at the time of the label."""
    severities = sorted({entry.severity or UNKNOWN for entry in entries}, key=ORDER.index)
    codes = sorted({entry.rule or UNKNOWN for entry in entries}, key=lambda code: (code == UNKNOWN, code))
    return {
        "version": VERSION,
        "labels": len(entries),
        "by_rule": {code: _share([e for e in entries if (e.rule or UNKNOWN) == code]) for code in codes},
        "by_severity": {name: _share([e for e in entries if (e.severity or UNKNOWN) == name]) for name in severities},
        "all": _share(entries),
    }


def _share(entries: Sequence[Entry]) -> dict[str, Any]:
    n, true = len(entries), sum(entry.label == DANGEROUS for entry in entries)
    low, high = wilson(true, n) if n else (None, None)
    return {"n": n, "true": true, "precision": true / n if n else None, "low": low, "high": high}
