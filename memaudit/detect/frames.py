"""Frames: ordered combinations of up to three fixed runs of tokens that a caption may share with others.

Word n-grams (n = 1..4) are counted over unique captions. At each support level the tokens covered by frequent,
surprising n-grams form runs; runs, their prefixes and suffixes, pairs of these and triples of runs are the caption's
frames. The best 48 by an upper bound of their evidence are kept. The plan and its figures: docs/templates.md.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from memaudit.detect.grams import LOWEST, MAX_TOKENS, capped, count_of, longer, pair
from memaudit.text import alphabet as abc
from memaudit.text.hashing import mix64

MAX_RUNS = 8
MAX_FRAMES = 48  # kept per caption
MAX_TRIED = 1024  # combinations tried per caption
LONGEST_PIECE = 6  # of a run's prefixes and suffixes
LOG_LIFT = 1.0  # log2: a bigram covers its words when it is twice as frequent as the words' frequencies predict
BITS_CAP = 40.0  # fixed information saturates: two long near-copies are not a template
FIRST_LEVELS = (LOWEST, 6, 12, 30)
MOST_SUPPORT = 4.0  # sqrt(log2(support)) is never more: counts saturate at 2^16
FREE_TEXTS, MOST_LEAST = 50_000, 6.0  # see `least_evidence`
MAX_PIECES = MAX_RUNS * 2 * LONGEST_PIECE

_jit = nb.njit(cache=True, nogil=True, error_model="numpy")
_FIRST_WORD, _SEPARATOR_TOKEN, _START, _END = abc.FIRST_WORD, abc.SEPARATOR_TOKEN, abc.START, abc.END
_LOG2 = np.log2(np.maximum(np.arange(4096), 1))
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
    """Evidence (min(bits, cap) * share * sqrt(log2(support))) that a frame must promise: log2(n / 50,000), from 0 to 6.

    In small datasets every frame may be listed; in large ones combinations of common words repeat by chance, far more
    often than findings are listed. 6 is a risk of about .1.
    """
    return min(max(0.0, float(np.log2(max(n_texts, 1) / FREE_TEXTS))), MOST_LEAST)


class Workspace(NamedTuple):
    """Scratch of one thread; row i speaks of token i."""

    grams: np.ndarray  # int64 (3, MAX_TOKENS): counts of the 2-, 3- and 4-gram that starts here
    surprising: np.ndarray  # bool (MAX_TOKENS,): the bigram that starts here
    bits: np.ndarray  # float64 (MAX_TOKENS + 1,): prefix sums
    rolled: np.ndarray  # uint64 (MAX_TOKENS + 1,): prefix hashes
    real: np.ndarray  # int64 (MAX_TOKENS + 1, 2): prefix counts of tokens but separators and ends, and of words proper
    raw_bits: np.ndarray  # float32 (MAX_TOKENS,): uncapped
    pair: np.ndarray  # uint64 (MAX_TOKENS,): hash of the pair that starts here
    known: np.ndarray  # uint8 (MAX_TOKENS,): whether that pair reaches the lowest level
    runs: np.ndarray  # int64 (MAX_RUNS, 2)
    previous: np.ndarray  # the same of the level before
    pieces: np.ndarray  # int64 (MAX_PIECES, 5): start, end, tokens but separators and ends, words proper, support bound
    piece_bits: np.ndarray  # float64 (MAX_PIECES,)
    piece_hash: np.ndarray  # uint64 (MAX_PIECES,)
    piece_at: np.ndarray  # int64 (MAX_RUNS + 1,): run r owns pieces[piece_at[r]:piece_at[r + 1]], the whole run first
    scores: np.ndarray  # float64 (MAX_FRAMES,): the best frames so far, unordered
    hashes: np.ndarray  # uint64 (MAX_FRAMES,)
    spans: np.ndarray  # uint64 (MAX_FRAMES,): packed, see `unpack`
    powers: np.ndarray  # uint64 (MAX_TOKENS + 1,): powers of the rolling base


def workspace() -> Workspace:
    powers = np.ones(MAX_TOKENS + 1, np.uint64)
    for i in range(MAX_TOKENS):
        powers[i + 1] = np.uint64(int(powers[i]) * int(_ROLL) % 2**64)
    i8, f8, u8, n = np.int64, np.float64, np.uint64, MAX_TOKENS + 1
    return Workspace(
        np.zeros((3, MAX_TOKENS), i8),
        np.zeros(MAX_TOKENS, np.bool_),
        np.zeros(n, f8),
        np.zeros(n, u8),
        np.zeros((n, 2), i8),
        np.zeros(MAX_TOKENS, np.float32),
        np.zeros(MAX_TOKENS, u8),
        np.zeros(MAX_TOKENS, np.uint8),
        np.zeros((MAX_RUNS, 2), i8),
        np.zeros((MAX_RUNS, 2), i8),
        np.zeros((MAX_PIECES, 5), i8),
        np.zeros(MAX_PIECES, f8),
        np.zeros(MAX_PIECES, u8),
        np.zeros(MAX_RUNS + 1, i8),
        np.zeros(MAX_FRAMES, f8),
        np.zeros(MAX_FRAMES, u8),
        np.zeros(MAX_FRAMES, u8),
        powers,
    )


@_jit
def _look_up(tokens, counts, log_texts, ws):
    """Fill the prefix sums and n-gram counts of one caption; returns whether any pair repeats. log_texts: log2 of
    their number.

    Several short loops without a branch between the loads, so that cache misses overlap.
    """
    n = len(tokens)
    mask, slots = np.uint32(len(counts.bits) - 1), np.uint64((counts.frequent.shape[1] << 6) - 1)
    raw, pairs, known = ws.raw_bits, ws.pair, ws.known
    for i in range(n):
        raw[i] = counts.bits[tokens[i] & mask]
    for i in range(n - 1):
        pairs[i] = pair(tokens[i], tokens[i + 1])
        at = pairs[i] & slots
        known[i] = (counts.frequent[0, at >> np.uint64(6)] >> (at & np.uint64(63))) & np.uint64(1)
    known[n - 1] = 0
    any_repeats = False
    for i in range(n):
        token = tokens[i]
        ws.bits[i + 1] = ws.bits[i] + capped(token, np.float64(raw[i]))
        ws.rolled[i + 1] = ws.rolled[i] * _ROLL + mix64(np.uint64(token) + _SEED)
        ws.real[i + 1, 0] = ws.real[i, 0] + (token >= _FIRST_WORD or (token > _END and token < _SEPARATOR_TOKEN))
        ws.real[i + 1, 1] = ws.real[i, 1] + (token >= _FIRST_WORD)
        ws.grams[0, i] = count_of(counts, 0, pairs[i]) if known[i] else 0
        ws.grams[1, i] = 0
        ws.grams[2, i] = 0
        ws.surprising[i] = False
        any_repeats |= known[i] > 0
    if not any_repeats:
        return False
    for i in range(n - 1):
        count = ws.grams[0, i]
        if count == 0:
            continue
        ws.surprising[i] = _log2(count) + raw[i] + raw[i + 1] >= LOG_LIFT + log_texts or count == 65535
        if i + 2 < n and known[i + 1]:  # a triple is no more frequent than its pairs
            gram = longer(pairs[i], tokens[i + 2])
            ws.grams[1, i] = count_of(counts, 1, gram)
            if ws.grams[1, i] and i + 3 < n and known[i + 2]:
                ws.grams[2, i] = count_of(counts, 2, longer(gram, tokens[i + 3]))
    return True


@_jit
def _log2(n):
    return _LOG2[n] if n < len(_LOG2) else np.log2(np.float64(n))


@_jit
def _cut_runs(n, level, grams, surprising, real, runs):
    """Maximal runs covered by n-grams of at least `level`, split where the joining bigram is rarer; returns how
    many."""
    n_runs, covered_to, open_run = 0, 0, False
    for i in range(n):
        if grams[0, i] >= level and surprising[i]:
            covered_to = max(covered_to, i + 2)
        if grams[1, i] >= level:
            covered_to = max(covered_to, i + 3)
            if grams[2, i] >= level:
                covered_to = max(covered_to, i + 4)
        if i >= covered_to:
            open_run = False
            continue
        if open_run and grams[0, i - 1] >= level:
            runs[n_runs - 1, 1] = i + 1
            continue
        if n_runs and real[runs[n_runs - 1, 1], 0] == real[runs[n_runs - 1, 0], 0]:
            n_runs -= 1  # the run before holds separators only
        if n_runs == MAX_RUNS:
            break
        runs[n_runs, 0], runs[n_runs, 1] = i, i + 1
        n_runs, open_run = n_runs + 1, True
    if n_runs and real[runs[n_runs - 1, 1], 0] == real[runs[n_runs - 1, 0], 0]:
        n_runs -= 1
    return n_runs


@_jit
def _cut_pieces(n_runs, tokens, words, ws):
    """Each run with its prefixes and suffixes of 2..LONGEST_PIECE tokens, measured.

    At most as many texts hold a piece as hold the rarest of its longest counted n-grams.
    """
    grams, bits, real, rolled = ws.grams, ws.bits, ws.real, ws.rolled
    pieces, piece_bits, piece_hash = ws.pieces, ws.piece_bits, ws.piece_hash
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
                g = min(b - a, 4) - 2
                bound = grams[g, a]
                for i in range(a + 1, b - g - 1):
                    bound = min(bound, grams[g, i])
            pieces[m, 0], pieces[m, 1], pieces[m, 4] = a, b, bound
            pieces[m, 2], pieces[m, 3] = real[b, 0] - real[a, 0], real[b, 1] - real[a, 1]
            piece_bits[m] = bits[b] - bits[a]
            piece_hash[m] = mix64(rolled[b] - rolled[a] * ws.powers[b - a])
            m += 1
    ws.piece_at[n_runs] = m


@_jit
def _keep(score, h, span, n_kept, worst, scores, hashes, spans):
    """Keep a frame if it is among the best and not known yet; returns (frames kept, the worst one's place once it is
    full)."""
    for k in range(n_kept):
        if hashes[k] == h:
            return n_kept, worst
    at = n_kept
    if n_kept == MAX_FRAMES:
        if score == scores[worst] and h >= hashes[worst]:
            return n_kept, worst
        at = worst
    scores[at], hashes[at], spans[at] = score, h, span
    n_kept = max(n_kept, at + 1)
    if n_kept == MAX_FRAMES:
        worst = 0
        for k in range(1, MAX_FRAMES):
            if scores[k] < scores[worst] or (scores[k] == scores[worst] and hashes[k] > hashes[worst]):
                worst = k
    return n_kept, worst


@_jit
def _combine(n_runs, n_kept, worst, tried, least, ws):
    """Keep the best of one level's frames: pieces, pairs of pieces, triples of whole runs. Returns (kept, worst,
    tried)."""
    piece_at, pieces, piece_bits, piece_hash = ws.piece_at, ws.pieces, ws.piece_bits, ws.piece_hash
    scores, hashes, spans = ws.scores, ws.hashes, ws.spans
    for x in range(n_runs):
        for p in range(piece_at[x], piece_at[x + 1]):
            one = (_SEED ^ piece_hash[p]) * _SLOT
            for y in range(x, n_runs):  # y == x stands for no second piece
                for q in range(piece_at[y], piece_at[y + 1] if y > x else piece_at[y] + 1):
                    two = (one ^ piece_hash[q]) * _SLOT if y > x else one
                    whole = y > x and p == piece_at[x] and q == piece_at[y]
                    for z in range(y, n_runs if whole else y + 1):  # z == y stands for no third run
                        r = piece_at[z]
                        bits, real, words, bound = piece_bits[p], pieces[p, 2], pieces[p, 3], pieces[p, 4]
                        span = np.uint64(pieces[p, 0] | pieces[p, 1] << 8)
                        h = two
                        if y > x:
                            bits, real, words = bits + piece_bits[q], real + pieces[q, 2], words + pieces[q, 3]
                            bound = min(bound, pieces[q, 4])
                            span |= np.uint64(pieces[q, 0] << 16 | pieces[q, 1] << 24)
                        if z > y:
                            bits, real, words = bits + piece_bits[r], real + pieces[r, 2], words + pieces[r, 3]
                            bound = min(bound, pieces[r, 4])
                            span |= np.uint64(pieces[r, 0] << 32 | pieces[r, 1] << 40)
                            h = (two ^ piece_hash[r]) * _SLOT
                        tried += 1
                        if real < 2 or words < 1 or bound < FIRST_LEVELS[0]:
                            continue
                        fixed, spread = min(bits, BITS_CAP) * bits, _log2(bound)
                        if fixed * fixed * spread < least * least:
                            continue
                        score = fixed * spread
                        if n_kept < MAX_FRAMES or score >= scores[worst]:
                            n_kept, worst = _keep(score, mix64(h), span, n_kept, worst, scores, hashes, spans)
                if tried >= MAX_TRIED:
                    return n_kept, worst, tried
    return n_kept, worst, tried


@_jit
def _promises(n_runs, total_bits, least, runs, bits):
    """Whether the lowest level's runs, taken together and shared as widely as counts can tell, reach the evidence
    `least`. All frames of a caption are made of these runs, so most captions of a large dataset are done here."""
    fixed = 0.0
    for r in range(n_runs):
        fixed += bits[runs[r, 1]] - bits[runs[r, 0]]
    return min(fixed, BITS_CAP) * fixed * MOST_SUPPORT >= least * total_bits


@_jit
def frames_of(tokens, counts, log_texts, least, levels, ws):
    """Fill ws.hashes and ws.spans with the frames of one caption; returns how many. tokens: uint32 (<= MAX_TOKENS,)."""
    if not _look_up(tokens, counts, log_texts, ws):
        return 0
    n_kept, worst, tried, before = 0, 0, 0, 0
    for level in levels:
        n_runs = _cut_runs(len(tokens), level, ws.grams, ws.surprising, ws.real, ws.runs)
        if n_runs == 0 or (before == 0 and not _promises(n_runs, ws.bits[len(tokens)], least, ws.runs, ws.bits)):
            break
        same = n_runs == before
        for r in range(n_runs):
            same = same and ws.runs[r, 0] == ws.previous[r, 0] and ws.runs[r, 1] == ws.previous[r, 1]
        if same:
            continue
        _cut_pieces(n_runs, tokens, counts.words, ws)
        n_kept, worst, tried = _combine(n_runs, n_kept, worst, tried, least * ws.bits[len(tokens)], ws)
        ws.previous[:n_runs] = ws.runs[:n_runs]
        before = n_runs
        if tried >= MAX_TRIED:
            break
    return n_kept


@_jit
def frames_of_texts(tokens, token_at, counts, log_texts, least, levels, ws, hashes, spans, n_frames, total_bits):
    """Frames of consecutive texts, one after the other; n_frames and total_bits (a caption's information) by text.

    Returns how many frames were written; `hashes` and `spans` need room for MAX_FRAMES a text.
    """
    at = 0
    for t in range(len(token_at) - 1):
        a, b = token_at[t], min(token_at[t + 1], token_at[t] + MAX_TOKENS)
        n = frames_of(tokens[a:b], counts, log_texts, least, levels, ws)
        for k in range(n):
            hashes[at + k], spans[at + k] = ws.hashes[k], ws.spans[k]
        at += n
        n_frames[t] = n
        total_bits[t] = ws.bits[b - a]
    return at


def unpack(spans: int) -> list[tuple[int, int]]:
    """The spans [a, b) of a packed frame in order: three pairs of bytes, lowest first, empty ones for fewer runs."""
    numbers = spans.to_bytes(8, "little")
    return [(numbers[i], numbers[i + 1]) for i in (0, 2, 4) if numbers[i + 1]]
