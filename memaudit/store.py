"""The audit folder: atomic frames, a manifest that says what is finished, and refusal to mix audits.

Only this module writes into an audit folder. A frame is written under a temporary name, read back (rows, checksum),
renamed, and only then entered in the manifest; so a stage that the manifest lists is whole.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import time
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl

from memaudit import __version__
from memaudit.errors import BadInput, NoSpace, UsageError
from memaudit.schemas import FORMAT_VERSION, FRAMES, OPTIONAL, PROMPT_KINDS, conform

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MANIFEST = "manifest.json"
WORK = "work"
JOURNAL = "verify-"  # of folders in work/: what an unfinished verification found so far
CHECK_INDEX = "check.index"  # what `memaudit check` keeps; made again where it is missing
SAMPLES = "samples"  # generated pictures: samples/MODEL/FINGERPRINT/KIND-NUMBER-SEED.png
READ_STATE = "read.json"  # in work/: how far an unfinished read came
_SAMPLE = re.compile(rf"(?:{'|'.join(PROMPT_KINDS)})-\d+-\d+\.png")


def checksum(path: Path) -> str:
    """8 hex digits over a file's bytes: CRC-32, which finds damage, at the speed of memory."""
    value = 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            value = zlib.crc32(chunk, value)
    return f"{value:08x}"


@contextmanager
def no_space_is_clear(folder: Path) -> Iterator[None]:
    """Turn "no space left on device" into an error that says what is kept."""
    try:
        yield
    except (OSError, pl.exceptions.PolarsError) as error:
        if not _says_full(error):
            raise
        raise NoSpace(
            f"no space left while writing {folder}",
            "finished stages are kept; nothing unfinished is taken for finished",
            "free some space and run the same command again, or choose another folder with -o",
        ) from error


def _says_full(error: Exception) -> bool:
    """Whether a disk is full; Arrow, polars and numpy say so in words only."""
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
        return True
    words = str(error).lower()
    return any(sign in words for sign in ("no space left", "os error 28", "errno 28", "quota exceeded"))


def write_atomically(path: Path, data: bytes) -> None:
    """Write a small file under a temporary name and rename it."""
    temporary = path.with_name(f".{path.name}.tmp")
    with no_space_is_clear(path.parent):
        temporary.write_bytes(data)
        temporary.replace(path)


