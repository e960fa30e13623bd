"""A prompt's words as hashes, in plain Python: the compiled lexer's numbers without loading it.

Loading compiled kernels takes most of a second of processor time, a prompt here a fraction of a millisecond. Rules are
those of `text.reference`; the numbers are those of `text.lexer` and `detect.minhash`, and a test holds them to it.
"""

from __future__ import annotations

from typing import NamedTuple

from memaudit.text import alphabet as abc
from memaudit.text.reference import lex

MAX_WORDS = 512  # of a prompt, as of a caption; its key sees all of them

_M = (1 << 64) - 1
_P1, _P2, _P3 = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xD6E8FEB86659FD93
_SEED1, _SEED2 = 0xCBF29CE484222325, 0x27D4EB2F165667C5
_NAMES = {name: token for token, name in abc.TOKEN_NAMES.items()}


class Streams(NamedTuple):
    """One prompt as the lexer cuts it: see `text.lexer.LexedBatch`."""

    words: list[int]
    tokens: list[int]
    key_lo: int
    key_hi: int


def streams(prompt: bytes) -> Streams:
    """The streams of one prompt; time grows with its length, about 1.5 us a character."""
    lexed = lex(prompt)
    lo, hi, words = _SEED2, _SEED1, []
    hashes: dict[str, int] = {}
    for word in lexed.words:
        h, hi = _word(word.encode(), hi) if abc.kind(word[0]) != abc.IDEOGRAPH else _ideograph(word.encode(), hi)
        lo = ((lo ^ h) * _P3) & _M
        lo ^= lo >> 29
        words.append(h >> 32)
        hashes[word] = max(h >> 32, abc.FIRST_WORD)
    for byte in prompt[abc.LEX_BYTES :]:
        lo = ((lo ^ byte) * _P1) & _M
        hi = ((((hi << 7) & _M) | (hi >> 57)) ^ byte) * _P3 & _M
    inner = [_NAMES[token] if token in _NAMES else hashes[token] for token in lexed.tokens[1:-1]]
    tokens = [abc.START, *inner[:MAX_WORDS], abc.END]
    return Streams(words[:MAX_WORDS], tokens, mix64((lo + len(words)) & _M), mix64(hi))


def mix64(x: int) -> int:
    x ^= x >> 33
    x = (x * 0xFF51AFD7ED558CCD) & _M
    x ^= x >> 33
    x = (x * 0xC4CEB9FE1A85EC53) & _M
    return x ^ (x >> 33)


def _word(text: bytes, hi: int) -> tuple[int, int]:
    """The hash of a word's UTF-8, eight bytes at a time with a chunk that is not full at the end, and `hi` with it."""
    h = _SEED1
    whole = len(text) & ~7
    for at in range(0, whole, 8):
        chunk = int.from_bytes(text[at : at + 8], "little")
        h = ((h ^ chunk) * _P1) & _M
        h ^= h >> 32
        hi = ((hi ^ chunk) * _P2) & _M
        hi ^= hi >> 31
    rest = int.from_bytes(text[whole:], "little")
    hi = ((hi ^ rest) * _P2) & _M
    return mix64(((h ^ rest) * _P1) & _M), hi ^ (hi >> 31)


def _ideograph(text: bytes, hi: int) -> tuple[int, int]:
    h = _SEED1
    for byte in text:
        h = ((h ^ byte) * _P1) & _M
        hi = ((hi ^ byte) * _P2) & _M
        hi ^= hi >> 31
    return mix64(h), hi


def bigram(first: int, second: int) -> int:
    """32-bit hash of an ordered pair, as `detect.minhash.bigram`."""
    h = (((first * 0x9E3779B1) & 0xFFFFFFFF) ^ second) + 0x7F4A7C15 & 0xFFFFFFFF
    h ^= h >> 16
    h = (h * 0x85EBCA6B) & 0xFFFFFFFF
    h ^= h >> 13
    h = (h * 0xC2B2AE35) & 0xFFFFFFFF
    return h ^ (h >> 16)


def shingles(words: list[int]) -> list[int]:
    """Distinct words and pairs of neighbours, in the order of first occurrence."""
    out: dict[int, None] = {}
    for k, word in enumerate(words):
        out[word] = None
        if k + 1 < len(words):
            out[bigram(word, words[k + 1])] = None
    return list(out)
