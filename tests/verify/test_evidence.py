"""Bounds that may be looked at all the time: hand-computed values, then simulated errors under continuous looking."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memaudit.precision import wilson
from memaudit.verify.evidence import (
    GRID,
    confidence_sequence,
    e_bh,
    e_value,
    enough,
    fixed_upper_limit,
    upper_limit,
)

if TYPE_CHECKING:
    from collections.abc import Callable

RUNS, LONGEST, ALPHA = 2000, 64, 0.05
RATES = (0.02, 0.05, 0.1, 0.3, 0.5)
COUNTS = [(hits, n) for n in range(LONGEST + 1) for hits in range(n + 1)]


def most(nominal: float, runs: int = RUNS) -> float:
    """The share of errors that chance leaves room for: four standard deviations above the nominal one."""
    return nominal + 4 * math.sqrt(nominal * (1 - nominal) / runs)


def table(value: Callable[[int, int], float]) -> np.ndarray:
    """value(hits, n) for all counts up to LONGEST, float (n, hits)."""
    out = np.full((LONGEST + 1, LONGEST + 1), np.nan)
    for hits, n in COUNTS:
        out[n, hits] = value(hits, n)
    return out


def paths(rate: float | np.ndarray, runs: int = RUNS, seed: int = 0) -> np.ndarray:
    """Hits after 1..LONGEST samples, int (runs, LONGEST)."""
    drawn = np.random.default_rng(seed).random((runs, LONGEST)) < np.broadcast_to(np.reshape(rate, (-1, 1)), (runs, 1))
    return np.cumsum(drawn, axis=1)


def looked_up(values: np.ndarray, hits: np.ndarray) -> np.ndarray:
    return values[np.arange(1, LONGEST + 1), hits]


def test_nothing_sampled_says_nothing() -> None:
    assert confidence_sequence(0, 0, 0.05) == (0.0, 1.0)
    assert upper_limit(0, 0, 0.05) == 1.0
    assert e_value(0, 0, 0.1) == pytest.approx(1)


def test_the_sequence_after_one_sample() -> None:
    # B(3/2, 1/2) / B(1/2, 1/2) = 1/2, so p is inside while 1 / (2 p) < 20
    low, high = confidence_sequence(1, 1, 0.05)
    assert (low, high) == (pytest.approx(0.025), 1.0)
    assert confidence_sequence(0, 1, 0.05) == (0.0, pytest.approx(0.975))


def test_the_sequence_after_two_different_samples() -> None:
    # B(3/2, 3/2) / B(1/2, 1/2) = (pi/8) / pi, so the ends solve p (1 - p) = alpha / 8
    low, high = confidence_sequence(1, 2, 0.05)
    end = (1 - math.sqrt(1 - 4 * 0.05 / 8)) / 2
    assert (low, high) == (pytest.approx(end), pytest.approx(1 - end))


@pytest.mark.parametrize(("hits", "n"), [(0, 16), (3, 16), (16, 16), (20, 50), (1, 500), (4000, 10_000)])
def test_the_sequence_against_scipy(hits: int, n: int) -> None:
    special = pytest.importorskip("scipy.special")
    optimize = pytest.importorskip("scipy.optimize")
    mixed = special.betaln(hits + 0.5, n - hits + 0.5) - special.betaln(0.5, 0.5)

    def excess(p: float) -> float:
        return float(mixed - special.xlogy(hits, p) - special.xlog1py(n - hits, -p) + math.log(ALPHA))

    low, high = confidence_sequence(hits, n, ALPHA)
    if hits:
        assert low == pytest.approx(optimize.brentq(excess, 1e-300, hits / n, xtol=1e-12))
    if hits < n:
        assert high == pytest.approx(optimize.brentq(excess, hits / n, 1 - 1e-15, xtol=1e-12))


def test_the_e_value_of_one_sample() -> None:
    # alternatives q = p0 + d (1 - p0), and the mean of d = sin^2 over the grid is (1 + 1/GRID) / 2
    mean = (1 + 1 / GRID) / 2
    assert e_value(1, 1, 0.1) == pytest.approx((0.1 + 0.9 * mean) / 0.1)
    assert e_value(0, 1, 0.1) == pytest.approx(1 - mean)


def test_e_values_at_the_ends() -> None:
    assert e_value(1, 5, 0.0) == math.inf
    assert 0 < e_value(0, 5, 0.0) < 1
    assert e_value(5, 5, 1.0) == 1.0
    assert e_value(5000, 5000, 0.01) == math.inf  # beyond a double, not an error
    assert e_value(0, 100_000, 0.5) == pytest.approx(0, abs=1e-9)


@given(st.floats(0.001, 0.999), st.integers(1, 12))
def test_the_mean_of_an_e_value_at_the_boundary_is_one(rate: float, n: int) -> None:
    chances = [math.comb(n, h) * rate**h * (1 - rate) ** (n - h) for h in range(n + 1)]
    mean = sum(chance * e_value(h, n, rate) for h, chance in enumerate(chances))
    assert mean == pytest.approx(1)
    below = [math.comb(n, h) * (rate / 2) ** h * (1 - rate / 2) ** (n - h) for h in range(n + 1)]
    assert sum(chance * e_value(h, n, rate) for h, chance in enumerate(below)) < 1


@given(st.integers(0, 80), st.integers(0, 80), st.floats(0.001, 0.5))
def test_the_limits_agree_with_e_values_and_lie_around_the_share(hits: int, misses: int, alpha: float) -> None:
    n = hits + misses
    low, high = confidence_sequence(hits, n, alpha)
    upper = upper_limit(hits, n, alpha)
    if n:
        assert 0 <= low <= hits / n <= high <= 1
        assert hits / n <= upper
    if upper < 1:
        assert e_value(misses, n, 1 - min(1, upper + 1e-9)) >= 1 / alpha * (1 - 1e-6)
        assert e_value(misses, n, 1 - (upper - 1e-6)) < 1 / alpha
    assert upper_limit(hits, n, alpha / 2) >= upper
    assert confidence_sequence(hits, n, alpha / 2)[1] >= high


def test_one_side_costs_less_than_two() -> None:
    for n in (8, 16, 50):
        assert upper_limit(0, n, ALPHA) < confidence_sequence(0, n, ALPHA)[1]
        assert upper_limit(0, n, ALPHA) > 1 - ALPHA ** (1 / n)  # the exact bound that may be looked at once


@pytest.mark.parametrize("bad", [(-1, 4, 0.05), (5, 4, 0.05), (1, 4, 0.0), (1, 4, 1.0)])
def test_counts_that_are_none_are_refused(bad: tuple[int, int, float]) -> None:
    for bound in (confidence_sequence, upper_limit):
        with pytest.raises(ValueError, match=r"is no count|must lie"):
            bound(*bad)
    with pytest.raises(ValueError, match="no rate"):
        e_value(1, 4, 1.5)


def test_e_bh_by_hand() -> None:
    # m / (alpha k) = 40, 20, 13.3, 10 at alpha .1: the third value passes and takes the second with it
    values = np.array([2.0, 19.0, 45.0, 14.0])
    assert e_bh(values, 0.1).tolist() == [False, True, True, True]
    assert e_bh(np.array([2.0, 19.0, 39.0, 9.0]), 0.1).tolist() == [False] * 4
    assert e_bh(np.array([np.nan, np.inf]), 0.1).tolist() == [False, True]
    assert e_bh(np.array([]), 0.1).tolist() == []


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=30), st.floats(0.01, 0.5))
def test_e_bh_equals_its_definition(values: list[float], alpha: float) -> None:
    m = len(values)
    ranked = sorted(values, reverse=True)
    k = max((k for k in range(1, m + 1) if ranked[k - 1] * k * alpha >= m), default=0)
    rejected = e_bh(np.array(values), alpha)
    assert rejected.sum() == k
    assert sorted((v for v, r in zip(values, rejected, strict=True) if r), reverse=True) == ranked[:k]


def test_enough_guarantees_a_rejection() -> None:
    for hits in range(9):
        for others in (0.0, 3.0, 1e6):
            e = np.array([e_value(hits, 8, 0.05), others, others, 0.0])
            assert not enough(hits, 8, 0.05, 4, 0.1) or e_bh(e, 0.1)[0]
    assert enough(8, 8, 0.05, 100, 0.05)
    assert not enough(0, 8, 0.05, 1, 0.05)


@pytest.fixture(scope="module")
def ends() -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends of the confidence sequence."""
    both = {key: confidence_sequence(*key, ALPHA) for key in COUNTS}
    return table(lambda h, n: both[h, n][0]), table(lambda h, n: both[h, n][1])


