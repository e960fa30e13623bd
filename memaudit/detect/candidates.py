"""From the entries of one partition to pairs worth a check: texts alone in their bucket drop out before any sort."""

from __future__ import annotations

import numpy as np

from memaudit.detect.bands import BLOCK
from memaudit.detect.ordering import shell_sort
from memaudit.jit import kernel, leaf

FILTER_BITS = 20  # of a key; two bit sets of so many bits fit the cache and tell most keys of a partition apart
FILTER = 1 << (FILTER_BITS - 6)
SMALL_BUCKET = 32  # sorted by insertion alone
HOT = 1 << 14  # larger buckets are sorted outside the kernel


@kernel
def repeated(keys, places, bounds, part, seen, again):
    """Entries (key << 32 | text) of this partition whose key some other entry may share; no order.

    seen, again: bit sets of keys, uint64 (FILTER,), zeros. What shares only a bit with another stays, and falls out
    after the sort.
    """
    total, shift = np.int64(0), np.uint32(32 - FILTER_BITS)
    for block in range(len(bounds)):
        total += bounds[block, part + 1] - bounds[block, part]
        for e in range(bounds[block, part], bounds[block, part + 1]):
            h = np.int64(keys[e] >> shift)
            bit = np.uint64(1) << np.uint64(h & 63)
            again[h >> 6] |= seen[h >> 6] & bit
            seen[h >> 6] |= bit
    out, n = np.empty(total + 1, np.uint64), np.int64(0)
    for block in range(len(bounds)):
        for e in range(bounds[block, part], bounds[block, part + 1]):
            h = np.int64(keys[e] >> shift)
            out[n] = np.uint64(keys[e]) << np.uint64(32) | np.uint64(block * BLOCK + np.int64(places[e]))
            n += np.int64(again[h >> 6] >> np.uint64(h & 63)) & 1
    return out[:n]


@leaf
def open_buckets(entries, label, labels):
    """Keep, in place, the entries of sorted `entries` whose bucket holds texts of several labels; returns how many.

    labels: uint32 scratch, as long as entries. Labels are fetched in a loop of their own, because each is a cache miss.
    """
    n = 0
    for k in range(len(entries)):
        key = entries[k] >> np.uint64(32)
        shared = (k > 0 and entries[k - 1] >> np.uint64(32) == key) or (
            k + 1 < len(entries) and entries[k + 1] >> np.uint64(32) == key
        )
        labels[k] = shared
    for k in range(len(entries)):
        entries[n] = entries[k]
        n += labels[k]
    for k in range(n):
        labels[k] = label[entries[k] & np.uint64(0xFFFFFFFF)]
    kept, first = 0, 0
    while first < n:
        key, several, last = entries[first] >> np.uint64(32), False, first + 1
        while last < n and entries[last] >> np.uint64(32) == key:
            several |= labels[last] != labels[first]
            last += 1
        if several:
            for k in range(first, last):
                entries[kept] = entries[k]
                kept += 1
        first = last
    return kept


@leaf
def _order(bucket, order, key_lo):
    """Turn a bucket's entries into order << 32 | text, ascending by order, then by key."""
    low = np.uint64(0xFFFFFFFF)
    if len(bucket) <= 3:  # star and chain are all pairs, whatever the order
        return
    for k in range(len(bucket)):
        bucket[k] = np.uint64(order[bucket[k] & low]) << np.uint64(32) | (bucket[k] & low)
    if len(bucket) > SMALL_BUCKET:
        shell_sort(bucket)
    for k in range(1, len(bucket)):
        e, i = bucket[k], k
        while i > 0 and bucket[i - 1] >> np.uint64(32) >= e >> np.uint64(32):
            if bucket[i - 1] >> np.uint64(32) == e >> np.uint64(32) and key_lo[bucket[i - 1] & low] <= key_lo[e & low]:
                break
            bucket[i] = bucket[i - 1]
            i -= 1
        bucket[i] = e


@leaf
def propose(entries, label, order, key_lo, state, texts, left, right):
    """Pairs to check, as many as `texts` (uint32) has room for.

    A bucket proposes a star around its first text and a chain, both in the order of content; a star alone loses the
    pairs whose centre fails the check. Pairs of one label are left out. left, right: uint32 positions in `texts`, room
    for twice as many. `entries` is used up. state, int64 (5,): first and last entry of the bucket at hand, its next
    member (0: none yet), and how much of `texts` and of `left` is filled; to be called again, with emptied texts, until
    state[0] is len(entries).
    """
    low = np.uint64(0xFFFFFFFF)
    first, last, k, n_texts, n_pairs = state
    while first < len(entries) and n_texts + 3 <= len(texts):
        if k == 0:
            last = first + 1
            while last < len(entries) and entries[last] >> np.uint64(32) == entries[first] >> np.uint64(32):
                last += 1
            _order(entries[first:last], order, key_lo)
            k = 1
        hub, text = np.uint32(entries[first] & low), np.uint32(entries[first + k - 1] & low)
        centre, here = -1, -1  # where the hub and the text at hand are in `texts`, once a pair needs them
        while first + k < last and n_texts + 3 <= len(texts):
            before, there = text, here
            text, here = np.uint32(entries[first + k] & low), -1
            star, chain = label[hub] != label[text], k > 1 and label[before] != label[text]
            if star or chain:
                here, texts[n_texts] = n_texts, text
                n_texts += 1
            if star:
                if centre < 0:
                    centre, texts[n_texts] = n_texts, hub
                    n_texts += 1
                left[n_pairs], right[n_pairs] = centre, here
                n_pairs += 1
            if chain:
                if there < 0:
                    there, texts[n_texts] = n_texts, before
                    n_texts += 1
                left[n_pairs], right[n_pairs] = there, here
                n_pairs += 1
            k += 1
        if first + k == last:
            first, k = last, 0
    state[0], state[1], state[2], state[3], state[4] = first, last, k, n_texts, n_pairs


def presort_hot(entries: np.ndarray, key_lo: np.ndarray) -> None:
    """Put the members of large buckets of sorted `entries` in order of key, in place: kernels sort small ones best."""
    low, high = np.uint64(0xFFFFFFFF), np.uint64(32)
    for key in np.unique(entries[HOT:][entries[HOT:] >> high == entries[:-HOT] >> high] >> high):
        bucket = entries[slice(*np.searchsorted(entries >> high, [key, key + np.uint64(1)]))]
        bucket[:] = bucket[np.argsort(key_lo[bucket & low])]
