"""What every Unicode code point means to the lexer, as flat tables built from `unicodedata`.

Folding is NFKD, case fold, NFKD, per code point, so that NFC and NFD spellings agree without composing; canonical
reordering of marks is left to the lexer. Han, Hiragana and Katakana are one character a word. Format characters (soft
hyphen, zero-width joiners, direction marks) and variation selectors fold to nothing: they are invisible, and break
words only on purpose.
"""

from __future__ import annotations

import contextlib
import hashlib
import html.entities
import os
import sys
import unicodedata
import zipfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

SPACE, LETTER, MARK, DIGIT, IDEOGRAPH = range(5)
FIRST_SEPARATOR = 5

SEPARATORS = '-|:/,;()[]"•&+'
"""Separators that templates keep, each under one canonical form (any dash is "-", any double quote is '"')."""

SEPARATOR_FORMS = {
    "–": "-", "—": "-", "‒": "-", "―": "-", "‐": "-", "−": "-", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"',
    "·": "•", "∙": "•", "●": "•", "、": ",", "¦": "|", "’": "'", "‘": "'", "′": "'",
}  # fmt: skip

JOINERS = "-_./×:,'"
"""What may stand between the parts of one compound number or code ("15x8", "00708_Q4311", "3.5", "10:30")."""

UNITS = (
    "mm cm dm m km in inch inches ft feet yd mi oz lb lbs g kg mg t ml cl dl l gal w kw mw v kv a ma mah hz khz mhz "
    "ghz "
    "kb mb gb tb mp px p k fps dpi gsm pcs ct"
).split()
"""Suffixes that make a number a size ("12ft")."""

START, END, NUM, SIZE, ROMAN, CODE = range(1, 7)
SPECIALS = {START: "^", END: "$", NUM: "<num>", SIZE: "<size>", ROMAN: "<roman>", CODE: "<code>"}
SEPARATOR_TOKEN = 8  # token of SEPARATORS[0]; words are hashes of at least FIRST_WORD
FIRST_WORD = 64
TOKEN_NAMES = SPECIALS | {SEPARATOR_TOKEN + i: c for i, c in enumerate(SEPARATORS)}
"""Tokens of the template stream that are not words, as templates write them."""

LEX_BYTES = 1 << 16
"""Of a longer caption only so much is cut into words; the rest enters its key as bytes, so that exact repetition stays
exact."""

MARK_RUN = 32
"""Marks beyond so many in a row are dropped (hostile text stacks thousands)."""

TAG_LENGTH = 200
"""A "<" is the start of a tag only when its ">" is at most so many characters away."""

IDEOGRAPHS = (
    (0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3041, 0x3096), (0x309D, 0x309F), (0x30A1, 0x30FA), (0x30FC, 0x30FF),
    (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x1AFF0, 0x1B16F), (0x20000, 0x323AF),
)  # fmt: skip

CODE_POINTS = sys.maxunicode + 1


class Alphabet(NamedTuple):
    """Tables indexed by code point, and the entity table.

    kind: uint8, class of a *folded* code point (SPACE..IDEOGRAPH, or FIRST_SEPARATOR + index in SEPARATORS);
    mark_order: uint8, canonical combining class of a folded code point;
    fold_start: int32, 0 where a code point folds to itself, else where its folding starts in `folds`;
    folds: int32, runs of [length, code point, ...];
    entity_key: uint64 ascending, the hash of an entity's name (`name_hash`); entity_value: int32 (n, 2), its code
    points.
    """

    kind: np.ndarray
    mark_order: np.ndarray
    fold_start: np.ndarray
    folds: np.ndarray
    entity_key: np.ndarray
    entity_value: np.ndarray


def packed(word: str) -> int:
    """Up to eight ASCII characters as one integer, the last character lowest."""
    return int.from_bytes(word.encode(), "big")


def fold(char: str) -> str:
    """The folding of one character: what the tables say, computed directly."""
    category = unicodedata.category(char)
    if category == "Cf" or 0xFE00 <= ord(char) <= 0xFE0F or 0xE0100 <= ord(char) <= 0xE01EF:
        return ""
    if category == "Cs":
        return "\ufffd"
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", char).casefold())
    return "".join(SEPARATOR_FORMS.get(c, c) for c in folded)


def kind(char: str) -> int:
    """The class of one folded character."""
    code = ord(char)
    if any(low <= code <= high for low, high in IDEOGRAPHS):
        return IDEOGRAPH if unicodedata.category(char)[0] in "LN" else SPACE
    category = unicodedata.category(char)[0]
    if category in "LMN":
        return {"L": LETTER, "M": MARK, "N": DIGIT}[category]
    at = SEPARATORS.find(char)
    return FIRST_SEPARATOR + at if at >= 0 else SPACE


def name_hash(name: bytes) -> int:
    """64-bit FNV-1a of an entity's name; the lexer computes the same while it scans."""
    value = 0xCBF29CE484222325
    for byte in name:
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value


@cache
def alphabet() -> Alphabet:
    """The tables: from the user's cache (10 ms), else built (about 0.6 s, 7.6 MB) and cached for the next process."""
    place = _cache_file()
    try:
        with np.load(place) as stored:
            return Alphabet(**stored)
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile):
        tables = build()
    with contextlib.suppress(OSError):  # a cache that cannot be written only costs time
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary = place.with_suffix(f".{os.getpid()}.tmp")
        with temporary.open("wb") as file:
            np.savez_compressed(file, **tables._asdict())
        temporary.replace(place)
    return tables


def _cache_file() -> Path:
    """One file per Unicode version and version of this module."""
    source = hashlib.blake2b(Path(__file__).read_bytes(), digest_size=6).hexdigest()
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "memaudit" / f"alphabet-{unicodedata.unidata_version}-{source}.npz"


def build() -> Alphabet:
    """The tables from `unicodedata`; unassigned planes are skipped."""
    kinds = np.zeros(CODE_POINTS, np.uint8)
    order = np.zeros(CODE_POINTS, np.uint8)
    start = np.zeros(CODE_POINTS, np.int32)
    pool = [0]
    for code in _assigned():
        char = chr(code)
        kinds[code] = kind(char)
        order[code] = unicodedata.combining(char)
        folded = fold(char)
        if folded != char:
            start[code] = len(pool)
            pool += [len(folded), *map(ord, folded)]
    keys, values = _entities()
    return Alphabet(kinds, order, start, np.array(pool, np.int32), keys, values)


def _assigned() -> range | list[int]:
    blocks = [
        range(0x3400),
        range(0x4DC0, 0x4E00),
        range(0xA000, 0xAC00),
        range(0xAC00, 0x20000),
        range(0x2F800, 0x2FA20),
    ]
    blocks += [
        range(0x3400, 0x4DC0),
        range(0x4E00, 0xA000),
        range(0x20000, 0x2F800),
        range(0x2FA20, 0x323B0),
        range(0xE0000, 0xE0200),
    ]
    return [code for block in blocks for code in block]


def _entities() -> tuple[np.ndarray, np.ndarray]:
    named = {name_hash(n[:-1].encode()): v for n, v in html.entities.html5.items() if n.endswith(";")}
    keys = np.array(sorted(named), np.uint64)
    values = np.zeros((len(keys), 2), np.int32)
    for i, key in enumerate(keys):
        codes = [ord(c) for c in named[int(key)]]
        values[i, : len(codes)] = codes
    return keys, values