@pytest.fixture(scope="module")
def limits() -> np.ndarray:
    return table(lambda h, n: upper_limit(h, n, ALPHA))


@pytest.mark.parametrize("rate", RATES)
def test_the_sequence_covers_at_all_sizes_at_once(rate: float, ends: tuple[np.ndarray, np.ndarray]) -> None:
    hits = paths(rate)
    missed = (looked_up(ends[0], hits) > rate) | (looked_up(ends[1], hits) < rate)
    assert missed.any(axis=1).mean() <= most(ALPHA)


@pytest.mark.parametrize("rate", RATES)
def test_the_upper_limit_holds_at_all_sizes_at_once(rate: float, limits: np.ndarray) -> None:
    assert (looked_up(limits, paths(rate)) < rate).any(axis=1).mean() <= most(ALPHA)


@pytest.mark.parametrize("boundary", RATES)
def test_e_values_err_as_promised_at_and_below_the_boundary(boundary: float) -> None:
    values = table(lambda h, n: e_value(h, n, boundary))
    for rate in (boundary, 0.7 * boundary):
        assert (looked_up(values, paths(rate)).max(axis=1) >= 1 / ALPHA).mean() <= most(ALPHA)


def test_e_values_find_what_lies_above() -> None:
    values = table(lambda h, n: e_value(h, n, 0.1))
    found = [(looked_up(values, paths(rate)).max(axis=1) >= 1 / ALPHA).mean() for rate in (0.2, 0.3, 0.5, 0.9)]
    assert found == sorted(found)
    assert found[1] > 0.8
    assert found[2] > 0.99


