"""The rule catalogue and the ranking model, read from `rules/*.toml`: data, not classes."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from memaudit.errors import UsageError


@dataclass(frozen=True)
class Rule:
    """One row of the catalogue."""

    code: str
    title: str
    kind: str
    what: str
    example: str
    remedy: str
    references: tuple[str, ...]


def _folder() -> Path:
    """`rules/` of a checkout, or the copy that an installed package carries."""
    package = Path(__file__).parent
    return package / "_rules" if (package / "_rules").is_dir() else package.parent / "rules"


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((_folder() / name).read_text(encoding="utf-8"))


@cache
def catalogue() -> dict[str, Rule]:
    """All rules by code, in the order of the file."""
    rows = _read("catalogue.toml")["rule"]
    return {row["code"]: Rule(**{**row, "references": tuple(row["references"])}) for row in rows}


def rule(code: str) -> Rule:
    """One rule, whatever the case of its code. Raises UsageError for a code that does not exist."""
    try:
        return catalogue()[code.upper()]
    except KeyError:
        raise UsageError(f"there is no rule {code!r}", f"known: {', '.join(catalogue())}", "memaudit rules") from None


@cache
def risk_model() -> dict[str, Any]:
    """Tables of risk.toml ("weights", "model", "pictures", "severity", ...), and "styles": the codes of
    `furniture_words`."""
    return {**_read("risk.toml"), "styles": [table["code"] for table in _read("boilerplate.toml")["vocabulary"]]}


@cache
def furniture_words() -> dict[str, Any]:
    """boilerplate.toml: "share", "neutral" and "vocabulary", tables of "code" and "words"."""
    return _read("boilerplate.toml")


@cache
def slot_rules() -> dict[str, Any]:
    """slots.toml: "share", "entities", "covered", "lists", "type", "entity", "entity_lists", "labels"."""
    return _read("slots.toml")


@cache
def verify_rules() -> dict[str, Any]:
    """verify.toml: "screen", "sample", "copy", tables of numbers."""
    return _read("verify.toml")
