"""What verify leaves in an audit: frames that may be missing, and pictures that a new scan removes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

from memaudit import store
from memaudit.errors import BadInput
from memaudit.schemas import FRAMES, OPTIONAL, SIGNALS, conform
from tests.report.synthetic import TOTALS, captions, clusters, write_audit
from tests.report.verified import samples, verdict, verdicts, verify

if TYPE_CHECKING:
    from pathlib import Path

    from memaudit.store import Audit

PICTURE = "samples/pilot/3f9a21c07d5e4b18/caption-0-17.png"


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    return write_audit(tmp_path / "audit", captions(), clusters(), TOTALS)


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


@pytest.mark.parametrize("name", OPTIONAL)
def test_a_frame_that_was_never_written_is_empty(audit: Audit, name: str) -> None:
    assert not audit.has_frame(name)
    assert audit.frame(name).is_empty() and audit.frame(name).schema == FRAMES[name]
    assert audit.scan(name).collect().schema == FRAMES[name]


def test_other_frames_may_not_be_missing(audit: Audit) -> None:
    audit.path("triggers").unlink()
    with pytest.raises(BadInput, match=r"triggers\.parquet"):
        audit.frame("triggers")


def test_a_frame_that_a_stage_claims_and_that_is_gone_is_damage(audit: Audit) -> None:
    verify(audit).finish("verify", ("verdicts.parquet",), 1.0, 4)
    audit.path("verdicts").unlink()
    with pytest.raises(BadInput, match=r"verdicts\.parquet"):
        store.open_audit(audit.folder).frame("verdicts")


def test_verdicts_are_replaced_whole(audit: Audit) -> None:
    verify(audit)
    assert len(audit.frame("verdicts")) == 4
    verify(audit, rows=verdicts()[:1])
    assert len(audit.frame("verdicts")) == 1 and len(audit.frame("samples")) == len(samples())
    audit.path("verdicts").write_bytes(audit.path("verdicts").read_bytes()[:-9])
    with pytest.raises(BadInput):
        audit.frame("verdicts")


def test_what_may_be_null_and_what_may_not() -> None:
    bare = verdict("a" * 16, "not_run")
    one = conform("verdicts", pl.DataFrame([bare | {"signals": None}], schema=dict(FRAMES["verdicts"]), strict=False))
    assert one["signals"].to_list() in ([None], [dict.fromkeys(SIGNALS)])
    assert one["rate"].is_nan().all()
    for column in ("rate", "verdict", "relation", "n_copies", "unet_calls"):
        frame = pl.DataFrame([bare | {column: None}], schema=dict(FRAMES["verdicts"]), strict=False)
        with pytest.raises(ValueError, match=column):
            conform("verdicts", frame)


def test_a_fresh_scan_removes_verdicts_and_pictures_and_nothing_else(audit: Audit) -> None:
    verify(audit)
    ours = [put(audit.folder / PICTURE), put(audit.folder / "samples/pilot/x/.unseen-3-9.png.tmp")]
    theirs = [
        put(audit.folder / "samples/holiday.png"),
        put(audit.folder / "samples/pilot/3f9a21c07d5e4b18/notes.txt"),
        put(audit.folder / "samples/pilot/caption-1.png"),
        put(audit.folder / "other/caption-0-17.png"),
    ]
    store.begin(audit.folder, {"other": 1}, [], fresh=True)
    assert not any(path.exists() for path in (*ours, audit.path("verdicts"), audit.path("samples")))
    assert all(path.exists() for path in theirs)


def test_a_samples_folder_of_ours_alone_goes(audit: Audit) -> None:
    put(audit.folder / PICTURE)
    store.begin(audit.folder, {"other": 1}, [], fresh=True)
    assert not audit.samples.exists()


def test_a_link_is_not_followed(audit: Audit, tmp_path: Path) -> None:
    picture = put(tmp_path / "elsewhere" / "caption-0-17.png")
    audit.samples.mkdir()
    (audit.samples / "pilot").symlink_to(picture.parent)
    store.begin(audit.folder, {"other": 1}, [], fresh=True)
    assert picture.exists()
    (audit.samples / "pilot").unlink()
    audit.samples.rmdir()
    audit.samples.symlink_to(picture.parent)
    store.begin(audit.folder, {"other": 2}, [], fresh=True)
    assert picture.exists()


def test_a_kill_between_manifest_and_removal_leaves_no_stale_verdict(audit: Audit, tmp_path: Path) -> None:
    identity = {key: audit.manifest[key] for key in ("config", "inputs")}
    verify(audit)
    audit.manifest = {**audit.manifest, "stages": {}, "status": "running"}
    audit.save()
    put(audit.folder / PICTURE)
    begun = store.begin(audit.folder, identity["config"], identity["inputs"])
    assert not begun.has_frame("verdicts") and not begun.has_frame("samples") and not begun.samples.exists()


def test_the_same_scan_again_keeps_the_verdicts(audit: Audit) -> None:
    verify(audit)
    picture = put(audit.folder / PICTURE)
    begun = store.begin(audit.folder, audit.manifest["config"], audit.manifest["inputs"])
    assert begun.complete and begun.has_frame("verdicts") and picture.exists()
