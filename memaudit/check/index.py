"""What prompts are looked up in: arrays of one audit, kept in one file that is mapped, not read.

Four tables find numbers by hash: members by the key of their words, members by shingle, templates by a pair of tokens
or a token, word sets of triggers by a word. A table is a sorted array of hashes with the place where each value of
their top bits begins.
"""

from __future__ import annotations

import hashlib
import json
import mmap
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from memaudit.errors import NoSpace
from memaudit.store import CHECK_INDEX, MANIFEST, write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from memaudit.store import Audit

NAME = CHECK_INDEX
VERSION = 4
_MAGIC = b"memaudit check\0\0"
_ALIGN = 64


class Index(NamedTuple):
    """Arrays by subject. Findings are numbered from the worst on, members by ascending key.

    Table X: X_start (radix), X_hash (uint32, ascending; key_lo uint64), X_at: entry p owns X_list[X_at[p]:X_at[p + 1]].
    """

    key_start: np.ndarray  # uint32
    key_lo: np.ndarray  # uint64, by member
    key_hi: np.ndarray
    own_at: np.ndarray  # int64 (members + 1,)
    own: np.ndarray  # uint32: findings of a member, ascending
    set: np.ndarray  # uint32: distinct shingles of a member; none where it is too short or could not be read
    set_at: np.ndarray  # int64 (members + 1,)
    sh_start: np.ndarray
    sh_hash: np.ndarray
    sh_at: np.ndarray  # int64
    sh_mid: np.ndarray  # int64: up to here members of whose rarest shingles this is one, then others
    sh_list: np.ndarray  # uint32: members
    sh_weight: np.ndarray  # uint8: information of a shingle that is a word, in 1 / UNITS bits
    unknown: np.ndarray  # uint8 (1,): of a word that no member holds
    bits: np.ndarray  # uint32, by member: of its distinct words
    marks: np.ndarray  # uint64, by member: a bit for each of its words, at a place that the word decides
    fr_start: np.ndarray
    fr_hash: np.ndarray
    fr_at: np.ndarray
    fr_list: np.ndarray  # uint32: frames
    fr_tokens: np.ndarray  # uint32: fixed runs of frames
    fr_token_at: np.ndarray  # int64
    fr_ends: np.ndarray  # int64 (frames, 3): ends of the runs of a frame, counted from its first token
    fr_finding: np.ndarray  # uint32
    tr_start: np.ndarray
    tr_hash: np.ndarray
    tr_at: np.ndarray
    tr_list: np.ndarray  # uint32: word sets
    tr_words: np.ndarray
    tr_word_at: np.ndarray
    tr_ends: np.ndarray
    tr_finding: np.ndarray
    severity: np.ndarray  # uint8, by finding: place in schemas.SEVERITIES
    told_at: np.ndarray  # int64: what is said of findings, then of word sets, as JSON
    told: np.ndarray  # uint8

    def finding(self, number: int) -> dict[str, Any]:
        """What is said of a finding."""
        return self._told(number)

    def word_set(self, number: int) -> dict[str, Any]:
        """What is said of a trigger: words, purity, coverage."""
        return self._told(len(self.severity) + number)

    def _told(self, k: int) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.told[self.told_at[k] : self.told_at[k + 1]].tobytes())
        return told


@dataclass(frozen=True)
class Stored:
    """An index, and what else is known of it: "findings", "members", "unread" (path -> why its captions could not
    be read), "without_words" (members that only match exactly), "threshold" (Jaccard)."""

    index: Index
    facts: dict[str, Any]


