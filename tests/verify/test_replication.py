"""What counts as a copy: whole pictures, shared regions, and what must not count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memaudit.rules import verify_rules
from memaudit.verify.replication import Compared, Limits, compare, copies, limits, originals
from tests.verify.pictures_made import SIZE, framed, noisy, scenes


def of(pictures: np.ndarray, groups: np.ndarray | None = None):
    return originals(pictures, tuple(f"p{i}" for i in range(len(pictures))), groups)


def test_a_copy_is_near_as_a_whole_and_another_scene_is_not() -> None:
    training = scenes(5, 1)
    compared = compare(np.concatenate([noisy(training[2:3], 7), scenes(1, 50)]), of(training))
    assert compared.nearest[0] == 2
    assert compared.whole[0] < 0.05 < 0.3 < compared.whole[1]
    assert copies(compared, Limits(0.2, 0.2)).any.tolist() == [True, False]


def test_a_frame_around_something_new_is_a_copied_region_and_no_copied_picture() -> None:
    compared = compare(noisy(framed(3, 60), 8), of(framed(6, 2)))
    assert (compared.region < 0.05).all()
    assert (compared.whole > 0.2).all()
    assert compared.share == pytest.approx(0.75)
    assert (compared.pattern >= 0).all()
    away = compare(scenes(3, 61), of(framed(6, 2)))
    assert (away.region > 0.2).all()


def test_pictures_that_share_nothing_have_no_region() -> None:
    compared = compare(scenes(2, 5), of(scenes(6, 4)))
    assert np.isinf(compared.region).all()
    assert (compared.pattern == -1).all()
    assert not copies(compared, Limits(0.0, 0.9)).any.any()


def test_a_blank_that_pictures_share_is_no_evidence() -> None:
    pictures = scenes(4, 9)
    pictures[:, : SIZE // 2] = 255
    assert not of(pictures).masks.any()


def test_one_picture_saved_twice_shares_nothing_with_itself() -> None:
    twice = np.concatenate([scenes(1, 3), noisy(scenes(1, 3), 1, 1)])
    assert not of(twice).masks.any()


def test_pictures_of_one_group_are_not_compared_with_each_other() -> None:
    pictures = framed(4, 2)
    assert of(pictures).masks.any()
    assert not of(pictures, np.zeros(4, np.int64)).masks.any()


def test_without_originals_nothing_is_near() -> None:
    compared = compare(scenes(2, 1), of(scenes(0, 1)))
    assert np.isinf(compared.whole).all()
    assert not copies(compared, Limits(1.0, 1.0)).any.any()


def test_limits_follow_the_smaller_median_of_the_controls() -> None:
    rules = verify_rules()["copy"]
    far = np.array([0.8, 0.6, 0.9], np.float32)
    other = Compared(far, np.zeros(3, int), far, np.zeros(3, np.float32), np.zeros(3, int))
    limit = limits(np.array([0.5, 0.4, 0.1], np.float32), other)
    assert limit.whole == pytest.approx(rules["whole"] * 0.4)
    assert limit.region == pytest.approx(rules["region"] * 0.8)
    nowhere = other._replace(region=np.full(3, np.inf, np.float32))
    assert limits(np.array([0.5], np.float32), nowhere).region == 0


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(6)))
def test_the_order_of_the_originals_does_not_matter(order: list[int]) -> None:
    training, samples = np.concatenate([framed(3, 2), scenes(3, 4)]), framed(2, 70)
    one, other = compare(samples, of(training)), compare(samples, of(training[order]))
    np.testing.assert_allclose(one.whole, other.whole, atol=1e-6)
    np.testing.assert_allclose(one.region, other.region, atol=0.02)  # ties between regions of one size
