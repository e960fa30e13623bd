"""Sampling elsewhere: a plan of prompts and seeds as a table, and the pictures that somebody made from it."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from memaudit.errors import BadInput, UsageError
from memaudit.schemas import PROMPT_KINDS
from memaudit.sources import shown
from memaudit.store import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import numpy as np

PLAN = "plan.csv"
MAX_CELL = 1 << 24  # characters
MAX_SEED = 1 << 63


class PlanRow(NamedTuple):
    """One picture to make. The fields are the columns of the table."""

    fingerprint: str  # of the cluster; "" of a control
    kind: str  # of `schemas.PROMPT_KINDS`
    prompt: str
    seed: int  # of the noise, in [0, 2^63)
    file: str  # name of the picture, without a folder
    steps: int | None  # None: the model's own
    guidance: float | None


def write_plan(path: Path, rows: Iterable[PlanRow]) -> None:
    """Write a plan as CSV, whole or not at all.

    Prompts are exact: a prompt that a spreadsheet would run as a formula is not guarded, because a program that reads
    the table has to get what the data hold (open it as text). Commas, quotes and line breaks are quoted by the rules of
    RFC 4180. Raises UsageError where the file cannot be made, NoSpace on a full disk.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_MINIMAL)
    writer.writerow(PlanRow._fields)
    writer.writerows(rows)
    try:
        write_atomically(path, out.getvalue().encode("utf-8", errors="replace"))
    except OSError as error:
        raise UsageError(f"cannot write {path}", error.strerror or str(error), "another name after --plan") from error


def read_plan(path: Path) -> list[PlanRow]:
    """The rows of a plan. Columns in any order, others ignored; steps and guidance may be empty or missing.

    Raises BadInput for a file that is none: columns or values missing or not what they should be, a `file` that is not
    a plain name (no folder, no way out of one), or two rows with one file, of which a picture would count twice.
    """
    hint = "memaudit verify AUDIT --plan plan.csv writes one"
    before = csv.field_size_limit(MAX_CELL)
    try:
        text = path.read_bytes().decode("utf-8-sig")
        table = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        missing = [c for c in PlanRow._fields[:5] if c not in (table.fieldnames or ())]
        if missing:
            raise BadInput(f"{path} is no plan", f"it has no column {', '.join(missing)}", hint)
        rows = [_row(record) for record in table]
    except OSError as error:
        raise BadInput(f"cannot read {path}", error.strerror or str(error), hint) from error
    except (ValueError, csv.Error) as error:
        raise BadInput(f"{path} is no plan", shown(str(error))[:200], hint) from error
    finally:
        csv.field_size_limit(before)
    (twice, n), *_ = Counter(row.file.casefold() for row in rows).most_common(1) or [("", 0)]
    if n > 1:
        raise BadInput(f"{path} is no plan", f"two rows name the file {shown(twice)}", hint)
    return rows


def _row(record: dict[str, str | None]) -> PlanRow:
    """Raises ValueError for what cannot be a row."""
    told = {name: record.get(name) or "" for name in PlanRow._fields}
    if told["kind"] not in PROMPT_KINDS:
        raise ValueError(f"{told['kind'][:40]!r} is no kind of prompt ({', '.join(PROMPT_KINDS)})")
    if not is_plain_name(told["file"]):
        raise ValueError(f"{told['file'][:80]!r} is no plain file name")
    seed = int(told["seed"])
    steps = int(told["steps"]) if told["steps"] else None
    guidance = float(told["guidance"]) if told["guidance"] else None
    if (
        not 0 <= seed < MAX_SEED
        or (steps is not None and steps < 1)
        or (guidance is not None and not math.isfinite(guidance))
    ):
        raise ValueError(f"seed {seed}, steps {steps}, guidance {guidance}: out of range")
    return PlanRow(told["fingerprint"], told["kind"], told["prompt"], seed, told["file"], steps, guidance)


def is_plain_name(name: str) -> bool:
    """Whether a name can only mean a file of the folder that it is looked for in, on any system."""
    return bool(name) and name not in (".", "..") and not any(c in "/\\:" or ord(c) < 32 for c in name)


def read_generated(folder: Path, plan: Path | None = None) -> Iterator[tuple[PlanRow, np.ndarray | str]]:
    """Each row of a plan with its picture, uint8 (H, W, 3), or the reason why there is none.

    plan: None means plan.csv in the folder. Files that the plan does not name are ignored. Raises BadInput where the
    folder or the plan cannot be used; a missing or broken picture is no error but a reason, for the caller to count.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder} is no folder", "pictures made from a plan are looked for there", "--generated FOLDER")
    for row in read_plan(plan or folder / PLAN):
        yield row, _picture(folder, row.file)


def _picture(folder: Path, name: str) -> np.ndarray | str:
    """One picture, or why it cannot be had. A link that leads out of the folder is not followed."""
    from memaudit.verify.decoding import Unusable, decoded_picture, read_file  # Pillow, not needed to plan

    path = folder / name
    try:
        if path.exists() and path.resolve().parent != folder.resolve():
            return "a link to another folder"
        return decoded_picture(read_file(path))
    except (OSError, Unusable) as error:
        return str(error)