@pytest.mark.parametrize("rate", (0.1, 0.3, 0.5))
def test_a_wilson_interval_that_is_peeked_at_fails_the_same_test(rate: float) -> None:
    both = {(h, n): wilson(h, n) if n else (0.0, 1.0) for h, n in COUNTS}
    low, high = table(lambda h, n: both[h, n][0]), table(lambda h, n: both[h, n][1])
    hits = paths(rate)
    missed = (looked_up(low, hits) > rate) | (looked_up(high, hits) < rate)
    assert missed.any(axis=1).mean() > 2 * most(ALPHA)


@pytest.mark.parametrize("share_of_nulls", (1.0, 0.8, 0.4))
def test_false_discoveries_stay_below_alpha_with_early_stopping(share_of_nulls: float, limits: np.ndarray) -> None:
    """Clusters stop when they are found (`enough`), when they look hopeless, or at a size of their own."""
    runs, m, boundary, alpha = 400, 25, 0.1, 0.1
    rng = np.random.default_rng(7)
    is_null = rng.random((runs, m)) < share_of_nulls
    rate = np.where(is_null, boundary, rng.choice([0.3, 0.6, 0.95], (runs, m)))
    hits = paths(rate.ravel(), runs * m, seed=8)
    values = looked_up(table(lambda h, n: e_value(h, n, boundary)), hits)
    hopeless = looked_up(limits, hits) < 0.25
    done = (values >= m / alpha) | hopeless | (np.arange(1, LONGEST + 1) >= rng.integers(4, 65, (runs * m, 1)))
    final = values[np.arange(runs * m), done.argmax(axis=1)].reshape(runs, m)
    rejected = np.stack([e_bh(row, alpha) for row in final])
    false = (rejected & is_null).sum(axis=1) / np.maximum(1, rejected.sum(axis=1))
    assert false.mean() <= most(alpha, runs)
    if share_of_nulls < 1:
        assert (rejected & ~is_null).sum() / (~is_null).sum() > 0.35  # and it is no empty promise


def test_limits_of_a_fixed_number_by_hand() -> None:
    assert fixed_upper_limit(0, 60, 0.05) == pytest.approx(1 - 0.05 ** (1 / 60))
    assert fixed_upper_limit(1, 1, 0.05) == 1.0
    limit = fixed_upper_limit(1, 10, 0.05)  # where (1-p)^10 + 10 p (1-p)^9 is .05
    assert (1 - limit) ** 10 + 10 * limit * (1 - limit) ** 9 == pytest.approx(0.05)
    assert fixed_upper_limit(1, 64, 0.05) < upper_limit(1, 64, 0.05)  # what not peeking saves
