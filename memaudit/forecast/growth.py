"""How many different captions a dataset holds, from a random sample of its rows.

How likely the next caption is to be new is known for every part m <= n of a sample (rarefaction; at m = n it is Good
and Turing's estimate: captions seen once, over n). In text it falls like a power of m, so the last stretch of that
curve, from n / 2 to n, is continued as a straight line in log-log to all captions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Repetition:
    """Shares of captions that repeat an earlier one, in [0, 1], and distinct captions in all.

    at_least: within the sample; more rows only add to it. estimate: over everything. exact: all was in the sample.
    """

    at_least: float
    estimate: float
    texts: int
    exact: bool


def repetition(keys: np.ndarray, total: int) -> Repetition:
    """Of a random sample `keys` (uint64 (n,), equal for equal captions) of `total` captions.

    Measured on generated captions (10 M, 26.0 % repeat): 22 % from 200,000, 23 % from a million; on Zipf and Pareto
    draws within .1 points. It errs low where most captions that repeat do so only once or twice.
    """
    counts = np.unique(keys, return_counts=True)[1]
    n, distinct = len(keys), len(counts)
    if not n:
        return Repetition(0.0, 0.0, 0, True)
    at_least = 1 - distinct / n
    if total <= n:
        return Repetition(at_least, at_least, distinct, True)
    texts = distinct + new_captions(counts, n, total)
    return Repetition(at_least, 1 - texts / total, round(texts), False)


def new_captions(counts: np.ndarray, n: int, total: int) -> float:
    """Distinct captions that the `total - n` captions beyond the sample add; counts: of each distinct one in it."""
    half, full = (share_new(counts, n, size) for size in (n // 2, n))
    if full <= 0:  # every caption was seen twice: what comes is known
        return 0.0
    slope = min(0.0, math.log(full / half) / math.log(2)) if half > 0 else 0.0
    grown, power = total / n, 1 + slope
    stretch = math.log(grown) if abs(power) < 1e-9 else (grown**power - 1) / power
    return min(n * full * stretch, float(total - n))


def share_new(counts: np.ndarray, n: int, size: int) -> float:
    """The share of new captions when a sub-sample of `size` of the n rows grows by one row (binomial thinning)."""
    frequency = np.bincount(counts)
    times = np.flatnonzero(frequency)
    return float((frequency[times] * times * (1 - size / n) ** (times - 1.0)).sum() / n)
