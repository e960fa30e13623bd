"""Which samples copy: each is compared with the pictures of its cluster, as a whole and in the region that they share.

What a copy is depends on the pictures: photographs on white lie near each other without any copying. So distances are
judged against those of controls, in the same run, to galleries of the same size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from memaudit.rules import verify_rules
from memaudit.verify.likeness import as_unit, common_region, masked_rmse_matrix, tiled_l2_matrix

COMPARED = 128  # pixels a side at most: finer detail tells no copy from another picture, and pairs cost its square


def compared_size(size: int) -> int:
    """px at which pictures of `size` px are compared."""
    return min(size, COMPARED)


@dataclass(frozen=True)
class Originals:
    """The pictures that samples of a cluster are compared with: training pictures, or the first samples of each prompt.

    pictures: uint8 (m, S, S, 3). names: (m,), for reports. masks: bool (m, S, S), the largest region that a picture
    shares with one of another group, empty where there is none. A group is a picture, or a prompt's first samples.
    """

    pictures: np.ndarray
    names: tuple[str, ...]
    masks: np.ndarray

    def __len__(self) -> int:
        return len(self.pictures)


class Compared(NamedTuple):
    """Of each sample: whole float32 (n,), tiled l2 to the nearest original; nearest int64 (n,); region float32 (n,),
    root mean square in the nearest shared region (inf where there is none); share float32 (n,), that region's part of
    the picture; pattern int64 (n,), the original that it is a region of."""

    whole: np.ndarray
    nearest: np.ndarray
    region: np.ndarray
    share: np.ndarray
    pattern: np.ndarray


class Limits(NamedTuple):
    """Distances below which a sample is a copy, as a whole and in the shared region."""

    whole: float
    region: float


class Copies(NamedTuple):
    """Of each sample, bool (n,): whether it copies an original as a whole, and a shared region."""

    whole: np.ndarray
    region: np.ndarray

    @property
    def any(self) -> np.ndarray:
        return np.asarray(self.whole | self.region)


def originals(pictures: np.ndarray, names: tuple[str, ...], groups: np.ndarray | None = None) -> Originals:
    """Originals with the regions that they share. groups: int (m,); None: every picture is a group.

    Cost: every pair of pictures of different groups, some milliseconds each at 128 pixels.
    """
    groups = np.arange(len(pictures)) if groups is None else groups
    return Originals(pictures, names, _shared(pictures, groups))


def _shared(pictures: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """bool (m, S, S): of each picture the largest region that another group's picture shares.

    Pictures that agree nearly everywhere are one picture and share nothing; blank regions are no evidence; and of many
    pictures some two agree somewhere by chance, so a region counts where enough others share one with its picture.
    """
    rules, unit = verify_rules()["copy"], as_unit(pictures)
    masks = np.zeros(pictures.shape[:3], np.bool_)
    largest, sharing, others_of = np.zeros(len(pictures)), np.zeros(len(pictures)), np.zeros(len(pictures))
    for i in range(len(pictures) - 1):
        others = np.flatnonzero(groups[i + 1 :] != groups[i]) + i + 1
        others_of[i] += len(others)
        others_of[others] += 1
        if not len(others):
            continue
        agree = np.abs(unit[i] - unit[others]).sum(axis=-1) < rules["agree"]
        # Webster's masks grow by some pixels, which in a small picture is a lot: what grows into a difference goes.
        regions = agree & common_region(unit[i], unit[others], rules["agree"])
        shares = regions.mean(axis=(1, 2))
        for j, region, share in zip(others.tolist(), regions, shares.tolist(), strict=True):
            if rules["least_region"] <= share <= rules["most_region"] and _detail(unit[i], region) >= rules["detail"]:
                for k in (i, j):
                    sharing[k] += 1
                    if share > largest[k]:
                        masks[k], largest[k] = region, share
    masks[sharing < rules["sharing"] * others_of] = False
    return masks


def _detail(picture: np.ndarray, region: np.ndarray) -> float:
    """Standard deviation inside a region, mean over channels: 0 for a blank."""
    return float(picture[region].std(axis=0).mean())


def compare(samples: np.ndarray, with_: Originals) -> Compared:
    """Distances of samples, uint8 (n, S, S, 3), to originals of the same size S."""
    n = len(samples)
    if not n or not len(with_):
        far = np.full(n, np.inf, np.float32)
        none = np.full(n, -1)
        return Compared(far, none, far, np.zeros(n, np.float32), none)
    whole = tiled_l2_matrix(samples, with_.pictures)
    shares = with_.masks.mean(axis=(1, 2)).astype(np.float32)
    region = masked_rmse_matrix(with_.pictures, samples, with_.masks)  # (m, n): a mask goes with its original
    region = np.where(np.isnan(region), np.float32(np.inf), region)
    pattern = region.argmin(axis=0)
    return Compared(
        whole.min(axis=1),
        whole.argmin(axis=1),
        region.min(axis=0),
        shares[pattern],
        np.where(shares[pattern], pattern, -1),
    )


def limits(own: np.ndarray, other: Compared) -> Limits:
    """Distances below which a sample copies: a share of the controls' median.

    own: float32, distances (tiled l2) of control samples to galleries that hold the control's own picture; other: the
    control samples compared with this cluster's originals. The smaller median counts: the first is large where a model
    draws what a caption says, the second is small where a cluster's pictures are plain.
    """
    rules = verify_rules()["copy"]
    medians = [float(np.median(x)) for x in (own, other.whole) if len(x)]
    whole = rules["whole"] * min(medians, default=0.0)
    region = rules["region"] * float(np.median(other.region)) if len(other.region) else 0.0
    return Limits(whole, region if np.isfinite(region) else 0.0)


def copies(compared: Compared, limit: Limits) -> Copies:
    """Which samples copy."""
    return Copies(compared.whole < limit.whole, compared.region < limit.region)
