"""The allow-list: `memaudit-allow.toml`, what people said of findings. Entries are only ever added; the last one for a
finding holds, and comments stay.

    [[allow]]
    fingerprint = "3f9a21c07d5e4b18"    # or template = "<*> royalty free <num> $"
    reason = "page furniture, cropped before training"
    expires = 2027-06-30                # the last day on which it holds; may be left out
"""

from __future__ import annotations

import datetime
import difflib
import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memaudit.errors import UsageError
from memaudit.schemas import KINDS, SEVERITIES
from memaudit.store import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

NAME = "memaudit-allow.toml"
DANGEROUS, ACCEPTED = "y", "n"
MEMBERS = 20  # keys of member texts that an entry keeps
HEADER = "# memaudit's allow-list (docs/review.md). Entries are added at the end; the last one for a finding holds.\n"
_SHAPES = {"fingerprint": re.compile(r"[0-9a-f]{16}"), "member": re.compile(r"[0-9a-f]{16}")}


@dataclass(frozen=True)
class Entry:
    """What was said of one finding. `fingerprint` or `template` names it; label: "n" is accepted, so suppressed, "y" a
    true finding; the rest is how it looked then."""

    fingerprint: str | None = None
    template: str | None = None
    label: str = ACCEPTED
    reason: str | None = None
    expires: datetime.date | None = None  # the last day on which it holds
    date: datetime.date | None = None  # of the label
    kind: str | None = None
    rule: str | None = None
    severity: str | None = None
    caption: str | None = None  # for people
    members: tuple[str, ...] = ()  # key_lo of member texts, 16 hex digits each

    @property
    def name(self) -> str:
        """What identifies the finding that is meant: a later entry of the same name replaces this one."""
        return self.fingerprint or f"template {self.template}"

    def expired(self, today: datetime.date) -> bool:
        """Whether it no longer suppresses; that a finding is true does not expire."""
        return self.label == ACCEPTED and self.expires is not None and self.expires < today


def list_path(audit_folder: Path, given: Path | None) -> Path:
    """Where the allow-list of an audit is: as named, else beside the audit's folder."""
    return given or audit_folder.resolve().parent / NAME


def load(path: Path, required: bool = False) -> list[Entry]:
    """The entries in the order of the file, those that a later one replaces left out.

    A file that is missing is an empty list, unless `required`. Raises UsageError for anything that is not understood:
    an entry that silently suppressed nothing would be worse.
    """
    if not path.is_file() and not required:
        return []
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        what = f"cannot read the allow-list {shown(path)}"
        raise UsageError(what, error.strerror or str(error), "another name after --allow") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{shown(path)} is not valid TOML", str(error), "mend the file or move it away") from error
    for key, value in table.items():
        if key != "allow" or not isinstance(value, list):
            raise UsageError(
                f"{shown(path)} holds {key!r}", "known: tables [[allow]]", "begin each entry with [[allow]]"
            )
    latest: dict[str, Entry] = {}
    for number, fields in enumerate(table.get("allow", []), 1):
        entry = _entry(fields, f"entry {number} of {shown(path)}")
        latest.pop(entry.name, None)
        latest[entry.name] = entry
    return list(latest.values())


def shown(path: Path) -> str:
    """A path on one line of a message."""
    text = str(path)
    return text if text.isprintable() else repr(text)[1:-1]


KEYS = tuple(Entry.__dataclass_fields__)


def _entry(fields: Any, where: str) -> Entry:
    if not isinstance(fields, dict):
        raise UsageError(f"{where} is not a table", f"found {fields!r}"[:200], "begin each entry with [[allow]]")
    values = {}
    for key, value in fields.items():
        if key not in KEYS:
            near = difflib.get_close_matches(key.lower(), KEYS, n=1)
            hint = f"{near[0]} = ..." if near else "leave it out, or make it a comment"
            raise UsageError(f"unknown key {key!r} in {where}", f"known: {', '.join(KEYS)}", hint)
        values[key] = _value(key, value, where)
    if not values.get("fingerprint") and not values.get("template"):
        raise UsageError(f"{where} names no finding", "it has no fingerprint and no template", 'fingerprint = "..."')
    return Entry(**values)


def _value(key: str, value: Any, where: str) -> Any:
    if key in ("expires", "date"):
        return _date(key, value, where)
    if key == "members":
        if isinstance(value, list) and all(isinstance(v, str) and _SHAPES["member"].fullmatch(v) for v in value):
            return tuple(value)
        raise _wrong(key, value, where, "a list of strings of 16 hex digits", "leave it out")
    if not isinstance(value, str):
        raise _wrong(key, value, where, "a string", f'{key} = "..."')
    if key == "fingerprint":
        value = value.strip().lower()
        if not _SHAPES[key].fullmatch(value):
            raise _wrong(key, value, where, "16 hex digits", "memaudit show AUDIT CLUSTER prints it in full")
    known = {"label": (DANGEROUS, ACCEPTED), "kind": KINDS, "severity": SEVERITIES}.get(key)
    if known and value not in known:
        near = difflib.get_close_matches(value, known, n=1)
        raise _wrong(key, value, where, f"one of {', '.join(known)}", f'{key} = "{near[0] if near else known[0]}"')
    return value.strip() if key == "template" else value


def _date(key: str, value: Any, where: str) -> datetime.date:
    if isinstance(value, datetime.datetime):
        return value.date()
    if isinstance(value, datetime.date):
        return value
    try:
        return datetime.date.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise _wrong(key, value, where, "a date", f"{key} = 2027-01-31") from error


def _wrong(key: str, value: Any, where: str, wanted: str, hint: str) -> UsageError:
    return UsageError(f"{key} in {where} cannot be used", f"found {value!r}, wanted {wanted}"[:300], hint)


def append(path: Path, entry: Entry) -> None:
    """Add an entry at the end of the file, which is made if it is missing and replaced as a whole: a kill leaves the
    old or the new one. A link is followed. Raises UsageError where it cannot be written."""
    path = path.resolve()
    try:
        before = path.read_bytes() if path.is_file() else HEADER.encode()
        gap = b"" if before.endswith(b"\n") or not before else b"\n"
        write_atomically(path, before + gap + b"\n" + to_toml(entry).encode("utf-8"))
    except OSError as error:
        what = f"cannot write the allow-list {shown(path)}"
        raise UsageError(what, error.strerror or str(error), "another file with --allow") from error


def to_toml(entry: Entry) -> str:
    """One entry as a table of TOML that `load` reads back as it was, unpaired surrogates apart."""
    lines = ["[[allow]]"]
    for key in KEYS:
        value = getattr(entry, key)
        if isinstance(value, datetime.date):
            lines.append(f"{key} = {value.isoformat()}")
        elif isinstance(value, tuple) and value:
            lines.append(f"{key} = [{', '.join(map(quoted, value))}]")
        elif isinstance(value, str):
            lines.append(f"{key} = {quoted(value)}")
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """A basic string of TOML; what is not printable is escaped, so that no editor or terminal acts on it."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    if char.isprintable():
        return char
    code = ord(char)
    if 0xD800 <= code < 0xE000:  # half of a pair: TOML has no way to write it
        return "\ufffd"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
