"""What s3://, gs:// and hf:// arguments stand for: the same rules as on a disk, by listings."""

from __future__ import annotations

import fnmatch
import glob
import re
from typing import TYPE_CHECKING

from memaudit.errors import BadInput, UsageError
from memaudit.sources.files import (
    PICTURES,
    Source,
    is_audit_manifest,
    is_hidden,
    known_suffixes,
    pair_up,
    shard,
    shown,
    table_format,
)
from memaudit.sources.remote import Entry, entries, entry, opened_remote, told

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST_MANIFEST = 64 << 20
CHECK = "check the spelling; a folder ends where its name ends, not within it"


def behind_url(argument: str) -> list[Source]:
    """The sources behind one URL: an object, a pattern or a folder. Raises BadInput and UsageError.

    Costs a request or two, and one for each thousand objects that are listed. A pattern without `**` lists only the
    folders that it goes through.
    """
    scheme, _, path = argument.partition("://")
    path = path.rstrip("/")
    url = f"{scheme}://{path}"
    if scheme == "hf" and not re.match(r"datasets/[^/]+/[^/]+", path):
        raise UsageError(f"{shown(argument)} is no dataset", "wanted: owner and name", "hf://datasets/OWNER/NAME")
    if not path:
        raise UsageError(f"{shown(argument)} names no bucket", "wanted: a bucket", f"{scheme}://BUCKET/FOLDER")
    try:
        return _sources(url)
    except OSError as error:
        raise told(error, shown(url)) from error


def _sources(url: str) -> list[Source]:
    found = entry(url)
    if found is not None and not found.is_folder:
        return [_named(found)]
    if found is not None:
        sources = _of_objects(url, entries(url, recursive=True))
        if not sources:
            why = f"known: {known_suffixes()}, pictures with .txt beside them"
            raise BadInput(f"nothing readable in {shown(url)}", why, "name the folder that holds the captions")
        return sources
    if not glob.has_magic(url):
        raise BadInput(f"no such object: {shown(url)}", "neither an object nor a folder of the store", CHECK)
    root, parts = _literal_part(url)
    matches = list(_matching(root, parts))
    sources = [source for one in matches if one.is_folder for source in _of_objects(one.url, entries(one.url, True))]
    sources += [_named(one) for one in matches if not one.is_folder and table_format(one.url)]
    if not sources:
        what = "nothing readable matches" if matches else "no object matches"
        raise BadInput(f"{what} {shown(url)}", f"known: {known_suffixes()}", "mend the pattern")
    return sources


def _named(found: Entry) -> Source:
    """The source of an object that the user named; of a tar the parquet that img2dataset wrote beside it."""
    kind = table_format(found.url)
    if kind is None:
        is_picture = found.url[found.url.rfind(".") :].lower() in PICTURES | {".txt"}
        hint = "name the folder that holds the pictures" if is_picture else "convert it to one of these"
        raise BadInput(f"{shown(found.url)} is of no known kind", f"known: {known_suffixes()}", hint)
    if kind == "tar" and (table := entry(f"{shard(found.url)}.parquet")) is not None and not table.is_folder:
        found, kind = table, "parquet"
    return Source(found.url, kind, found.size)


def _of_objects(folder: str, found: Iterable[Entry]) -> list[Source]:
    """The tables and pictures in a folder and below; hidden names and audits are left out."""
    by_folder: dict[str, dict[str, int]] = {}
    for one in found:
        inner = one.url.removeprefix(f"{folder}/")
        if not one.is_folder and not any(is_hidden(part) for part in inner.split("/")):
            place, _, name = one.url.rpartition("/")
            by_folder.setdefault(place, {})[name] = one.size
    audits = [f"{place}/" for place, sizes in by_folder.items() if "manifest.json" in sizes and _is_audit(place)]
    sources = []
    for place, sizes in by_folder.items():
        if f"{place}/".startswith(tuple(audits)):
            continue
        tables = ((name, kind) for name in sizes if (kind := table_format(name)) is not None)
        sources += [Source(f"{place}/{name}", kind, sizes[name]) for name, kind in tables]
        if pairs := pair_up(list(sizes)):
            sources.append(Source(place, "pictures", sum(sizes[text] for text in {pair.text for pair in pairs})))
    return sources


def _is_audit(folder: str) -> bool:
    with opened_remote(f"{folder}/manifest.json") as file:
        return is_audit_manifest(file.read(MOST_MANIFEST))


def _literal_part(url: str) -> tuple[str, list[str]]:
    """The folder before the first part of a pattern that has glob characters, and the parts from there on."""
    scheme, _, path = url.partition("://")
    parts = path.split("/")
    n = next(at for at, part in enumerate(parts) if glob.has_magic(part))
    if n == 0:
        raise UsageError(f"{shown(url)} names no bucket", "a pattern stands below a bucket", f"{scheme}://BUCKET/*")
    return f"{scheme}://{'/'.join(parts[:n])}", parts[n:]


def _matching(folder: str, parts: list[str]) -> Iterator[Entry]:
    """Objects and folders that a pattern matches, level by level; hidden ones only where the last part spells it."""
    if parts == ["**"]:
        yield Entry(folder, True, 0, 0)
    elif parts[0] == "**":
        for one in entries(folder, recursive=True):
            names = one.url.removeprefix(f"{folder}/").split("/")
            if _fits(parts, names) and not any(is_hidden(name) for name in names):
                yield one
    else:
        yield from _one_level(folder, parts)


def _one_level(folder: str, parts: list[str]) -> Iterator[Entry]:
    for one in entries(folder, recursive=False):
        name = one.url.rpartition("/")[2]
        if not fnmatch.fnmatchcase(name, parts[0]) or (is_hidden(name) and not is_hidden(parts[0])):
            continue
        if len(parts) == 1:
            yield one
        elif one.is_folder:
            yield from _matching(one.url, parts[1:])


def _fits(parts: list[str], names: list[str]) -> bool:
    """Whether a pattern matches a path; `**` is any number of folders."""
    if not parts:
        return not names
    if parts[0] == "**":
        return any(_fits(parts[1:], names[n:]) for n in range(len(names) + 1))
    return bool(names) and fnmatch.fnmatchcase(names[0], parts[0]) and _fits(parts[1:], names[1:])
