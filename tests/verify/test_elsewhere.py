"""A plan written here, pictures drawn from it elsewhere, verdicts here: no model is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from memaudit.errors import BadInput
from memaudit.progress import Silent
from memaudit.schemas import FRAMES
from memaudit.verify import models
from memaudit.verify.elsewhere import judge_generated, plan_of
from memaudit.verify.plan import PLAN, read_plan
from memaudit.verify.settings import VerifyConfig
from tests.verify import audits
from tests.verify.audits import FOX, MUGS, TELESCOPE, made_up

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from memaudit.store import Audit
    from memaudit.verify.plan import PlanRow


@pytest.fixture(autouse=True)
def _no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(models, "load", refused)


def config(**more: Any) -> VerifyConfig:
    return VerifyConfig(**{"model": "theirs", "relation": "trained", "samples": 8, "min_severity": "low", **more})


def drawn(
    audit: Audit, folder: Path, make: Callable[[str, int], np.ndarray] = audits.copying, **more: Any
) -> list[PlanRow]:
    """A folder with the plan of an audit and a picture of every row; returns the rows."""
    folder.mkdir()
    n = plan_of(audit, config(**more), folder / PLAN, Silent())
    rows = read_plan(folder / PLAN)
    assert len(rows) == n == len({row.file for row in rows})
    for row in rows:
        Image.fromarray(make(row.prompt, row.seed)).save(folder / row.file)
    return rows


def verdicts(audit: Audit) -> dict[str, dict[str, Any]]:
    captions = dict(audit.frame("findings").select("fingerprint", "representative").iter_rows())
    rows = audit.frame("verdicts").iter_rows(named=True)
    return {"mug" if captions[r["fingerprint"]] in MUGS else captions[r["fingerprint"]]: r for r in rows}


def test_a_plan_drawn_elsewhere_is_judged(audit: Audit, tmp_path: Path) -> None:
    drawn(audit, tmp_path / "theirs")
    run = judge_generated(audit, config(), tmp_path / "theirs", Silent())
    found = verdicts(audit)
    assert {caption: row["verdict"] for caption, row in found.items()} == {
        FOX: "verbatim", "mug": "template", TELESCOPE: "not_replicated",
    }  # fmt: skip
    assert found["mug"]["signals"]["unseen_rate"] == 1
    assert found[TELESCOPE]["n_samples"] == 8
    assert (run["unet_calls"], run["device"], run["controls"]["hits"]) == (0, "elsewhere", 0)
    assert run["controls"]["sampled"] > 30
    assert audit.frame("verdicts").schema == FRAMES["verdicts"]
    assert all((audit.folder / path).is_file() for path in audit.frame("samples")["path"])


def test_the_same_folder_again_is_done_already_and_another_is_not(audit: Audit, tmp_path: Path) -> None:
    drawn(audit, tmp_path / "theirs")
    run = judge_generated(audit, config(), tmp_path / "theirs", Silent())
    assert judge_generated(audit, config(), tmp_path / "theirs", Silent()) == run
    drawn(audit, tmp_path / "others", made_up)
    assert judge_generated(audit, config(), tmp_path / "others", Silent())["counts"] == {"not_replicated": 3}


def test_a_cluster_without_pictures_is_not_run(audit: Audit, tmp_path: Path) -> None:
    for row in drawn(audit, tmp_path / "theirs"):
        if row.prompt == FOX:
            (tmp_path / "theirs" / row.file).unlink()
        elif row.prompt in MUGS:
            (tmp_path / "theirs" / row.file).write_bytes(b"\x89PNG")
    judge_generated(audit, config(), tmp_path / "theirs", Silent())
    fox = verdicts(audit)[FOX]
    assert fox["verdict"] == "not_run"
    assert "no picture of it" in fox["why"]
    assert np.isnan(fox["rate"])
    assert (fox["low"], fox["high"]) == (0, 1)
    assert verdicts(audit)["mug"]["verdict"] == "template"  # the unseen values are there


def test_pictures_too_small_to_tell_apart_do_not_decide(audit: Audit, tmp_path: Path) -> None:
    row = next(row for row in drawn(audit, tmp_path / "theirs") if row.prompt == TELESCOPE)
    Image.new("RGB", (1, 1)).save(tmp_path / "theirs" / row.file)
    run = judge_generated(audit, config(), tmp_path / "theirs", Silent())
    assert run["size"] == audits.SIDE
    assert verdicts(audit)[TELESCOPE]["n_samples"] == 7


@pytest.mark.parametrize("which", ["all", "controls"])
def test_without_training_pictures_the_plan_has_what_judging_asks_for(tmp_path: Path, which: str) -> None:
    captions, pictures = audits.dataset()
    here = [
        None if which == "all" or text in audits.UNIQUE else audits.encoded(p)
        for text, p in zip(captions, pictures, strict=True)
    ]
    audit = audits.scanned(tmp_path / "data", captions, here)
    rows = drawn(audit, tmp_path / "theirs", lambda prompt, seed: audits.copying(prompt, seed))
    run = judge_generated(audit, config(), tmp_path / "theirs", Silent())
    found = verdicts(audit)
    assert found[FOX]["verdict"] == "verbatim"
    assert found[TELESCOPE]["n_samples"] == 8
    controls = [row for row in rows if row.kind == "control"]
    assert run["controls"]["sampled"] == len(controls) // 2 > 8  # the others stand for pictures


def test_a_plan_of_another_audit_is_refused(audit: Audit, tmp_path: Path) -> None:
    drawn(audit, tmp_path / "theirs")
    other = audits.scanned(
        tmp_path / "other", ["green parrot on a mossy branch in the rain"] * 20 + audits.UNIQUE, None
    )
    with pytest.raises(BadInput, match="no picture to judge") as refused:
        judge_generated(other, config(), tmp_path / "theirs", Silent())
    assert "none of these clusters" in refused.value.why


def test_a_folder_without_pictures_is_refused(audit: Audit, tmp_path: Path) -> None:
    for row in drawn(audit, tmp_path / "theirs"):
        (tmp_path / "theirs" / row.file).unlink()
    with pytest.raises(BadInput, match="no picture to judge"):
        judge_generated(audit, config(), tmp_path / "theirs", Silent())
    assert not audit.has_frame("verdicts")


def test_another_seed_than_the_plan_s_is_told(audit: Audit, tmp_path: Path) -> None:
    drawn(audit, tmp_path / "theirs")
    judge_generated(audit, config(seed=1000), tmp_path / "theirs", Silent())
    whys = {row["verdict"]: row["why"] for row in verdicts(audit).values()}
    assert set(whys) == {"not_run"}
    assert "--seed" in whys["not_run"]


def test_hostile_captions_come_through_a_plan(tmp_path: Path) -> None:
    hostile = [
        "owl \x1b[31mred\x07 [bold]x[/] <script>é𝔘\u202e",
        "kettle " * 15_000,
        '=cmd|"/C calc",x\r\n../../etc/passwd',
    ]
    audit = audits.scanned(tmp_path / "data", [*audits.UNIQUE, *hostile * 20], None)
    rows = drawn(audit, tmp_path / "theirs", made_up, min_severity="info")
    assert {row.prompt for row in rows} >= {hostile[0], hostile[2]}
    run = judge_generated(audit, config(min_severity="info"), tmp_path / "theirs", Silent())
    assert "not_run" not in run["counts"]
    assert sum(run["counts"].values()) >= 3
