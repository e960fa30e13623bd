"""What the rows of a cluster add to its texts: rows, distinct pictures, distinct sites and how much one site
dominates."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numba as nb
import numpy as np

_jit = nb.njit(cache=True, nogil=True)


class RowsByText(NamedTuple):
    """Rows grouped by text: text i owns image[row_at[i]:row_at[i + 1]], likewise site; 0 stands for none."""

    row_at: np.ndarray  # int64 (n_texts + 1,)
    image: np.ndarray  # uint64
    site: np.ndarray  # uint32


class Evidence(NamedTuple):
    """By cluster: n_rows uint64; n_images and n_sites uint32, 0 where no row has a reference; focus float32, the share
    of the largest site among the rows that have one, less what one row alone would give; NaN where fewer than two rows
    have a
    site."""

    n_rows: np.ndarray
    n_images: np.ndarray
    n_sites: np.ndarray
    focus: np.ndarray


@_jit
def _group(text_ids, image, site, row_at, out_image, out_site):
    at = row_at[:-1].copy()
    for k in range(len(text_ids)):
        t = text_ids[k]
        out_image[at[t]], out_site[at[t]] = image[k], site[k]
        at[t] += 1


def rows_by_text(n_rows: np.ndarray, text_ids: np.ndarray, image: np.ndarray, site: np.ndarray) -> RowsByText:
    """Group rows by their text. n_rows: by text; the others by row. 12 bytes a row."""
    row_at = np.zeros(len(n_rows) + 1, np.int64)
    np.cumsum(n_rows, out=row_at[1:])
    grouped = RowsByText(row_at, np.empty(len(text_ids), np.uint64), np.empty(len(text_ids), np.uint32))
    _group(text_ids, image, site, row_at, grouped.image, grouped.site)
    return grouped


@_jit
def _distinct(values):
    """(how many distinct values, how often the commonest occurs, how many in all), zeros left out. Sorts `values`."""
    values.sort()
    n, most, run, total = 0, 0, 0, 0
    for k in range(len(values)):
        if values[k] == 0:
            continue
        total += 1
        run = run + 1 if k and values[k] == values[k - 1] else 1
        n += run == 1
        most = max(most, run)
    return n, most, total


@_jit
def _measure(first, last, member_at, text, row_at, image, site, n_rows, n_images, n_sites, focus):
    for c in range(first, last):
        total = 0
        for e in range(member_at[c], member_at[c + 1]):
            total += row_at[text[e] + 1] - row_at[text[e]]
        images, sites = np.empty(total, np.uint64), np.empty(total, np.uint64)  # one type: one sort to compile
        n = 0
        for e in range(member_at[c], member_at[c + 1]):
            a, b = row_at[text[e]], row_at[text[e] + 1]
            images[n : n + b - a] = image[a:b]
            sites[n : n + b - a] = site[a:b]
            n += b - a
        n_rows[c] = total
        n_images[c] = _distinct(images)[0]
        n_sites[c], most, known = _distinct(sites)
        focus[c] = (most - 1) / (known - 1) if known > 1 else np.nan


def evidence(member_at: np.ndarray, text: np.ndarray, rows: RowsByText, threads: int) -> Evidence:
    """Evidence of clusters whose k-th owns texts text[member_at[k]:member_at[k + 1]]. O(rows of all clusters)."""
    n = len(member_at) - 1
    out = Evidence(np.zeros(n, np.uint64), np.zeros(n, np.uint32), np.zeros(n, np.uint32), np.ones(n, np.float32))
    cuts = np.searchsorted(member_at, np.linspace(0, member_at[-1], 4 * threads + 1))
    cuts[0], cuts[-1] = 0, n
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda ab: _measure(*ab, member_at, text, *rows, *out), itertools.pairwise(cuts.tolist())))
    return out
