"""Which columns of a source hold the captions, and what goes with them."""

from __future__ import annotations

import difflib
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from memaudit.errors import BadInput
from memaudit.sources.batches import is_textual
from memaudit.sources.files import few, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

CAPTION_NAMES = ("caption", "text", "prompt", "alt_text", "alttext", "alt", "description", "title", "captions")
ID_NAMES = ("uid", "key", "__key__", "id", "sample_id", "image_id")
IMAGE_NAMES = ("url", "image_url", "image_path", "img_path", "file_name", "filename", "path", "image")
HASH_NAMES = ("phash", "md5", "sha256", "image_hash", "hash")
_NOT_CAPTIONS = frozenset((*ID_NAMES, *IMAGE_NAMES, *HASH_NAMES, "status", "error_message"))


@dataclass(frozen=True)
class ColumnChoice:
    """What the user asked for; what is empty is found by name (weights never are).

    Names match exactly, else without regard to case. A source needs one of several named caption columns: the inputs of
    one run may have different schemas.
    """

    captions: tuple[str, ...] = ()
    id: str | None = None
    image: str | None = None
    hash: str | None = None
    weights: tuple[str, ...] = ()
    repeats: bool = False  # a number at the start of a picture folder's name is a weight

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> ColumnChoice:
        """The choice that a scan's configuration makes, as its manifest holds it."""
        return cls(
            captions=tuple(config.get("columns") or ()),
            id=config.get("id_column"),
            image=config.get("image_column"),
            hash=config.get("hash_column"),
            weights=tuple(config.get("weight_columns") or ()),
            repeats=config.get("preset") == "finetune",
        )


@dataclass(frozen=True)
class Columns:
    """What was found in one source, under the source's own names."""

    captions: tuple[str, ...]
    id: str | None = None
    image: str | None = None  # None also for a column of picture bytes
    hash: str | None = None
    weights: tuple[str, ...] = ()

    def names(self) -> list[str]:
        """All columns to read, each once."""
        wanted = (*self.captions, self.id, self.image, self.hash, *self.weights)
        return list(dict.fromkeys(name for name in wanted if name is not None))


def find_columns(fields: Mapping[str, pa.DataType], choice: ColumnChoice, path: str) -> Columns:
    """The columns of a source with these fields (dotted names are children of structs).

    Raises BadInput when there is no caption column, a named column is missing, or a column's type cannot serve.
    """
    return Columns(
        captions=_captions(fields, choice, path),
        id=_single(fields, choice.id, ID_NAMES, path, "id"),
        image=_image(fields, choice.image, path),
        hash=_single(fields, choice.hash, HASH_NAMES, path, "hash"),
        weights=tuple(_named(fields, name, path, "weight") for name in dict.fromkeys(choice.weights)),
    )


def match(fields: Mapping[str, pa.DataType], name: str) -> str | None:
    """The field called `name`: exactly, else the first without regard to case."""
    if name in fields:
        return name
    folded = name.lower()
    return next((field for field in fields if field.lower() == folded), None)


def is_caption(kind: pa.DataType) -> bool:
    """Whether a column of this type can hold captions: text, bytes, a dictionary of them, or only nulls."""
    return is_textual(_value_type(kind))


def is_scalar(kind: pa.DataType) -> bool:
    """Whether a value of this type can be written as one word: an id, a hash, a weight."""
    kind, t = _value_type(kind), pa.types
    plain = (is_textual, t.is_integer, t.is_floating, t.is_decimal, t.is_boolean, t.is_date, t.is_time, t.is_timestamp)
    return any(test(kind) for test in plain)


def _value_type(kind: pa.DataType) -> pa.DataType:
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _captions(fields: Mapping[str, pa.DataType], choice: ColumnChoice, path: str) -> tuple[str, ...]:
    if choice.captions:
        found = [field for name in choice.captions if (field := match(fields, name)) is not None]
    else:
        present = [field for name in CAPTION_NAMES if (field := match(fields, name)) is not None]
        found = ([field for field in present if is_caption(fields[field])] or present)[:1]
    if not found:
        raise no_caption_column(fields, choice, path)
    for field in found:
        if not is_caption(fields[field]):
            raise _wrong_type(field, fields[field], "caption", path)
    return tuple(dict.fromkeys(found))


def _single(
    fields: Mapping[str, pa.DataType], name: str | None, known: tuple[str, ...], path: str, role: str
) -> str | None:
    if name is not None:
        return _named(fields, name, path, role)
    return next((f for n in known if (f := match(fields, n)) is not None and is_scalar(fields[f])), None)


def _image(fields: Mapping[str, pa.DataType], name: str | None, path: str) -> str | None:
    """As `_single`, but text only by name; a Hugging Face struct of picture bytes and path stands for its path."""
    candidates = IMAGE_NAMES if name is None else (name,)
    for field in (match(fields, candidate) for candidate in candidates):
        inner = match(fields, f"{field}.path") if field and pa.types.is_struct(fields[field]) else field
        if inner is not None and is_caption(fields[inner]):
            return inner
        if name is not None and field == inner:
            return _named(fields, name, path, "image")
    return None


def _named(fields: Mapping[str, pa.DataType], name: str, path: str, role: str) -> str:
    field = match(fields, name)
    if field is None:
        near = difflib.get_close_matches(name, list(fields), n=1)
        hint = f"--{role}-column {shlex.quote(shown(near[0]))}" if near else f"leave --{role}-column out"
        raise BadInput(f"no column {shown(name)!r} in {shown(path)}", f"found: {few(top_level(fields))}", hint)
    if not is_scalar(fields[field]):
        raise _wrong_type(field, fields[field], role, path)
    return field


def _wrong_type(field: str, kind: pa.DataType, role: str, path: str) -> BadInput:
    what = f"column {shown(field)!r} of {shown(path)} cannot be read as {'an' if role[0] in 'aeiou' else 'a'} {role}"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        why = f"its type is {_short(kind)}: several values a row are not supported"
        return BadInput(what, why, "explode the list, so that each row holds one caption")
    wanted = "text or bytes" if role == "caption" else "text or numbers"
    option = "--column" if role == "caption" else f"--{role}-column"
    return BadInput(what, f"its type is {_short(kind)}, wanted {wanted}", f"name another column with {option}")


def _short(kind: pa.DataType) -> str:
    text = shown(str(kind))
    return text if len(text) <= 60 else f"{text[:57]}..."


def no_caption_column(fields: Mapping[str, pa.DataType], choice: ColumnChoice, path: str) -> BadInput:
    """The message, with the likeliest column as the command to type."""
    wanted = list(choice.captions or CAPTION_NAMES)
    found = few(top_level(fields)) or "no columns"
    texts = [f for f in fields if is_caption(fields[f]) and f.lower() not in _NOT_CAPTIONS]
    scored = {f: max(difflib.SequenceMatcher(None, f.lower(), w.lower()).ratio() for w in wanted) for f in texts}
    guess = next((f for f in sorted(scored, key=lambda f: -scored[f]) if scored[f] >= 0.6 or len(texts) == 1), None)
    return BadInput(
        f"no caption column in {shown(path)}",
        f"found: {found}    looked for: {few(wanted)}",
        f"memaudit scan DATA --column {shlex.quote(shown(guess)) if guess else 'NAME'}",
    )


def top_level(fields: Mapping[str, pa.DataType]) -> list[str]:
    """Field names without the children of structs."""
    return [f for f in fields if "." not in f or f.split(".")[0] not in fields]
