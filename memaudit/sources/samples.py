"""The members of a webdataset archive as samples: those that follow each other with the same key."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from memaudit.sources.archive import CUT, Damaged, Member
from memaudit.sources.files import PICTURES

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from memaudit.sources.archive import Walk, Window

MAX_CONTENT = 64 << 20  # bytes of a text or a picture that are read

_PICTURES = frozenset(suffix[1:].encode() for suffix in PICTURES)


class Sample(NamedTuple):
    """One record of an archive.

    contents: by extension, of those that are read. wrong: why the sample cannot be used.
    """

    key: bytes  # path up to the first dot of the name
    start: int  # where its headers begin
    header: int  # the number of its last header
    extensions: tuple[bytes, ...]
    contents: dict[bytes, bytes]
    picture: Member | None
    wrong: str | None


def key_and_extension(name: bytes) -> tuple[bytes, bytes] | None:
    """ "a/b/7.seg.PNG" is sample "a/b/7" with extension "seg.png"; None for a hidden name and one without a dot."""
    at = name.rfind(b"/") + 1
    dot = name.find(b".", at)
    return (name[:dot], name[dot + 1 :].lower()) if dot > at else None


def is_picture(extension: bytes) -> bool:
    """Whether members of this extension are pictures: "jpg", also "front.jpg"."""
    return extension.rpartition(b".")[2] in _PICTURES


def samples(walk: Walk, source: Window, wanted: Container[bytes], pictures: bool = False) -> Iterator[Sample]:
    """Samples in order, as webdataset groups them. Members without key and extension are passed over.

    wanted: extensions whose contents are read; pictures: whether the picture is read too. Raises Damaged, OSError and
    ArrowException.
    """
    key, start, header, stem = None, 0, 0, b""
    extensions: list[bytes] = []
    contents: dict[bytes, bytes] = {}
    picture, wrong = None, None
    for member in walk.members():
        name = member.name
        extension = name[len(stem) :].lower()
        if not stem or not name.startswith(stem) or b"/" in extension:  # not, at a glance, of the same sample
            split = key_and_extension(name)
            if split is None:
                continue
            if key is not None:
                yield Sample(key, start, header, tuple(extensions), contents, picture, wrong)
            (key, extension), start = split, member.start
            stem = key + b"."
            extensions, contents, picture, wrong = [], {}, None, None
        header = walk.n_headers
        if extension in extensions:
            wrong = "two members of one name"
            continue
        extensions.append(extension)
        shows = picture is None and is_picture(extension)
        if shows and member.plain:
            picture = member
        if extension in wanted or (shows and pictures):
            if not member.plain:
                wrong = wrong or "link"
            elif member.size > MAX_CONTENT:
                wrong = wrong or "too large"
            else:
                contents[extension] = _content(source, member)
    if key is not None:
        yield Sample(key, start, header, tuple(extensions), contents, picture, wrong)


def _content(source: Window, member: Member) -> bytes:
    content = source.read(member.at, member.size)
    if len(content) < member.size:
        raise Damaged(CUT)
    return content
