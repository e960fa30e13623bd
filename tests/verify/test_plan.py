"""Plans written and read, and folders of pictures that somebody else made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memaudit.errors import BadInput, UsageError
from memaudit.verify.plan import (
    PLAN,
    PlanRow,
    is_plain_name,
    read_generated,
    read_plan,
    write_plan,
)
from memaudit.verify.prompts import Prompt

if TYPE_CHECKING:
    from pathlib import Path

Image = pytest.importorskip("PIL.Image")

FINGERPRINT = "0123456789abcdef"
PROMPTS = (Prompt("caption", "owl, case", 3), Prompt("caption", "fox case", 4), Prompt("unseen", 'wolf "case"', None))
CONTROL = Prompt("control", "=SUM(A1)\nsecond line", 9)


def picture(folder: Path, name: str, value: int = 0) -> np.ndarray:
    pixels = np.full((8, 6, 3), value, np.uint8)
    pixels[0, 0] = (1, 2, 3)
    Image.fromarray(pixels).save(folder / name)
    return pixels


def rows_of(*seeds: int, guidance: float | None = None) -> list[PlanRow]:
    """Every prompt of the cluster with every seed, then the control."""
    asked = [(FINGERPRINT, i, p) for i, p in enumerate(PROMPTS)] + [("", 0, CONTROL)]
    return [
        PlanRow(name, p.kind, p.text, seed, f"{name}{p.kind}-{i}-{seed}.png", None, guidance)
        for name, i, p in asked
        for seed in seeds
    ]


def test_a_plan_comes_back_as_it_was(tmp_path: Path) -> None:
    rows = rows_of(5, 6, guidance=7.5)
    write_plan(tmp_path / PLAN, rows)
    assert read_plan(tmp_path / PLAN) == rows
    assert '"=SUM(A1)\nsecond line"' in (tmp_path / PLAN).read_text()  # exact, not guarded
    assert [path.name for path in tmp_path.iterdir()] == [PLAN]


@given(st.lists(st.text(max_size=40), max_size=6))
@settings(max_examples=30)
def test_any_prompt_comes_back(tmp_path_factory: pytest.TempPathFactory, prompts: list[str]) -> None:
    rows = [PlanRow("", "control", p, i, f"control-{i}-{i}.png", None, None) for i, p in enumerate(prompts)]
    path = tmp_path_factory.mktemp("plan") / PLAN
    write_plan(path, rows)
    assert read_plan(path) == rows


def test_a_long_prompt_comes_back(tmp_path: Path) -> None:
    rows = [PlanRow("", "control", "owl " * 100_000, 1, "a.png", None, None)]
    write_plan(tmp_path / PLAN, rows)
    assert read_plan(tmp_path / PLAN) == rows


def test_columns_may_be_moved_and_added_and_a_mark_may_come_first(tmp_path: Path) -> None:
    text = "\ufefffile,seed,note,kind,prompt,fingerprint\r\na.png,4,x,caption,owl,ab\r\n"
    (tmp_path / PLAN).write_bytes(text.encode())
    assert read_plan(tmp_path / PLAN) == [PlanRow("ab", "caption", "owl", 4, "a.png", None, None)]


HEADER = "fingerprint,kind,prompt,seed,file,steps,guidance\n"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no column"),
        (b"fingerprint,kind\n", "prompt, seed, file"),
        (b"\xff\xfe\x00", "decode"),
        (f"{HEADER}ab,caption,owl,x,a.png,,".encode(), "invalid literal"),
        (f"{HEADER}ab,caption,owl,-1,a.png,,".encode(), "out of range"),
        (f"{HEADER}ab,caption,owl,1,a.png,0,".encode(), "out of range"),
        (f"{HEADER}ab,caption,owl,1,a.png,,nan".encode(), "out of range"),
        (f"{HEADER}ab,poem,owl,1,a.png,,".encode(), "no kind"),
        (f"{HEADER}ab,caption,owl,1,../a.png,,".encode(), "no plain file name"),
        (f"{HEADER}ab,caption,owl".encode(), "no plain file name"),
        (f"{HEADER}ab,caption,owl,1,a.png,,\nab,caption,owl,2,A.png,,".encode(), "two rows"),
        (f'{HEADER}ab,caption,"owl'.encode(), "unexpected end"),
    ],
)
def test_what_is_no_plan_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / PLAN).write_bytes(content)
    with pytest.raises(BadInput) as caught:
        read_plan(tmp_path / PLAN)
    assert why in caught.value.why
    assert caught.value.hint


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b.png", "/etc/passwd", "..\\a.png", "C:a.png", "a\0.png", "a\n.png"]
)
def test_names_that_lead_elsewhere(name: str) -> None:
    assert not is_plain_name(name)


def test_pictures_and_reasons(tmp_path: Path) -> None:
    folder, rows = tmp_path / "made", rows_of(1, 2)[:6]
    folder.mkdir()
    write_plan(folder / PLAN, rows)
    first = picture(folder, rows[0].file, 200)
    picture(folder, "foreign.png")
    (folder / rows[1].file).write_bytes(b"<svg/>")
    whole = (folder / rows[0].file).read_bytes()
    (folder / rows[2].file).write_bytes(whole[:60])
    picture(tmp_path, "elsewhere.png")
    (folder / rows[3].file).symlink_to(tmp_path / "elsewhere.png")
    (folder / rows[4].file).mkdir()
    Image.new("RGBA", (4, 4)).save(folder / rows[5].file)
    found = list(read_generated(folder))
    assert [row for row, _ in found] == rows
    assert np.array_equal(found[0][1], first)
    assert [got for _, got in found[1:5]] == [
        "no JPEG, PNG, WEBP, GIF or BMP", "broken or cut off", "a link to another folder", "not a file",
    ]  # fmt: skip
    assert isinstance(found[5][1], np.ndarray)
    assert found[5][1].shape == (4, 4, 3)


def test_a_bomb_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = rows_of(1)[:1]
    write_plan(tmp_path / PLAN, rows)
    Image.new("1", (9000, 8000)).save(tmp_path / rows[0].file)
    assert list(read_generated(tmp_path)) == [(rows[0], "more than 64 million pixels")]


def test_a_plan_may_lie_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    rows = rows_of(1)[:3]
    write_plan(tmp_path / "other.csv", rows)
    assert [got for _, got in read_generated(tmp_path / "made", tmp_path / "other.csv")] == ["no such file"] * 3
    with pytest.raises(BadInput, match="cannot read"):
        list(read_generated(tmp_path / "made"))
    with pytest.raises(BadInput, match="no folder"):
        list(read_generated(tmp_path / "nowhere"))


def test_a_plan_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write"):
        write_plan(tmp_path / "nowhere" / PLAN, [])