def radix(hashes: np.ndarray) -> np.ndarray:
    """uint32 (2^b + 1,): where each value of the top b bits of ascending hashes begins."""
    bits = max(1, (len(hashes) // 2).bit_length())
    width = np.uint64(8 * hashes.dtype.itemsize - bits)
    edges = (np.arange(1 << bits, dtype=np.uint64) << width).astype(hashes.dtype)
    return np.append(np.searchsorted(hashes, edges), len(hashes)).astype(np.uint32)


def state_of(audit: Audit, today: date | None = None) -> str:
    """What an index depends on, as a hash: the manifest, which holds checksums of all frames, and the allow-list."""
    digest = hashlib.blake2b(f"{VERSION}\0".encode(), digest_size=16)
    digest.update((audit.folder / MANIFEST).read_bytes())
    allowed = _allow_list(audit)
    digest.update(b"\0" + allowed)
    if b"expires" in allowed:
        digest.update((today or date.today()).isoformat().encode())
    return digest.hexdigest()


def _allow_list(audit: Audit) -> bytes:
    from memaudit.allow import list_path

    path = list_path(audit.folder, audit.allow)
    return path.read_bytes() if path.is_file() else b""


def packed(state: str, stored: Stored) -> bytes:
    """An index as one file's content."""
    arrays = {name: np.ascontiguousarray(array) for name, array in stored.index._asdict().items()}
    places: dict[str, Any] = {}
    at = 0
    for name, array in arrays.items():
        places[name] = [array.dtype.str, list(array.shape), at]
        at += -(-array.nbytes // _ALIGN) * _ALIGN
    head = json.dumps({"state": state, "facts": stored.facts, "arrays": places, "bytes": at}).encode()
    head += b" " * (-(len(_MAGIC) + 8 + len(head)) % _ALIGN)
    parts = [_MAGIC, len(head).to_bytes(8, "little"), head]
    for array in arrays.values():
        parts += [array.tobytes(), b"\0" * (-array.nbytes % _ALIGN)]
    return b"".join(parts)


def save(audit: Audit, state: str, stored: Stored) -> bool:
    """Keep an index beside the frames, whole or not at all; False where the folder cannot be written."""
    try:
        write_atomically(audit.folder / NAME, packed(state, stored))
    except (OSError, NoSpace):
        return False
    return True


def is_sound(index: Index) -> bool:
    """Whether every number in an index points into it: compiled code does not look, and folders come from strangers."""
    n_members, n_findings = len(index.key_lo), len(index.severity)
    tables = (
        (index.key_start, index.key_lo, None, None, 0),
        (index.sh_start, index.sh_hash, index.sh_at, index.sh_list, n_members),
        (index.fr_start, index.fr_hash, index.fr_at, index.fr_list, len(index.fr_finding)),
        (index.tr_start, index.tr_hash, index.tr_at, index.tr_list, len(index.tr_finding)),
    )
    for start, hashes, at, listed, n in tables:
        size = len(start) - 1
        if size < 2 or size & (size - 1) or not _parts(start, len(hashes)):
            return False
        if at is None or listed is None:
            continue
        if not (len(at) == len(hashes) + 1 and _parts(at, len(listed)) and _below(listed, n)):
            return False
    pieces = (
        (index.own_at, index.own, n_members),
        (index.set_at, index.set, n_members),
        (index.fr_token_at, index.fr_tokens, len(index.fr_finding)),
        (index.tr_word_at, index.tr_words, len(index.tr_finding)),
    )
    if not all(len(at) == n + 1 and _parts(at, len(values)) for at, values, n in pieces):
        return False
    if not all(_below(numbers, n_findings) for numbers in (index.own, index.fr_finding, index.tr_finding)):
        return False
    runs = ((index.fr_ends, index.fr_token_at), (index.tr_ends, index.tr_word_at))
    if not all(len(ends) == len(at) - 1 and _are_ends(ends, np.diff(at)) for ends, at in runs):
        return False
    same = (index.key_hi, index.bits, index.marks)
    mid = index.sh_at[:-1] <= index.sh_mid if len(index.sh_mid) == len(index.sh_hash) else np.zeros(1, np.bool_)
    return (
        all(len(values) == n_members for values in same)
        and len(index.sh_weight) == len(index.sh_hash)
        and len(index.unknown) == 1
        and bool(mid.all() and (index.sh_mid <= index.sh_at[1:]).all())
    )


def _parts(at: np.ndarray, n: int) -> bool:
    """Whether these are bounds of pieces of n values."""
    return bool(len(at) and at[0] == 0 and at[-1] == n and (at[1:] >= at[:-1]).all())


def _below(numbers: np.ndarray, n: int) -> bool:
    return not len(numbers) or int(numbers.max()) < n


def _are_ends(ends: np.ndarray, lengths: np.ndarray) -> bool:
    """Whether runs end within their entries, in order."""
    steps = np.diff(ends, axis=1, prepend=0)
    return bool(ends.ndim == 2 and (steps >= 0).all() and (ends[:, -1] <= lengths).all())


def load(path: Path, state: str) -> Stored | None:
    """The index that was kept for this state of the audit, mapped; None where there is none, or another, or a part."""
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):
        return None
    try:
        if mapped[: len(_MAGIC)] != _MAGIC:
            return None
        base = len(_MAGIC) + 8 + int.from_bytes(mapped[len(_MAGIC) : len(_MAGIC) + 8], "little")
        head = json.loads(mapped[len(_MAGIC) + 8 : base])
        if head["state"] != state or len(mapped) != base + head["bytes"]:
            return None
        arrays = {name: _view(mapped, base, *head["arrays"][name]) for name in Index._fields}
        return Stored(Index(**arrays), head["facts"])
    except (ValueError, KeyError, TypeError):
        return None


def _view(mapped: mmap.mmap, base: int, dtype: str, shape: list[int], at: int) -> np.ndarray:
    count = int(np.prod(shape))
    return np.frombuffer(mapped, dtype, count, base + at).reshape(shape)
