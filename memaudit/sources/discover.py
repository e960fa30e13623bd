"""What the user's DATA arguments stand for: files, globs and folders become a list of sources."""

from __future__ import annotations

import glob
import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from memaudit.errors import BadInput
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
    unreadable,
)
from memaudit.sources.storage import is_remote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

CLEANED = "clean.json"  # what `memaudit clean` calls its journal
DOWNLOADS = {"http": "curl -LO {url}", "https": "curl -LO {url}"}
STORES = ("s3", "gs", "hf")


def discover(data: Sequence[str], exclude: Sequence[Path] = ()) -> list[Source]:
    """The sources behind files, globs (`**` too) and folders (recursive), sorted by path within each argument.

    Inside folders, hidden files, audit folders and the folders in `exclude` are left out. What is reached twice counts
    once. Where a parquet and a folder or tar hold the same shard, the parquet counts. Raises BadInput for an argument
    that leads to nothing readable. Costs one listing per folder and one stat per file.
    """
    skip = frozenset(Path(folder).resolve() for folder in exclude)
    found: dict[tuple[str, str], Source] = {}
    for argument in data:
        for source in sorted(_behind(argument, skip), key=lambda source: source.path):
            place = source.path if is_remote(source.path) else str(Path(source.path).resolve())
            found.setdefault((place, source.format), source)
    tables = {shard(place) for place, kind in found if kind == "parquet"}
    # img2dataset writes 00000.parquet beside 00000/ or 00000.tar with the same captions as .txt files.
    return [
        source
        for (place, kind), source in found.items()
        if kind not in ("pictures", "tar") or shard(place) not in tables
    ]


def _behind(argument: str, skip: frozenset[Path]) -> list[Source]:
    path = Path(argument)
    if scheme := re.match(r"([a-z][a-z0-9+.-]*)://", argument, re.IGNORECASE):
        if scheme[1] not in STORES:
            raise _not_supported(argument, scheme[1].lower())
        from memaudit.sources.discover_remote import behind_url  # and the stores' libraries

        return behind_url(argument)
    if argument and path.is_dir():
        sources = list(_inside(path, skip))
        if not sources:
            why = "it is an audit" if _is_audit(path) else f"known: {known_suffixes()}, pictures with .txt beside them"
            raise BadInput(f"nothing readable in {shown(argument)}", why, "name the folder that holds the captions")
        return sources
    if argument and path.exists():
        return [_named(path)]
    if glob.has_magic(argument):
        return _matching(argument, skip)
    hint = "check the spelling; paths are relative to the current folder"
    raise BadInput(f"no such file: {shown(argument) or repr(argument)}", "neither a file, a folder nor a pattern", hint)


def _named(path: Path) -> Source:
    """The source of a file that the user named."""
    if table_format(path.name) == "tar":
        return _table(_beside_tar(path) or path)
    if table_format(path.name) is not None:
        return _table(path)
    hint = "convert it to one of these, or leave it out"
    if path.suffix.lower() == ".json":
        hint = f"jq -c '.[]' {shlex.quote(shown(path.name))} > {shlex.quote(shown(path.stem))}.jsonl"
    elif path.suffix.lower() in PICTURES or path.suffix.lower() == ".txt":
        hint = "name the folder that holds the pictures and their .txt files"
    raise BadInput(f"{shown(str(path))} is of no known kind", f"known: {known_suffixes()}", hint)


def _table(path: Path) -> Source:
    kind = table_format(path.name)
    assert kind is not None
    try:
        size = path.stat().st_size
    except OSError:  # a broken link: opening it says so
        size = 0
    return Source(str(path), kind, size)


def _inside(folder: Path, skip: frozenset[Path]) -> Iterator[Source]:
    """Sources in a folder and all folders below it; links are followed, loops are not."""
    open_folders, seen = [folder], {folder.resolve()}
    while open_folders:
        here = open_folders.pop()
        if _is_audit(here):
            continue
        files, folders = _listing(here)
        if CLEANED in files:  # beside the data lie lists of rows
            files = []
        yield from _of_files(here, files)
        for name in folders:
            real = (here / name).resolve()
            if real not in seen and real not in skip:
                seen.add(real)
                open_folders.append(here / name)


