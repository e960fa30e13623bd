"""Frames: ordered combinations of up to three fixed runs of tokens that a caption may share with others.

Word n-grams are counted over unique captions. At each support level the tokens covered by frequent, surprising pairs
and triples form runs; runs, their prefixes and suffixes, pairs of these and triples of runs are the caption's frames.
The best 48 by an upper bound of their evidence are kept. The plan and its figures: docs/templates.md.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from memaudit.detect.grams import LOWEST, MAX_TOKENS, capped
from memaudit.detect.lookups import FREE_TEXTS, TEXTS, log2_of, look_up
from memaudit.jit import leaf
from memaudit.text import alphabet as abc
from memaudit.text.hashing import mix64

MAX_RUNS = 8
MAX_FRAMES = 48  # kept per caption
MAX_TRIED = 1024  # combinations tried per caption
LONGEST_PIECE = 6  # of a run's prefixes and suffixes
BITS_CAP = 40.0  # fixed information saturates: two long near-copies are not a template
FIRST_LEVELS = (LOWEST, 6, 12, 30)
GROWTH, MOST_LEAST = 2.0, 15.0  # see `least_evidence`
MAX_PIECES = MAX_RUNS * 2 * LONGEST_PIECE
KNOWN = 1 << 12  # places for the frames of a caption that were tried already
BITS_UNIT = 32.0  # fixed information is stored in units of 1/32 bit

_FIRST_WORD, _SEPARATOR_TOKEN, _END = abc.FIRST_WORD, abc.SEPARATOR_TOKEN, abc.END
_SEED = np.uint64(0x51ED270B27B4F3CF)
_ROLL = np.uint64(0x9E3779B97F4A7C15)
_SLOT = np.uint64(0xA0761D6478BD642F)


def levels_for(n_texts: int) -> np.ndarray:
    """Support levels at which runs are cut: 3, 6, 12, 30, then times 3.3 up to a two-hundredth of the texts."""
    levels = list(FIRST_LEVELS)
    while levels[-1] * 3.3 < min(n_texts / 200, 60_000):
        levels.append(int(levels[-1] * 3.3))
    return np.array(levels, np.int64)


def least_evidence(n_texts: int) -> float:
    """Evidence (min(bits, cap) * share * sqrt(log2(support))) that a frame must promise: 2 log2(n / 50,000), from 0 to
    15.

    In small datasets every frame may be listed; in large ones combinations of common words repeat by chance, far more
    often than findings are listed. A frame below 15 is in the info band whatever else is known of it.
    """
    return min(max(0.0, GROWTH * float(np.log2(max(n_texts, 1) / FREE_TEXTS))), MOST_LEAST)


class Workspace(NamedTuple):
    """Scratch of one thread for one caption; row i speaks of token i."""

    bits: np.ndarray  # float64 (MAX_TOKENS + 1,): prefix sums
    rolled: np.ndarray  # uint64 (MAX_TOKENS + 1,): prefix hashes
    real: np.ndarray  # int64 (MAX_TOKENS + 1, 2): prefix counts of tokens but separators and ends, and of words proper
    runs: np.ndarray  # int64 (MAX_RUNS, 2)
    previous: np.ndarray  # the same of the level before
    pieces: np.ndarray  # int64 (MAX_PIECES, 4): start, end, tokens but separators and ends, words proper
    piece_bits: np.ndarray  # float64 (MAX_PIECES,)
    piece_spread: np.ndarray  # float64 (MAX_PIECES,): log2 of a bound on its support
    piece_hash: np.ndarray  # uint64 (MAX_PIECES,)
    piece_at: np.ndarray  # int64 (MAX_RUNS + 1,): run r owns pieces[piece_at[r]:piece_at[r + 1]], the whole run first
    scores: np.ndarray  # float64 (MAX_FRAMES,): the best frames so far; once full, a heap with the worst on top
    hashes: np.ndarray  # uint64 (MAX_FRAMES,)
    spans: np.ndarray  # uint64 (MAX_FRAMES,): packed, see `unpack`
    known: np.ndarray  # uint64 (KNOWN,): hashes that were tried
    stamp: np.ndarray  # int64 (KNOWN + 1,): for which caption; the last one numbers the caption in hand
    powers: np.ndarray  # uint64 (MAX_TOKENS + 1,): powers of the rolling base


def workspace() -> Workspace:
    powers = np.ones(MAX_TOKENS + 1, np.uint64)
    for i in range(MAX_TOKENS):
        powers[i + 1] = np.uint64(int(powers[i]) * int(_ROLL) % 2**64)
    i8, f8, u8, n = np.int64, np.float64, np.uint64, MAX_TOKENS + 1
    return Workspace(
        np.zeros(n, f8),
        np.zeros(n, u8),
        np.zeros((n, 2), i8),
        np.zeros((MAX_RUNS, 2), i8),
        np.zeros((MAX_RUNS, 2), i8),
        np.zeros((MAX_PIECES, 4), i8),
        np.zeros(MAX_PIECES, f8),
        np.zeros(MAX_PIECES, f8),
        np.zeros(MAX_PIECES, u8),
        np.zeros(MAX_RUNS + 1, i8),
        np.zeros(MAX_FRAMES, f8),
        np.zeros(MAX_FRAMES, u8),
        np.zeros(MAX_FRAMES, u8),
        np.zeros(KNOWN, u8),
        np.zeros(KNOWN + 1, i8),
        powers,
    )


@leaf
def _sum_up(tokens, raw_bits, bits, rolled, real):
    """Prefix sums of one caption."""
    for i in range(len(tokens)):
        token = tokens[i]
        bits[i + 1] = bits[i] + capped(token, np.float64(raw_bits[i]))
        rolled[i + 1] = rolled[i] * _ROLL + mix64(np.uint64(token) + _SEED)
        real[i + 1, 0] = real[i, 0] + (token >= _FIRST_WORD or (token > _END and token < _SEPARATOR_TOKEN))
        real[i + 1, 1] = real[i, 1] + (token >= _FIRST_WORD)


@leaf
def _cut_runs(pairs, covers2, covers3, level, runs):
    """Maximal runs covered by pairs and triples of at least `level`, split where the joining pair is rarer.

    Returns (how many, the least count that was used: runs stay the same up to that level).
    """
    n_runs, covered_to, open_run, least = 0, 0, False, np.int64(1 << 40)
    for i in range(len(pairs)):
        if covers2[i] >= level:
            covered_to = max(covered_to, i + 2)
        if covers3[i] >= level:
            covered_to = max(covered_to, i + 3)
            least = min(least, covers3[i])
        if pairs[i] >= level:
            least = min(least, pairs[i])
        if i >= covered_to:
            open_run = False
        elif open_run and pairs[i - 1] >= level:
            runs[n_runs - 1, 1] = i + 1
        elif n_runs == MAX_RUNS:
            break
        else:
            runs[n_runs, 0], runs[n_runs, 1] = i, i + 1
            n_runs, open_run = n_runs + 1, True
    return n_runs, least


@leaf
def _drop_separators(n_runs, real, runs):
    """Runs that hold more than separators and ends; returns how many are left."""
    n = 0
    for r in range(n_runs):
        if real[runs[r, 1], 0] > real[runs[r, 0], 0]:
            runs[n, 0], runs[n, 1] = runs[r, 0], runs[r, 1]
            n += 1
    return n


@leaf
def _cut_pieces(n_runs, tokens, words, pairs, triples, ws):
    """Each run with its prefixes and suffixes of 2..LONGEST_PIECE tokens, measured.

    At most as many texts hold a piece as hold the rarest of its pairs or triples.
    """
    m = 0
    for r in range(n_runs):
        ws.piece_at[r] = m
        first, last = ws.runs[r, 0], ws.runs[r, 1]
        for k in range(2 * min(last - first, LONGEST_PIECE + 1) - 3 if last - first > 1 else 1):
            size = 2 + (k - 1) // 2  # k = 0: the whole run; then a prefix and a suffix of 2, of 3, ...
            a = first if k == 0 or k & 1 else last - size
            b = last if k == 0 else a + size
            if b - a == 1:
                bound = np.int64(words[tokens[a] & np.uint32(len(words) - 1)])
            else:
                counts, g = (pairs, 1) if b - a == 2 else (triples, 2)
                bound = np.int64(counts[a])
                for i in range(a + 1, b - g):
                    bound = min(bound, np.int64(counts[i]))
            if bound < LOWEST:
                if k:
                    continue
                bound = np.int64(1)  # spread 0: no frame, but the run stays first among its pieces
            ws.pieces[m, 0], ws.pieces[m, 1] = a, b
            ws.pieces[m, 2], ws.pieces[m, 3] = ws.real[b, 0] - ws.real[a, 0], ws.real[b, 1] - ws.real[a, 1]
            ws.piece_bits[m], ws.piece_spread[m] = ws.bits[b] - ws.bits[a], log2_of(bound)
            ws.piece_hash[m] = mix64(ws.rolled[b] - ws.rolled[a] * ws.powers[b - a])
            m += 1
    ws.piece_at[n_runs] = m


@leaf
def _is_new(h, known, stamp):
    """Whether this frame was not tried for this caption; it is from now on."""
    at, now = np.int64(h & np.uint64(KNOWN - 1)), stamp[KNOWN]
    while stamp[at] == now:
        if known[at] == h:
            return False
        at = (at + 1) & (KNOWN - 1)
    stamp[at], known[at] = now, h
    return True


@leaf
def _sift(at, scores, hashes, spans):
    """Move a frame down until both below it are better: by score, then by the smaller hash."""
    while True:
        worst, child = at, 2 * at + 1
        for c in range(child, min(child + 2, MAX_FRAMES)):
            if scores[c] < scores[worst] or (scores[c] == scores[worst] and hashes[c] > hashes[worst]):
                worst = c
        if worst == at:
            return
        scores[at], scores[worst] = scores[worst], scores[at]
        hashes[at], hashes[worst] = hashes[worst], hashes[at]
        spans[at], spans[worst] = spans[worst], spans[at]
        at = worst


@leaf
def _keep(score, h, span, n_kept, scores, hashes, spans):
    """Keep a frame if it is among the best; returns how many are kept. Takes arrays one by one: a workspace would be
    copied at every call."""
    if n_kept < MAX_FRAMES:
        scores[n_kept], hashes[n_kept], spans[n_kept] = score, h, span
        if n_kept == MAX_FRAMES - 1:
            for at in range(MAX_FRAMES // 2, -1, -1):
                _sift(at, scores, hashes, spans)
        return n_kept + 1
    if score > scores[0] or (score == scores[0] and h < hashes[0]):
        scores[0], hashes[0], spans[0] = score, h, span
        _sift(np.int64(0), scores, hashes, spans)
    return n_kept


@leaf
def _combine(n_runs, n_kept, tried, least, ws):
    """Keep the best of one level's frames: pieces, pairs of pieces, triples of whole runs. Returns (kept, tried).

    least: what evidence times the caption's information must reach.
    """
    at, pieces, piece_bits, piece_hash, spread = ws.piece_at, ws.pieces, ws.piece_bits, ws.piece_hash, ws.piece_spread
    scores, hashes, spans, known, stamp = ws.scores, ws.hashes, ws.spans, ws.known, ws.stamp
    for x in range(n_runs):
        for p in range(at[x], at[x + 1]):
            if spread[p] == 0.0:
                continue
            one = (_SEED ^ piece_hash[p]) * _SLOT
            for y in range(x, n_runs):  # y == x stands for no second piece
                for q in range(at[y], at[y + 1] if y > x else at[y] + 1):
                    two = (one ^ piece_hash[q]) * _SLOT if y > x else one
                    whole = y > x and p == at[x] and q == at[y]
                    for z in range(y, n_runs if whole else y + 1):  # z == y stands for no third run
                        bits, real, words, wide = piece_bits[p], pieces[p, 2], pieces[p, 3], spread[p]
                        span = np.uint64(pieces[p, 0] | pieces[p, 1] << 8)
                        h = two
                        if y > x:
                            bits, real, words = bits + piece_bits[q], real + pieces[q, 2], words + pieces[q, 3]
                            wide = min(wide, spread[q])
                            span |= np.uint64(pieces[q, 0] << 16 | pieces[q, 1] << 24)
                        if z > y:
                            r = at[z]
                            bits, real, words = bits + piece_bits[r], real + pieces[r, 2], words + pieces[r, 3]
                            wide = min(wide, spread[r])
                            span |= np.uint64(pieces[r, 0] << 32 | pieces[r, 1] << 40)
                            h = (two ^ piece_hash[r]) * _SLOT
                        tried += 1
                        fixed = min(bits, BITS_CAP) * bits
                        score = fixed * fixed * wide
                        if real < 2 or words < 1 or score < least * least or wide == 0.0:
                            continue
                        h = mix64(h)
                        if _is_new(h, known, stamp):
                            packed = span | np.uint64(min(bits * BITS_UNIT, 65535.0)) << np.uint64(48)
                            n_kept = _keep(score, h, packed, n_kept, scores, hashes, spans)
                if tried >= MAX_TRIED:
                    return n_kept, tried
    return n_kept, tried


@leaf
def _promises(tokens, raw_bits, pairs, covers2, covers3, first, last, least):
    """Whether what the lowest level covers of the caption at first..last - 1, taken together and shared as widely as
    counts can tell, reaches `least`. All its frames are made of that, so most captions of a large dataset are done
    here."""
    fixed, most, covered_to = 0.0, 1, 0
    for i in range(first, last):
        if covers2[i]:
            covered_to = max(covered_to, i + 2)
        if covers3[i]:
            covered_to = max(covered_to, i + 3)
        if i < covered_to:
            fixed += capped(tokens[i], np.float64(raw_bits[i]))
            most = max(most, pairs[i])
    return fixed > 0.0 and min(fixed, BITS_CAP) * fixed * log2_of(most) ** 0.5 >= least


@leaf
def _frames_of(tokens, raw_bits, pairs, triples, covers2, covers3, words, least, levels, ws):
    """Fill ws.hashes and ws.spans with the frames of one caption; returns how many. least: what evidence times the
    caption's information must reach."""
    n_kept, tried, before, same_to = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    ws.stamp[KNOWN] += 1
    _sum_up(tokens, raw_bits, ws.bits, ws.rolled, ws.real)
    for level in levels:
        if level <= same_to:
            continue
        n_runs, same_to = _cut_runs(pairs, covers2, covers3, level, ws.runs)
        n_runs = _drop_separators(n_runs, ws.real, ws.runs)
        if n_runs == 0:
            break
        same = n_runs == before
        for r in range(n_runs):
            same = same and ws.runs[r, 0] == ws.previous[r, 0] and ws.runs[r, 1] == ws.previous[r, 1]
        if same:
            continue
        _cut_pieces(n_runs, tokens, words, pairs, triples, ws)
        n_kept, tried = _combine(n_runs, n_kept, tried, least, ws)
        for r in range(n_runs):
            ws.previous[r, 0], ws.previous[r, 1] = ws.runs[r, 0], ws.runs[r, 1]
        before = n_runs
        if tried >= MAX_TRIED:
            break
    return n_kept


