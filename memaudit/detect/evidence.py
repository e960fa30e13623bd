"""What the rows of a cluster add to its texts: rows, distinct pictures, distinct sites and how much one site
dominates."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from memaudit.detect import counting
from memaudit.detect.chosen import Chosen, is_chosen, number_of
from memaudit.detect.counting import count_values, mark_repeated, workspace
from memaudit.detect.ordering import lower_bound
from memaudit.jit import kernel, leaf
from memaudit.ragged import blocks
from memaudit.scratch import release

_COUNT = counting.COUNT
ROWS = 1 << 22  # grouped between two releases of mapped pages
PLACEHOLDER = 1  # picture key of all placeholders
_PLACEHOLDER = np.uint32(PLACEHOLDER)


class RowsByText(NamedTuple):
    """Rows of the chosen texts: number i owns site[row_at[i]:row_at[i + 1]], likewise image, which may be left out
    (length 0); 0 stands for none, `PLACEHOLDER` for any placeholder picture. 32 bits of a picture's key are enough to
    count the distinct ones of a cluster."""

    chosen: Chosen
    row_at: np.ndarray  # int64 (chosen + 1,)
    image: np.ndarray  # uint32
    site: np.ndarray  # uint32


class Evidence(NamedTuple):
    """By cluster: n_rows int64; n_images and n_sites uint32, 0 where no row has a reference; focus float32, the share
    of the largest site among the rows that have one, less what one row alone would give; NaN where fewer than two rows
    have a site; share float64, mean similarity of the members; n_pictured and n_placeholders int64, rows that have a
    picture, and those whose picture is a placeholder (0, as n_images, where pictures were left out); n_shown and
    n_repeating int64, texts with a picture that is no placeholder, and those of them at least half of whose pictured
    rows show what another row of the cluster shows (0 for a single text, whose rows speak for themselves)."""

    n_rows: np.ndarray
    n_images: np.ndarray
    n_sites: np.ndarray
    focus: np.ndarray
    share: np.ndarray
    n_pictured: np.ndarray
    n_placeholders: np.ndarray
    n_shown: np.ndarray
    n_repeating: np.ndarray


@leaf
def _start(bits, first, n_rows, row_at, n, total):
    """row_at[n + 1] becomes the first row of the n-th chosen text; texts first.. of n_rows. Returns n and the rows."""
    for t in range(len(n_rows)):
        if is_chosen(bits, first + t):
            row_at[n + 1] = total
            total += n_rows[t]
            n += 1
    return n, total


@leaf
def _short(key, placeholders):
    """32 bits of a picture's key; placeholders: uint64, ascending."""
    low = lower_bound(placeholders, key)
    if low < len(placeholders) and placeholders[low] == key:
        return _PLACEHOLDER
    short = np.uint32((key ^ (key >> np.uint64(32))) & np.uint64(0xFFFFFFFF))
    return short if key == 0 or short > _PLACEHOLDER else short + np.uint32(2)


@leaf
def _group(bits, before, text, image, site, row_at, placeholders, out_image, out_site):
    """row_at[n + 1] is where the next row of number n goes, and where its rows end in the end."""
    pictures = len(out_image) > 0
    for k in range(len(text)):
        t = np.int64(text[k])
        if is_chosen(bits, t):
            n = number_of(bits, before, t) + 1
            at = row_at[n]
            out_site[at] = site[k]
            if pictures:
                out_image[at] = _short(image[k], placeholders)
            row_at[n] = at + 1


def rows_by_text(
    chosen: Chosen, n_rows: np.ndarray, text: np.ndarray, image: np.ndarray, site: np.ndarray,
    placeholders: np.ndarray | None,
) -> RowsByText:  # fmt: skip
    """Group the rows of chosen texts. n_rows: by text; text, image, site: by row, 0 for none. All may be mapped.

    placeholders: keys (uint64, ascending) of pictures that say nothing; None leaves all pictures out. One pass; 8 bytes
    a chosen text, 4 bytes a row (8 with pictures).
    """
    row_at, n, total = np.zeros(len(chosen) + 1, np.int64), 0, 0
    for a, b in blocks(len(n_rows), ROWS):
        n, total = _start(chosen.bits, a, n_rows[a:b], row_at, n, total)
        release(n_rows)
    known, n_pictures = (placeholders, total) if placeholders is not None else (np.empty(0, np.uint64), 0)
    grouped = RowsByText(chosen, row_at, np.empty(n_pictures, np.uint32), np.empty(total, np.uint32))
    for a, b in blocks(len(text), ROWS):
        _group(*chosen, text[a:b], image[a:b], site[a:b], row_at, known, grouped.image, grouped.site)
        release(text, image, site)
    return grouped


@leaf
def _largest(groups, n):
    most = np.int64(0)
    for g in range(n):
        most = max(most, groups[g, _COUNT])
    return most


