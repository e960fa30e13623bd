"""What lies on disk: a `Source`, how it is fingerprinted, opened as a stream of bytes, and named in a message."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass

from memaudit.errors import BadInput
from memaudit.sources.storage import COMPRESSED, TAR_GZ, is_remote, opened

TABLES = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".tar": "tar",
    ".tgz": "tar",
}
BOM = b"\xef\xbb\xbf"
PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".avif", ".jxl", ".tif", ".tiff"})

EDGE = 1 << 20  # bytes of a file's start or end that a fingerprint covers


@dataclass(frozen=True)
class Source:
    """One thing that is read: a table file, or a folder of pictures with a .txt beside each."""

    path: str  # as the user's argument reaches it: relative stays relative
    format: str  # "parquet", "csv" (also tab-separated), "jsonl" or "pictures"
    size: int  # bytes on disk; of pictures: of their .txt files

    def fingerprint(self) -> str:
        """16 hex digits that change when the input does.

        Parquet: size and the last MiB, which holds the footer. CSV and JSONL: size, first and last MiB. Pictures:
        names, sizes and modification times of the .txt files. Reads at most 2 MiB. Raises BadInput when the path cannot
        be read.
        """
        digest = hashlib.blake2b(digest_size=8)
        try:
            if self.format == "pictures":
                facts = _facts(self.path)
                for pair in pair_up(list(facts)):
                    size, time = facts[pair.text]
                    digest.update(os.fsencode(f"{pair.picture}\0{pair.text}\0{size}\0{time}\0"))
            else:
                _hash_edges(self.path, digest, first=self.format != "parquet")
        except OSError as error:
            raise unreadable(self.path, error) from error
        return digest.hexdigest()


def _hash_edges(path: str, digest: hashlib.blake2b, first: bool) -> None:
    with opened(path) as file:
        size: int = file.size()
        last = file.read_at(EDGE, max(0, size - EDGE))
        digest.update(size.to_bytes(8, "little"))
        if first:
            digest.update(last if size <= EDGE else file.read_at(EDGE, 0))
        digest.update(last)


def _facts(folder: str) -> dict[str, tuple[int, int]]:
    """Size and time of change (ns) of each file of a folder that is not hidden. Raises OSError."""
    if is_remote(folder):
        from memaudit.sources.remote import entries

        found = ((one.url.rpartition("/")[2], one) for one in entries(folder, recursive=False) if not one.is_folder)
        return {name: (one.size, one.mtime_ns) for name, one in found if not is_hidden(name)}
    with os.scandir(folder) as listed:
        files = [entry for entry in listed if not is_hidden(entry.name) and entry.is_file()]
        of_texts = {pair.text for pair in pair_up([entry.name for entry in files])}
        stats = {entry.name: entry.stat() if entry.name in of_texts else None for entry in files}
    return {name: (facts.st_size, facts.st_mtime_ns) if facts else (0, 0) for name, facts in stats.items()}


def table_format(name: str) -> str | None:
    """The format that a file name promises, or None: "A.CSV.gz" is "csv". Text and archives may be compressed."""
    stem, suffix = os.path.splitext(name.lower())  # noqa: PTH122 (a name, not a path: "..csv" and friends)
    if suffix in COMPRESSED:
        inner = TABLES.get(os.path.splitext(stem)[1])  # noqa: PTH122
        return None if inner == "parquet" or stem.endswith(TAR_GZ) else inner
    return TABLES.get(suffix)


def shard(path: str) -> str:
    """What img2dataset calls a shard: the path of a parquet or a tar less its suffixes; of anything else itself."""
    if table_format(path) not in ("parquet", "tar"):
        return path
    stem, suffix = os.path.splitext(path)  # noqa: PTH122
    return os.path.splitext(stem)[0] if suffix.lower() in COMPRESSED else stem  # noqa: PTH122


def is_audit_manifest(content: bytes) -> bool:
    """Whether a manifest.json is that of an audit."""
    try:
        manifest = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(manifest, dict) and "memaudit" in manifest


def known_suffixes() -> str:
    """What a message lists as readable."""
    return f"{' '.join(TABLES)} (text and tar also with {' '.join(COMPRESSED)}), folders"


@dataclass(frozen=True)
class Pair:
    """A picture and the .txt beside it, as file names within one folder."""

    picture: str
    text: str


def picture_pairs(folder: str) -> list[Pair]:
    """The pictures of a folder that have a .txt of the same stem beside them, sorted by picture name.

    Hidden files are not looked at. Raises OSError when the folder cannot be listed. Costs one directory listing.
    """
    if is_remote(folder):
        return pair_up(list(_facts(folder)))
    with os.scandir(folder) as entries:
        names = [e.name for e in entries if not is_hidden(e.name) and e.is_file()]
    return pair_up(names)


def pair_up(names: list[str]) -> list[Pair]:
    """Pairs among the file names of one folder, sorted by picture name."""
    split = [(name, *os.path.splitext(name)) for name in sorted(names)]  # noqa: PTH122
    texts = {stem: name for name, stem, suffix in split if suffix.lower() == ".txt"}
    return [Pair(name, texts[stem]) for name, stem, suffix in split if suffix.lower() in PICTURES and stem in texts]


def is_hidden(name: str) -> bool:
    """Whether tools leave this name out: `.cache`, `_SUCCESS`, `_metadata`."""
    return name.startswith((".", "_"))


def caption_of(text: bytes) -> bytes:
    """What a whole file says as a caption: without byte order mark, and without space at its ends."""
    try:
        return text.removeprefix(BOM).decode("utf-8").strip().encode("utf-8")
    except UnicodeDecodeError:
        return text.removeprefix(BOM).strip()


def unreadable(path: str, error: Exception) -> BadInput:
    """The message for a file that the system, a store or a codec refuses."""
    if refused := refusal(path, error):
        return refused
    why = error.strerror if isinstance(error, OSError) and error.strerror else f"{error}"
    return BadInput(f"cannot read {shown(path)}", shown(why), "check the file and its permissions, or leave it out")


def refusal(path: str, error: Exception) -> BadInput | None:
    """The message where it is a store that refuses or does not answer, whatever the file is like."""
    if not is_remote(path):
        return None
    from memaudit.sources import remote

    return remote.refusal(shown(path), error)


def shown(text: str) -> str:
    """`text` on one line for a message: control characters, line breaks and unpaired surrogates escaped."""
    return text if text.isprintable() else repr(text)[1:-1]


def few(names: list[str], limit: int = 12) -> str:
    """Names for a message, the tail of a long list as a count."""
    rest = f" and {len(names) - limit:,} more" if len(names) > limit else ""
    return ", ".join(shown(name) for name in names[:limit]) + rest
