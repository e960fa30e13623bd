"""The index of an audit as it stands now: the one that was kept, or a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memaudit.check.index import NAME, Stored, is_sound, load, save, state_of

if TYPE_CHECKING:
    from memaudit.store import Audit


def index_of(audit: Audit, compiled: bool = False) -> Stored:
    """Load the index that is kept in the audit's folder; build it where there is none of this state of the audit, and
    keep it where the folder can be written. Raises as `build.build` does.

    compiled: it will be handed to compiled code, so one that does not hold together is built anew.
    """
    state = state_of(audit)
    known = load(audit.folder / NAME, state)
    if known is not None and (not compiled or is_sound(known.index)):
        return known
    from memaudit.check.build import build

    stored = build(audit)
    save(audit, state, stored)
    return stored
