"""The fixed words of templates, written out as tokens: what is compared, merged and looked for in captions.

A skeleton is one to three runs of tokens; between two runs is a slot. Where two templates differ by one word (another
word, a plural, a word that one of them lacks) their skeletons become equal once that word, or the place where it is
missing, is a slot. So each is widened by one slot in every possible way, and skeletons that two templates or more
widen to are the merged ones: an alignment of all templates in linear time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from memaudit.detect.grams import END_BITS, SEPARATOR_BITS, SHAPE_BITS
from memaudit.detect.ordering import stable_order
from memaudit.jit import kernel, leaf
from memaudit.ragged import offsets_of
from memaudit.text import alphabet as abc
from memaudit.text.alphabet import END, FIRST_WORD, SEPARATOR_TOKEN, START
from memaudit.text.hashing import mix64

if TYPE_CHECKING:
    from memaudit.detect.grams import Tokens

MOST_RUNS = 3
MOST_WIDENED = 24  # tokens of a skeleton that is widened: a longer one hardly has a neighbour
_SLOT = np.uint64(0x9E3779B97F4A7C15)
_ROLL = np.uint64(0xA0761D6478BD642F)
_FIRST_WORD, _SEPARATOR_TOKEN, _START, _END = abc.FIRST_WORD, abc.SEPARATOR_TOKEN, abc.START, abc.END


class Skeletons(NamedTuple):
    """Run s of skeleton k is tokens[at[k] + ends[k, s - 1]:at[k] + ends[k, s]], from at[k] for s = 0; runs that it does
    not have are empty."""

    tokens: np.ndarray  # uint32
    at: np.ndarray  # int64 (n + 1,)
    ends: np.ndarray  # int64 (n, 3)

    def __len__(self) -> int:
        return len(self.ends)


def skeletons_of(texts: np.ndarray, spans: np.ndarray, streams: Tokens) -> Skeletons:
    """The runs at `spans` (`frames.unpack`) of texts, one skeleton each."""
    ends = spans.astype("<u8").view(np.uint8).reshape(-1, 4, 2)[:, :MOST_RUNS].astype(np.int64)
    first, size = ends[:, :, 0], ends[:, :, 1] - ends[:, :, 0]
    first = (streams.token_at[texts.astype(np.int64)][:, None] + first).ravel()
    at = offsets_of(size.ravel())
    place = np.arange(at[-1]) + np.repeat(first - at[:-1], size.ravel())
    order = np.argsort(place, kind="stable")  # of mapped tokens every page once
    tokens = np.empty(len(place), np.uint32)
    tokens[order] = streams.tokens[place[order]]
    return Skeletons(tokens, at[::MOST_RUNS].copy(), np.cumsum(size, axis=1))


@kernel
def hashes_of(tokens, at, ends):
    """uint64 by skeleton."""
    out = np.empty(len(ends), np.uint64)
    for k in range(len(ends)):
        out[k] = _hash(tokens[at[k] : at[k + 1]], ends[k], np.int64(-1), np.int64(-1))
    return out


@leaf
def _hash(tokens, ends, dropped, cut):
    """Hash of a skeleton without its token `dropped`, and with a slot before its token `cut`; -1 for neither."""
    h, open_run, s = np.uint64(1), False, 0
    for i in range(len(tokens)):
        while s < 2 and i >= ends[s]:
            s += 1
            open_run = False
        if i == dropped:
            open_run = False
            continue
        if not open_run or i == cut:
            h = mix64(h * _ROLL + _SLOT)
        h = mix64(h * _ROLL + np.uint64(tokens[i]))
        open_run = True
    return h


@leaf
def _n_runs(ends):
    n, before = 0, np.int64(0)
    for s in range(3):
        n += ends[s] > before
        before = ends[s]
    return n


@leaf
def _is_edge(i, ends):
    """Whether token i begins or ends a run."""
    before = np.int64(0)
    for s in range(3):
        if ends[s] > before and i in (before, ends[s] - 1):
            return True
        before = ends[s]
    return False


@leaf
def _starts_run(i, ends):
    return i in (0, ends[0], ends[1])


@leaf
def _may_drop(tokens, ends, i):
    """Whether a slot may take the place of token i: neither the whole skeleton's first or last token, which would only
    make it shorter, nor an end, and not where that would be a fourth run."""
    if i == 0 or i == len(tokens) - 1 or tokens[i] == _START or tokens[i] == _END:
        return False
    return _n_runs(ends) < 3 or _is_edge(i, ends)


@kernel
def _widen(tokens, at, ends):
    """(hash, owner, dropped, cut) of every skeleton with one more slot."""
    room = 1
    for k in range(len(ends)):
        room += 2 * min(at[k + 1] - at[k], MOST_WIDENED)
    out, what = np.empty(room, np.uint64), np.empty((room, 3), np.int32)
    n = 0
    for k in range(len(ends)):
        own, m = tokens[at[k] : at[k + 1]], at[k + 1] - at[k]
        if m > MOST_WIDENED:
            continue
        for i in range(m):
            if _may_drop(own, ends[k], i):
                out[n] = _hash(own, ends[k], i, np.int64(-1))
                what[n, 0], what[n, 1], what[n, 2] = k, i, -1
                n += 1
            if _n_runs(ends[k]) < 3 and not _starts_run(i, ends[k]):
                out[n] = _hash(own, ends[k], np.int64(-1), i)
                what[n, 0], what[n, 1], what[n, 2] = k, -1, i
                n += 1
    return out[:n], what[:n]


@leaf
def _is_frame(tokens, dropped):
    """Whether at least two words or shapes are left, one of them a word."""
    real, words = 0, 0
    for i in range(len(tokens)):
        if i != dropped:
            real += tokens[i] >= _FIRST_WORD or (tokens[i] > _END and tokens[i] < _SEPARATOR_TOKEN)
            words += tokens[i] >= _FIRST_WORD
    return real >= 2 and words >= 1


@kernel
def _merged(order, hashes, what, is_known, tokens, at):
    """One widening for every hash that two owners share and that is no skeleton already."""
    kept, n, first = np.empty(len(order), np.int64), 0, 0
    for i in range(1, len(order) + 1):
        if i < len(order) and hashes[order[i]] == hashes[order[first]]:
            continue
        one = order[first]
        k = what[one, 0]
        if what[order[i - 1], 0] != k and not is_known[one] and _is_frame(tokens[at[k] : at[k + 1]], what[one, 1]):
            kept[n] = one
            n += 1
        first = i
    return kept[:n]


@leaf
def _write(kept, what, tokens, at, ends, new_at, out, new_ends):
    for m in range(len(kept)):
        k, dropped, cut = what[kept[m], 0], what[kept[m], 1], what[kept[m], 2]
        place, s, run, open_run = new_at[m], 0, -1, False
        for i in range(at[k + 1] - at[k]):
            while s < 2 and i >= ends[k, s]:
                s += 1
                open_run = False
            if i == dropped:
                open_run = False
                continue
            if not open_run or i == cut:
                run += 1
            open_run = True
            out[place] = tokens[at[k] + i]
            place += 1
            for later in range(run, 3):
                new_ends[m, later] = place - new_at[m]


def merge(skeletons: Skeletons, supports: np.ndarray) -> tuple[Skeletons, np.ndarray]:
    """The skeletons that two given ones or more become with one slot more, and how many texts hold each at least, as
    far as `supports` (int64) of two of them tell.

    The description of a dataset gets shorter with each: the shared words are written once and not for every variant,
    and which variant a caption has costs the same whether it is the template's name or the content of a slot. So none
    is refused.
    """
    hashes, what = _widen(*skeletons)
    order = stable_order(hashes)
    is_known = np.isin(hashes, hashes_of(*skeletons))
    kept = _merged(order, hashes, what, is_known, skeletons.tokens, skeletons.at)
    at = offsets_of(np.diff(skeletons.at)[what[kept, 0]] - (what[kept, 1] >= 0))
    out = Skeletons(np.empty(at[-1], np.uint32), at, np.zeros((len(kept), MOST_RUNS), np.int64))
    _write(kept, what, *skeletons, at, out.tokens, out.ends)
    last = order[np.searchsorted(hashes, hashes[kept], side="right", sorter=order) - 1]
    return out, supports[what[kept, 0]] + supports[what[last, 0]]


def joined(one: Skeletons, other: Skeletons) -> Skeletons:
    """Both, one after the other."""
    at = np.concatenate([one.at, one.at[-1] + other.at[1:]])
    return Skeletons(np.concatenate([one.tokens, other.tokens]), at, np.concatenate([one.ends, other.ends]))


def bits_of(skeletons: Skeletons, word_bits: np.ndarray) -> np.ndarray:
    """float32: fixed information, as `grams.capped` has it. word_bits: `grams.Counts.bits`."""
    tokens = skeletons.tokens
    most = np.where(tokens < SEPARATOR_TOKEN, SHAPE_BITS, np.where(tokens < FIRST_WORD, SEPARATOR_BITS, np.inf))
    bits = np.minimum(word_bits[tokens & np.uint32(len(word_bits) - 1)], most)
    bits[(tokens == START) | (tokens == END)] = END_BITS
    out: np.ndarray = np.add.reduceat(bits, skeletons.at[:-1]).astype(np.float32)
    return out