@dataclass
class Audit:
    """An audit folder. `open_audit` reads one, `begin` starts or continues one.

    manifest: the content of manifest.json; keys "memaudit" (format version), "tool", "config", "inputs", "stages",
    "status". allow: the allow-list that the user named; None is the one beside the folder.
    """

    folder: Path
    manifest: dict[str, Any] = field(default_factory=dict)
    allow: Path | None = None

    @property
    def complete(self) -> bool:
        return bool(self.manifest.get("status") == "complete")

    @property
    def work(self) -> Path:
        """Scratch of an unfinished scan."""
        return self.folder / WORK

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.parquet"

    @property
    def samples(self) -> Path:
        """Pictures that verify generated."""
        return self.folder / SAMPLES

    def has_frame(self, name: str) -> bool:
        """Whether the frame called `name` is there; what verify writes need not be."""
        return self.path(name).is_file()

    def _never_written(self, name: str) -> bool:
        """Whether a frame is missing by right: no stage claims to have written it."""
        stages = self.manifest.get("stages", {}).values()
        claimed = any(f"{name}.parquet" in stage.get("files", ()) for stage in stages)
        return name in OPTIONAL and not claimed and not self.has_frame(name)

    def scan(self, name: str) -> pl.LazyFrame:
        """The frame called `name`, lazily; one of `OPTIONAL` that was never written is empty.

        Raises BadInput when it is missing or damaged.
        """
        if self._never_written(name):
            return pl.LazyFrame(schema=FRAMES[name])
        try:
            return pl.scan_parquet(self.path(name), glob=False).select(FRAMES[name].names())
        except (OSError, pl.exceptions.PolarsError) as error:
            raise self._damaged(name, error) from error

    def frame(self, name: str) -> pl.DataFrame:
        """The frame called `name` with its declared columns. Raises BadInput when it is missing or damaged."""
        try:
            return conform(name, self.scan(name).collect())
        except (OSError, ValueError, pl.exceptions.PolarsError) as error:
            raise self._damaged(name, error) from error

    def collect(self, query: pl.LazyFrame, *names: str, engine: Literal["auto", "streaming"] = "auto") -> pl.DataFrame:
        """The result of a query over the frames called `names`. Raises BadInput when a file is damaged.

        engine: "streaming" for queries whose frames may be larger than memory; it keeps no order but that of a sort.
        """
        try:
            return query.collect(engine=engine)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise self._damaged(" or ".join(names), error) from error

    def _damaged(self, name: str, error: Exception) -> BadInput:
        return BadInput(
            f"{self.folder} holds no readable {name}.parquet",
            str(error).splitlines()[0][:200],
            "scan again with --fresh",
        )

    def has(self, stage: str) -> bool:
        """Whether the manifest lists this stage and its files are as they were written."""
        entry = self.manifest["stages"].get(stage)
        return entry is not None and all(
            (self.folder / name).is_file() and checksum(self.folder / name) == sum_
            for name, sum_ in entry["files"].items()
        )

    def write(self, name: str, frame: pl.DataFrame) -> None:
        """Write one frame atomically; `finish` enters it in the manifest."""
        frame = conform(name, frame)
        with no_space_is_clear(self.folder):
            temporary = self.folder / f".{name}.parquet.tmp"
            frame.write_parquet(temporary, compression="zstd", compression_level=3)
            self.adopt(name, temporary, len(frame))

    def adopt(self, name: str, temporary: Path, rows: int) -> None:
        """Rename a finished parquet file to the frame called `name` after counting its rows once more."""
        found = pl.scan_parquet(temporary, glob=False).select(pl.len()).collect().item()
        if found != rows:
            raise BadInput(
                f"{name}.parquet was not written whole", f"{found} of {rows} rows came back", "check the disk"
            )
        temporary.replace(self.path(name))

    def write_arrays(self, name: str, arrays: Mapping[str, np.ndarray]) -> str:
        """Write arrays that only later stages need to work/, atomically; returns their file's name for `finish`."""
        path = self.work / f"{name}.npz"
        with no_space_is_clear(self.folder), (temporary := path.with_suffix(".tmp")).open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        temporary.replace(path)
        return f"{WORK}/{path.name}"

    def read_arrays(self, name: str) -> dict[str, np.ndarray]:
        """What `write_arrays` wrote."""
        with np.load(self.work / f"{name}.npz") as arrays:
            return dict(arrays)

    def finish(self, stage: str, names: tuple[str, ...], seconds: float, rows: int) -> None:
        """Enter a stage and its files ("texts.parquet", "work/near.npz") in the manifest."""
        files = {name: checksum(self.folder / name) for name in names}
        self.manifest["stages"][stage] = {"rows": rows, "seconds": round(seconds, 3), "files": files}
        self.save()

    def forget(self, stage: str) -> None:
        """Strike a stage out, before what it left is replaced."""
        if self.manifest["stages"].pop(stage, None) is not None:
            self.save()

    def close(self, started: float) -> None:
        """The scan is complete: say so, then drop the scratch. A kill between the two leaves scratch that `begin`
        drops."""
        self.manifest["status"] = "complete"
        self.manifest["seconds"] = round(time.monotonic() - started, 3)
        self.save()
        shutil.rmtree(self.work, ignore_errors=True)

    def save(self) -> None:
        text = json.dumps(self.manifest, indent=1, ensure_ascii=False, sort_keys=True)
        write_atomically(self.folder / MANIFEST, text.encode("utf-8", errors="surrogateescape"))


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of an audit folder, or None where there is none. Raises BadInput for one that cannot be used."""
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        version = manifest["memaudit"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{path} is no manifest of an audit", str(error)[:200], "name the folder that -o named"
        ) from error
    if version != FORMAT_VERSION:
        why = f"its format is {version}, this version reads {FORMAT_VERSION}"
        raise BadInput(f"{folder} was written by another version of memaudit", why, "scan again with --fresh")
    return dict(manifest)


def open_audit(folder: str | Path, allow: Path | None = None) -> Audit:
    """Open a finished audit. allow: see `Audit`. Raises BadInput where there is none or it is unfinished."""
    folder = Path(folder)
    manifest = read_manifest(folder) if folder.is_dir() else None
    if manifest is None:
        raise BadInput(
            f"{folder} is not an audit", "an audit is a folder with a manifest.json", "memaudit scan DATA -o AUDIT"
        )
    audit = Audit(folder, manifest, allow)
    if not audit.complete:
        raise BadInput(
            f"the audit in {folder} is not finished", "its scan was interrupted", "run the same memaudit scan again"
        )
    return audit


def begin(folder: str | Path, config: dict[str, Any], inputs: list[dict[str, Any]], fresh: bool = False) -> Audit:
    """Start an audit in `folder`, or continue the one that is there.

    config, inputs: what decides the result; an audit of anything else is refused (UsageError) unless `fresh`, which
    replaces it. Anything but an audit in the folder is refused always: memaudit deletes nothing that it did not write.
    """
    folder = Path(folder)
    identity = {"config": config, "inputs": inputs}
    known = None if fresh and _is_audit(folder) else read_manifest(folder)
    if known is not None and {k: known.get(k) for k in identity} == identity:
        audit = Audit(folder, known)
        if audit.complete:
            _drop_scratch(audit)
            return audit
        if known["tool"] == __version__:
            _drop_verified(audit)
            with no_space_is_clear(folder):
                audit.work.mkdir(exist_ok=True)
            return audit
        if _something_done(audit):
            why = f"version {known['tool']} began it, this is {__version__}"
            raise UsageError(f"the unfinished audit in {folder} is another version's", why, "add --fresh")
    elif known is not None and _something_done(Audit(folder, known)):
        what = "input" if known.get("inputs") != inputs else "configuration"
        raise UsageError(
            f"{folder} holds an audit of another {what}", _difference(known, identity), "another -o, or --fresh"
        )
    return _begin_anew(folder, identity, fresh or known is not None)


def _drop_scratch(audit: Audit) -> None:
    """Remove what a scan left in work/, not the journal of an unfinished verification."""
    for path in audit.work.glob("*"):
        if path.is_file():
            path.unlink(missing_ok=True)
        elif not path.name.startswith(JOURNAL):
            shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(OSError):
        audit.work.rmdir()  # empty


def _something_done(audit: Audit) -> bool:
    """Whether there is work to protect: a scan that failed before it noted anything leaves none."""
    return audit.complete or bool(audit.manifest["stages"]) or (audit.work / READ_STATE).is_file()


def _begin_anew(folder: Path, identity: dict[str, Any], replace: bool) -> Audit:
    """A new audit in `folder`, in place of the one that is there. A kill at any moment leaves the old audit, or the
    new one with nothing done."""
    _refuse_foreign(folder, replace)
    shutil.rmtree(folder / WORK, ignore_errors=True)
    manifest = {"memaudit": FORMAT_VERSION, "tool": __version__, **identity, "stages": {}, "status": "running"}
    audit = Audit(folder, manifest)
    with no_space_is_clear(folder):
        folder.mkdir(parents=True, exist_ok=True)
        audit.save()
        for path in (*(audit.path(name) for name in FRAMES), folder / CHECK_INDEX, *folder.glob(".*.tmp")):
            path.unlink(missing_ok=True)
        _drop_verified(audit)
        audit.work.mkdir(exist_ok=True)
    return audit


def _drop_verified(audit: Audit) -> None:
    """Remove what verify left of an audit that is scanned again: its frames, and its pictures by their names.

    Anything else under samples/ is somebody else's and stays, and so do the folders around it. A kill half-way leaves
    an unfinished audit, of which `begin` drops the rest.
    """
    for name in OPTIONAL:
        audit.path(name).unlink(missing_ok=True)
    if audit.samples.is_symlink():
        return
    for folder, _, names in os.walk(audit.samples, topdown=False):
        for name in names:
            if _SAMPLE.fullmatch(name.removeprefix(".").removesuffix(".tmp")):
                Path(folder, name).unlink(missing_ok=True)
        if not any(Path(folder).iterdir()):
            Path(folder).rmdir()


def _is_audit(folder: Path) -> bool:
    try:
        return read_manifest(folder) is not None
    except BadInput:
        return (folder / MANIFEST).is_file()


def _refuse_foreign(folder: Path, replace: bool) -> None:
    """Raise UsageError unless the folder is new or empty, or with `replace` holds an audit."""
    if folder.is_file():
        raise UsageError(f"{folder} is a file", "an audit is a folder", "another name after -o")
    if not folder.is_dir() or all(path.name == f".{MANIFEST}.tmp" for path in folder.iterdir()):
        return
    if not (replace and _is_audit(folder)):
        raise UsageError(
            f"{folder} is not empty and holds no audit", "nothing there is touched", "another folder after -o"
        )


def _difference(known: dict[str, Any], wanted: dict[str, Any]) -> str:
    for key, value in wanted["config"].items():
        if known.get("config", {}).get(key) != value:
            return f"{key} was {known.get('config', {}).get(key)!r}, now {value!r}"
    return f"{len(known.get('inputs', []))} inputs then, {len(wanted['inputs'])} now, or their content changed"
