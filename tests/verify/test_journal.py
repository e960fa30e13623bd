"""What an interrupted verification leaves, and what a finished one takes away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memaudit.store import Audit
from memaudit.verify.journal import Journal

if TYPE_CHECKING:
    from pathlib import Path


def test_steps_come_back_and_add_up(tmp_path: Path) -> None:
    audit = Audit(tmp_path)
    journal = Journal(audit, "a" * 16)
    assert journal.read("screen-0") is None
    journal.write("screen-0", {"magnitude": [1.5], "unet_calls": 4, "why": "é\x1b"})
    journal.write("cluster-x", {"unet_calls": 6})
    again = Journal(audit, "a" * 16)
    assert again.read("screen-0") == {"magnitude": [1.5], "unet_calls": 4, "why": "é\x1b"}
    assert again.total("unet_calls") == 10
    assert Journal(audit, "b" * 16).read("screen-0") is None


def test_a_torn_step_counts_as_not_done(tmp_path: Path) -> None:
    journal = Journal(Audit(tmp_path), "a" * 16)
    (journal.folder / "cluster-x.json").write_text('{"unet_calls": 6')
    (journal.folder / "cluster-y.json").write_text("[]")
    assert journal.read("cluster-x") is None
    assert journal.read("cluster-y") is None
    assert journal.total("unet_calls") == 0


def test_a_finished_run_leaves_no_scratch(tmp_path: Path) -> None:
    audit = Audit(tmp_path)
    one, other = Journal(audit, "a" * 16), Journal(audit, "b" * 16)
    one.drop()
    assert audit.work.is_dir()
    other.drop()
    assert not audit.work.exists()
