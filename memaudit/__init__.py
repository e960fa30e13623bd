"""memaudit audits caption datasets for the repetition that text-to-image models memorise."""

__version__ = "0.1.0"

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memaudit.check.guard import Guard as Guard

_LAZY = {"Guard": "memaudit.check.guard"}


def __getattr__(name: str) -> Any:
    """What is loaded when it is asked for: importing memaudit loads nothing heavy."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_LAZY[name]), name)
