"""memaudit audits caption datasets for the repetition that text-to-image models memorise.

`scan`, `open` and what they return mirror the commands (docs/api.md). Importing this loads nothing heavy.
"""

from typing import TYPE_CHECKING, Any

from memaudit.errors import BadInput, MemauditError, NoSpace, UsageError

if TYPE_CHECKING:
    from memaudit.api import Audit, Changes, Incomplete, open, scan  # noqa: A004 (memaudit.open)
    from memaudit.check.guard import Guard

__version__ = "0.1.0"

__all__ = [
    "Audit",
    "BadInput",
    "Changes",
    "Guard",
    "Incomplete",
    "MemauditError",
    "NoSpace",
    "UsageError",
    "open",
    "scan",
]

_LAZY = {
    **dict.fromkeys(("Audit", "Changes", "Incomplete", "open", "scan"), "memaudit.api"),
    "Guard": "memaudit.check.guard",
}


def __getattr__(name: str) -> Any:
    """What is loaded when it is asked for."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