@leaf
def frames_of_texts(
    tokens, token_at, counts, log_texts, surprise, least, levels, look, ws, hashes, spans, n_frames, total_bits
):  # fmt: skip
    """Frames of consecutive texts, one after the other; n_frames and total_bits (a caption's information) by text.

    surprise: `lookups.chance`. Returns how many frames were written; `hashes` and `spans` need room for MAX_FRAMES a
    text.
    """
    m, n = 0, len(token_at) - 1
    for first in range(0, n, TEXTS):
        last = min(first + TEXTS, n)
        look_up(tokens, token_at, first, last, counts, log_texts, surprise, look)
        for t in range(last - first):
            a, b = look.at[t], look.at[t + 1]
            found, wanted = 0, least * look.total_bits[t]
            if _promises(look.tokens, look.raw_bits, look.pairs, look.covers2, look.covers3, a, b, wanted):
                found = _frames_of(
                    look.tokens[a:b], look.raw_bits[a:b], look.pairs[a:b], look.triples[a:b], look.covers2[a:b],
                    look.covers3[a:b], counts.words, wanted, levels, ws,
                )  # fmt: skip
            for k in range(found):
                hashes[m + k], spans[m + k] = ws.hashes[k], ws.spans[k]
            m += found
            n_frames[first + t] = found
            total_bits[first + t] = look.total_bits[t]
    return m


def unpack(spans: int) -> list[tuple[int, int]]:
    """The spans [a, b) of a packed frame in order: three pairs of bytes, lowest first, empty ones for fewer runs."""
    numbers = spans.to_bytes(8, "little")
    return [(numbers[i], numbers[i + 1]) for i in (0, 2, 4) if numbers[i + 1]]