@leaf
def _locate(text, bits, before, row_at, site, start, stop, first_site):
    """Where the rows of texts lie, and the site of the first. Look-ups miss the cache: loops without a branch let the
    misses overlap."""
    for e in range(len(text)):
        start[e] = number_of(bits, before, np.int64(text[e]))
    for e in range(len(text)):
        stop[e] = row_at[start[e] + 1]
        start[e] = row_at[start[e]]
    for e in range(len(text)):
        first_site[e] = site[start[e]]


@leaf
def _known(references, start, stop, low, high, values):
    """Collect the references that are not 0 of texts low..high-1 in `values`; returns how many."""
    n = 0
    for e in range(low, high):
        for r in range(start[e], stop[e]):
            values[n] = references[r]
            n += references[r] != 0
    return n


@leaf
def _known_sites(site, first_site, start, stop, low, high, values):
    n = 0
    for e in range(low, high):
        values[n] = first_site[e]
        n += first_site[e] != 0
        for r in range(start[e] + 1, stop[e]):
            values[n] = site[r]
            n += site[r] != 0
    return n


@leaf
def _votes(image, start, stop, low, high, again):
    """Of texts low..high-1: how many show a picture that is no placeholder, and how many of them repeat one.
    again: by picture, as `_known` collects them."""
    shown, repeating, i = np.int64(0), np.int64(0), 0
    for e in range(low, high):
        known, repeated = 0, 0
        for r in range(start[e], stop[e]):
            counts = image[r] > _PLACEHOLDER
            known += counts
            repeated += counts & again[i]
            i += image[r] != 0
        shown += known > 0
        repeating += (known > 0) & (2 * repeated >= known)
    return shown, repeating


@kernel
def _measure(
    member_at, similarity, image, site, start, stop, first_site,
    n_rows, n_images, n_sites, focus, share, n_pictured, n_placeholders, n_shown, n_repeating,
):  # fmt: skip
    """Clusters whose texts lie where `_locate` says."""
    values, again = np.empty(64, np.uint64), np.empty(64, np.bool_)
    table, groups = workspace()
    for c in range(len(n_rows)):
        low, high = member_at[c] - member_at[0], member_at[c + 1] - member_at[0]
        total, alike = np.int64(0), 0.0
        for e in range(low, high):
            total += stop[e] - start[e]
            alike += similarity[e]
        n_rows[c], share[c] = total, alike / max(high - low, 1)
        if total >= len(values):
            values, again = np.empty(2 * total, np.uint64), np.empty(2 * total, np.bool_)
        n = _known_sites(site, first_site, start, stop, low, high, values)
        n_sites[c], table, groups = count_values(values, n, table, groups)
        focus[c] = (_largest(groups, n_sites[c]) - 1) / (n - 1) if n > 1 else np.nan
        if len(image):
            n = _known(image, start, stop, low, high, values)
            n_images[c], table, groups = count_values(values, n, table, groups)
            n_pictured[c] = n
            for i in range(n):
                n_placeholders[c] += values[i] == _PLACEHOLDER
            if high - low > 1 and n == total == n_images[c] and n_placeholders[c] == 0:  # most: nothing to look up
                n_shown[c] = high - low
            elif high - low > 1:
                mark_repeated(values, n, n_images[c], table, groups, again)
                n_shown[c], n_repeating[c] = _votes(image, start, stop, low, high, again)


def evidence(
    member_at: np.ndarray, text: np.ndarray, similarity: np.ndarray, rows: RowsByText, first: int, last: int
) -> Evidence:
    """Evidence of clusters first..last-1, whose k-th owns texts text[member_at[k]:member_at[k + 1]]. O(their rows)."""
    n = last - first
    out = Evidence(
        np.zeros(n, np.int64), np.zeros(n, np.uint32), np.zeros(n, np.uint32), np.ones(n, np.float32), np.zeros(n),
        *(np.zeros(n, np.int64) for _ in range(4)),
    )  # fmt: skip
    own = slice(member_at[first], member_at[last])
    n_texts = member_at[last] - member_at[first]
    places = np.empty(n_texts, np.int64), np.empty(n_texts, np.int64), np.empty(n_texts, np.uint32)
    _locate(text[own], *rows.chosen, rows.row_at, rows.site, *places)
    _measure(member_at[first : last + 1], similarity[own], rows.image, rows.site, *places, *out)
    return out


def evidence_of_all(
    member_at: np.ndarray, text: np.ndarray, similarity: np.ndarray, rows: RowsByText, threads: int
) -> Evidence:
    """Evidence of all clusters, in threads."""
    n = len(member_at) - 1
    inner = np.searchsorted(member_at, np.linspace(0, member_at[-1], 4 * threads + 1)[1:-1])
    cuts = [0, *np.clip(inner, 0, n).tolist(), n]
    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(lambda ab: evidence(member_at, text, similarity, rows, *ab), itertools.pairwise(cuts)))
    return Evidence(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
