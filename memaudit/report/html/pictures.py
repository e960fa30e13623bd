"""Pictures as data URIs: only what is a PNG or JPEG by its first bytes, and only so many bytes of them in all."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAGIC = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}
MOST_EACH, MOST_ALL = 512 << 10, 24 << 20  # bytes before base64, which adds a third


@dataclass(frozen=True)
class Picture:
    """An encoded PNG or JPEG. size: pixels of the longer side, 0 where unknown. outline: an SVG path in a square of 32
    units around what is copied, "" for none; whole: that is all of it."""

    data: bytes
    size: int = 0
    outline: str = ""
    whole: bool = False


@dataclass(frozen=True)
class Gallery:
    """What a page may embed.

    generated: by path as SAMPLES names it; training: by fingerprint and name, as SAMPLES.nearest_image gives it. told:
    what is to be said of them, a sentence each. asked: whether training pictures were asked for.
    """

    generated: Mapping[str, Picture] = field(default_factory=dict)
    training: Mapping[tuple[str, str], Picture] = field(default_factory=dict)
    told: Sequence[str] = ()
    asked: bool = False


class Embedder:
    """Hands out data URIs until the page is full; the same picture counts once a time it is used."""

    def __init__(self, most_each: int = MOST_EACH, most_all: int = MOST_ALL) -> None:
        self._each, self._left = most_each, most_all
        self.refused = 0

    def uri(self, picture: Picture | None) -> str:
        """ "" for none, for what is no picture, and for what is too large."""
        if picture is None:
            return ""
        kind = next((kind for magic, kind in MAGIC.items() if picture.data.startswith(magic)), None)
        if kind is None or len(picture.data) > min(self._each, self._left):
            self.refused += 1
            return ""
        self._left -= len(picture.data)
        return f"data:{kind};base64,{base64.b64encode(picture.data).decode()}"
