"""How sure a rate of replication is when sampling stops as soon as enough is known.

Every bound here holds at all sample sizes at once, so it may be looked at after each picture and sampling may stop for
any reason. A fixed-size interval (Wilson, Clopper-Pearson) may not: the tests measure how often it errs when peeked at.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

GRID = 64  # alternatives that an e-value is averaged over
_STEPS = 60  # bisections: the width of a double's mantissa, and some

_DISTANCE = np.sin(np.pi / 2 * np.arange(1, GRID + 1) / GRID) ** 2
"""How far alternative k lies from the null rate (0) to the certain event (1): evenly spaced on the arcsine scale, the
discrete form of Jeffreys' prior, so that neither rare nor certain replication is favoured."""


def confidence_sequence(hits: int, n: int, alpha: float) -> tuple[float, float]:
    """Two-sided interval for a rate that covers it at every n at once with probability >= 1 - alpha.

    hits of n samples, n >= 0; alpha in (0, 1). The set {p: B(h + 1/2, m + 1/2) / B(1/2, 1/2) / (p^h (1-p)^m) < 1/alpha}
    with m = n - hits: the likelihood averaged over Beta(1/2, 1/2), divided by that of p, is a martingale of mean 1 when
    p is the rate, and Ville's inequality bounds the chance that it ever reaches 1/alpha (Robbins, Ann. Math. Stat.
    41(5), 1970; Howard et al., Ann. Stat. 49(2), 2021). The set is an interval, because the log of the denominator is
    concave in p. Raises ValueError for counts or an alpha that are none.
    """
    _check(hits, n, alpha)
    misses = n - hits
    mixed = _log_beta(hits + 0.5, misses + 0.5) - _log_beta(0.5, 0.5)

    def inside(p: float) -> bool:
        return mixed - _log_power(p, hits) - _log_power(1 - p, misses) < -math.log(alpha)

    share = hits / n if n else 0.5
    low = 0.0 if inside(0.0) else _edge(inside, share, 0.0)
    high = 1.0 if inside(1.0) else _edge(inside, share, 1.0)
    return low, high


def e_value(hits: int, n: int, null_rate: float) -> float:
    """Evidence against "the rate is at most `null_rate`": >= 0, of mean at most 1 while that holds; 1 says nothing.

    The mean over `GRID` fixed alternatives q in (null_rate, 1] of (q/p0)^hits ((1-q)/(1-p0))^(n-hits). One sample
    multiplies a term by p q/p0 + (1-p) (1-q)/(1-p0) on average: linear in p, rising since q >= p0, and 1 at p = p0, so
    at most 1 for every p <= p0; hence each term, and their mean, is a supermartingale, and stopping early keeps its
    mean at most 1. By Ville's inequality it ever reaches 1/alpha with probability <= alpha. Infinite where a hit
    contradicts a null rate of 0. Raises ValueError for counts or a rate that are none.
    """
    _check(hits, n, 0.5)
    if not 0 <= null_rate <= 1:
        raise ValueError(f"{null_rate} is no rate")
    if null_rate == 1:
        return 1.0  # nothing lies above it
    if null_rate == 0 and hits:
        return math.inf
    with np.errstate(divide="ignore", invalid="ignore"):
        rise = np.log1p(_DISTANCE * (1 - null_rate) / null_rate) if null_rate else np.zeros(GRID)
        fall = np.log1p(-_DISTANCE)  # (1 - q) / (1 - p0); -inf at q = 1
        logs = hits * rise + (np.multiply(n - hits, fall) if n > hits else 0.0)
    top = float(logs.max())
    if top == -math.inf:
        return 0.0
    log_mean = top + math.log(float(np.exp(logs - top).mean()))
    return math.exp(log_mean) if log_mean < 700 else math.inf


def upper_limit(hits: int, n: int, alpha: float) -> float:
    """One-sided bound that is above the rate at every n at once with probability >= 1 - alpha.

    The smallest p whose claim "the rate is at least p" is refuted, which is the e-value of the misses against "at most
    1 - p" reaching 1/alpha. Each p has its own supermartingale and only the one at the true rate must never err, so no
    correction for looking at many p is due. The e-value rises with p (each term is (q/p)^hits ((1-q)/(1-p))^misses with
    q/p fixed by the grid, and (1 - r p)/(1 - p) rises for r < 1), so what is not refuted is [0, limit). With no miss
    yet the limit is 1. It is lower than the upper end of `confidence_sequence` at the same alpha, which guards both
    sides. Raises ValueError as `confidence_sequence`.
    """
    _check(hits, n, alpha)
    if hits == n:
        return 1.0
    return _edge(lambda p: e_value(n - hits, n, 1 - p) < 1 / alpha, hits / n, 1.0)


def e_bh(e_values: np.ndarray, alpha: float) -> np.ndarray:
    """Which of m hypotheses to reject so that the expected share of false ones among them is at most alpha.

    e_values: float (m,), >= 0, NaN where nothing was measured (never rejected, but counted in m). Returns bool (m,).
    The base e-BH procedure: reject the k largest, k the largest number such that the k-th of them is at least
    m / (alpha k) (Wang & Ramdas, JRSS B 84(3), 2022). It holds under any dependence and however each e-value was
    stopped.
    """
    values = np.nan_to_num(np.asarray(e_values, np.float64), nan=0.0, posinf=np.inf)
    m = len(values)
    order = np.argsort(-values, kind="stable")
    enough_for = np.flatnonzero(values[order] * np.arange(1, m + 1) * alpha >= m)
    rejected = np.zeros(m, np.bool_)
    if len(enough_for):
        rejected[order[: enough_for[-1] + 1]] = True
    return rejected


def enough(hits: int, n: int, null_rate: float, m: int, alpha: float) -> bool:
    """Whether sampling may stop: `e_bh` rejects this one of m hypotheses whatever the others show."""
    return e_value(hits, n, null_rate) * alpha >= m


def _check(hits: int, n: int, alpha: float) -> None:
    if not 0 <= hits <= n:
        raise ValueError(f"{hits} of {n} is no count of hits")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha}, it must lie in (0, 1)")


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _log_power(base: float, exponent: int) -> float:
    """log(base^exponent), with 0^0 = 1."""
    if exponent == 0:
        return 0.0
    return exponent * math.log(base) if base > 0 else -math.inf


def _edge(inside: Callable[[float], bool], within: float, outside: float) -> float:
    """Where `inside` ends between a point inside and one beyond it, rounded outwards."""
    for _ in range(_STEPS):
        middle = (within + outside) / 2
        if inside(middle):
            within = middle
        else:
            outside = middle
    return outside


def fixed_upper_limit(hits: int, n: int, alpha: float) -> float:
    """One-sided upper limit of a rate for a number of samples that was fixed beforehand (Clopper & Pearson, 1934).

    The rate at which `hits` or fewer of n have probability alpha. For controls, at which nobody peeks; never for
    samples that stop early. Raises ValueError as `confidence_sequence`.
    """
    _check(hits, n, alpha)
    if hits == n:
        return 1.0

    def likely(p: float) -> bool:
        terms = (math.log(math.comb(n, k)) + _log_power(p, k) + _log_power(1 - p, n - k) for k in range(hits + 1))
        return sum(map(math.exp, terms)) >= alpha

    return _edge(likely, hits / n, 1.0)