def _listing(folder: Path) -> tuple[list[str], list[str]]:
    """Names of the files and of the folders in a folder, hidden ones left out."""
    files, folders = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_hidden(entry.name):
                    continue
                if entry.is_dir():
                    folders.append(entry.name)
                elif entry.is_file() or entry.is_symlink():
                    files.append(entry.name)
    except OSError as error:
        raise unreadable(str(folder), error) from error
    return files, folders


def _of_files(folder: Path, names: Sequence[str]) -> Iterator[Source]:
    """The tables and pictures among files of one folder."""
    for name in names:
        if table_format(name) is not None:
            yield _table(folder / name)
    if pairs := pair_up(list(names)):
        yield Source(str(folder), "pictures", sum(_size(folder / text) for text in {pair.text for pair in pairs}))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _beside_tar(path: Path) -> Path | None:
    """The parquet that img2dataset wrote beside a tar; it holds the tar's captions."""
    beside = (Path(shard(str(path)) + suffix) for suffix in (".parquet", ".pq"))
    return next((table for table in beside if table.is_file()), None)


def _is_audit(folder: Path) -> bool:
    """Whether an earlier run of memaudit wrote this folder."""
    try:
        return is_audit_manifest((folder / "manifest.json").read_bytes())
    except OSError:
        return False


def _not_supported(argument: str, scheme: str) -> BadInput:
    url = shown(argument).partition("?")[0]  # what follows may be a signature
    command = DOWNLOADS.get(scheme, "download it first").format(url=shlex.quote(url))
    if scheme in STORES:
        command = f"{scheme}://..., in small letters"
    return BadInput(f"{scheme}:// is not supported", f"found {url}; read are local files, s3://, gs://, hf://", command)


def _matching(pattern: str, skip: frozenset[Path]) -> list[Source]:
    """Sources behind a glob. Folders that it matches are read whole; other files that it matches are passed over."""
    paths = _reached(pattern, skip)
    folders = [path for path in paths if path.is_dir()]
    files = [path for path in paths if not path.is_dir()]
    sources = [source for folder in folders for source in _inside(folder, skip)]
    sources += [_named(path) for path in files if table_format(path.name)]
    if sources:
        return sources
    if not paths:
        raise BadInput(
            f"no file matches {shown(pattern)}", "the pattern leads to nothing", "ls the folder, mend the pattern"
        )
    hint = "name the folder, if these are pictures with .txt files" if _any_picture(files) else "mend the pattern"
    raise BadInput(f"nothing readable matches {shown(pattern)}", f"known: {known_suffixes()}", hint)


def _any_picture(files: Iterable[Path]) -> bool:
    return any(path.suffix.lower() in PICTURES for path in files)


def _literal_part(pattern: str) -> tuple[Path, Path]:
    """The leading folders of a pattern that exist as written (even with glob characters), and the rest."""
    root, rest = Path(), Path(pattern)
    parts = rest.parts
    for at, part in enumerate(parts[:-1]):
        if glob.has_magic(part) and not (root / part).is_dir():
            break
        root, rest = root / part, Path(*parts[at + 1 :])
    return root, rest


def _reached(pattern: str, skip: frozenset[Path]) -> list[Path]:
    """What a glob matches, less what a folder would leave out: hidden names, audits, the folders in `skip`."""
    root, rest = _literal_part(pattern)
    matches = glob.glob(str(rest), root_dir=root, recursive=True)  # noqa: PTH207 (Path.glob yields dot files)
    lineages = {match: [p for p in (Path(match), *Path(match).parents) if p.name] for match in matches}
    spelled_out = is_hidden(rest.name)  # the user asks for hidden files
    closed = set()
    for folder in {p for lineage in lineages.values() for p in lineage}:
        whole = root / folder
        if whole.is_dir():
            if is_hidden(folder.name) or whole.resolve() in skip or _is_audit(whole):
                closed.add(folder)
        elif is_hidden(folder.name) and not spelled_out:
            closed.add(folder)
    return [root / match for match, lineage in lineages.items() if closed.isdisjoint(lineage)]
