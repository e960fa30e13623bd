"""`memaudit review`: answers on stdin, cards on stderr, labels in the allow-list, precision on stdout."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from memaudit.allow import Entry, append, load
from memaudit.cli import main
from memaudit.cli import review as module
from memaudit.precision import wilson
from tests.report.synthetic import TOTALS, captions, clusters, write_audit

if TYPE_CHECKING:
    from click.testing import Result

LIST = Path("memaudit-allow.toml")
SHAW, SOON, OAK, VARIANT, STOCK = (c.fingerprint for c in clusters())


@pytest.fixture(autouse=True)
def _audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in filter(lambda name: name.startswith("MEMAUDIT"), dict(os.environ)):
        monkeypatch.delenv(name)
    write_audit(Path("audit"), captions(), clusters(), TOTALS)


def run(*args: str, said: str = "") -> Result:
    result = CliRunner().invoke(main, ["review", "audit", *args], input=said)
    assert result.exit_code == 0, result.stderr
    return result


def labels(path: Path = LIST) -> dict[str | None, str]:
    return {entry.fingerprint: entry.label for entry in load(path)}


def test_labels_with_reason_and_expiry() -> None:
    result = run(said="y\nn\npage furniture\n2031-05-01\nN\n\n\nq\n")
    assert result.stdout == "3 labelled: 1 dangerous, 2 accepted\n"
    true, soon, oak = load(LIST)
    today = datetime.date.today()
    assert true == Entry(
        SHAW, "^ shaw floors <*> <roman> <size> <num> <code> $", "y", date=today, kind="template", rule="TE01",
        severity="high", members=tuple(f"{key:016x}" for key in (1, 2, 3, 4)),
    )  # fmt: skip
    assert (soon.fingerprint, soon.reason, soon.expires) == (SOON, "page furniture", datetime.date(2031, 5, 1))
    assert (soon.caption, soon.members) == ("Image coming soon", ())
    assert (oak.reason, oak.expires, len(oak.members)) == ("false alarm", None, 2)


def test_cards_show_what_is_asked_about() -> None:
    card = run(said="q\n").stderr
    for text in ("high", "0.63", "template", "shaw floors", "5 rows", "4 captions", "shaw floors    ", "Members: 4"):
        assert text in card, text
    assert "[1/5] y/n/s/b/q: " in card
    assert "Image coming soon" not in card


def test_heads_of_families_come_first_then_the_others() -> None:
    run(said="y\n" * 5)
    assert list(labels()) == [SHAW, SOON, OAK, STOCK, VARIANT]


def test_back_replaces_and_skip_leaves_alone() -> None:
    result = run(said="b\ny\nb\nn\n\n\ns\ny\n")
    assert labels() == {SHAW: "n", OAK: "y"}
    assert "You said y; another answer replaces it." in result.stderr
    assert result.stdout == "2 labelled: 1 dangerous, 1 accepted\n"


def test_labelled_ones_are_left_out_unless_again() -> None:
    run(said="n\n\n\nq\n")
    assert "[1/4]" in run(said="q\n").stderr
    assert "[1/5]" in run("--again", said="q\n").stderr
    assert "nothing to label" in run("--min-severity", "high").stderr


def test_top_and_min_severity() -> None:
    assert "[1/2]" in run("--top", "2", said="q\n").stderr
    assert "[1/1]" in run("--min-severity", "high", said="q\n").stderr


@pytest.mark.parametrize("said", ["", "y", "y\n", "y\nn\n", "y\nn\nreason\n", "y\nn\nreason\nsoon\n"])
def test_the_end_of_the_input_keeps_what_was_said(said: str) -> None:
    run(said=said)
    assert labels() == ({SHAW: "y"} if said else {})


def test_what_is_no_answer_is_asked_again() -> None:
    result = run(said="\nwhat\nn\n\nsoon\n2031-05-01\nq\n")
    assert result.stderr.count("[1/5]") == 3
    assert "y dangerous" in result.stderr
    assert "that is no date" in result.stderr
    assert labels() == {SHAW: "n"}


def test_answers_that_are_not_utf_8() -> None:
    result = CliRunner().invoke(main, ["review", "audit"], input=b"n\nm\xf6bel\n\n")
    assert result.exit_code == 0, result.stderr
    assert load(LIST)[0].reason == "m\ufffdbel"


def test_ctrl_c_keeps_what_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["y"])

    def answer(question: str) -> str:
        try:
            return next(answers)
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr(module, "_answer", answer)
    result = CliRunner().invoke(main, ["review", "audit"])
    assert result.exit_code == 130
    assert labels() == {SHAW: "y"}


def test_another_list_is_made() -> None:
    run("--allow", "mine.toml", said="y\nq\n")
    assert labels(Path("mine.toml")) == {SHAW: "y"}
    assert not LIST.exists()
    assert "[1/4]" in run("--allow", "mine.toml", said="q\n").stderr


def test_hostile_words_do_not_reach_the_terminal(tmp_path: Path) -> None:
    found = clusters()[1]
    odd = "sale \x1b]0;owned\x07 \u202e[red]x[/red]"
    found.texts = [odd]
    (tmp_path / "other").mkdir()
    write_audit(tmp_path / "other" / "audit", [odd] * 5, [found], TOTALS)
    result = CliRunner().invoke(main, ["review", "other/audit"], input="n\n\x1b[31m\n\n")
    assert result.exit_code == 0
    assert "\x1b" not in result.output
    assert "\u202e" not in result.output
    assert "[red]x[/red]" in result.stderr
    (entry,) = load(tmp_path / "other" / LIST)
    assert (entry.caption, entry.reason) == (odd, "\x1b[31m")
    assert "\x1b" not in CliRunner().invoke(main, ["report", "other/audit"]).output


def test_stats() -> None:
    assert run("--stats").stdout == "no labels yet: memaudit review AUDIT\n"
    run(said="y\nn\n\n\ny\ny\nn\n\n\n")
    append(LIST, Entry("0" * 16, reason="by hand"))
    found = json.loads(run("--stats", "-f", "json").stdout)
    assert found["labels"] == 6
    assert {code: (share["n"], share["true"]) for code, share in found["by_rule"].items()} == {
        "EX01": (1, 0), "NE01": (1, 1), "TE01": (2, 1), "TE02": (1, 1), "unknown": (1, 0),
    }  # fmt: skip
    assert list(found["by_severity"]) == ["high", "medium", "low", "info", "unknown"]
    assert found["all"]["precision"] == 0.5
    assert found["all"]["low"] == pytest.approx(0.1876, abs=1e-4)  # Wilson, 3 of 6
    table = run("--stats").stdout
    assert "TE01          2     1       50 %   9 to 91 %" in table
    assert table.splitlines()[-1].startswith("all")


def test_json_is_of_stats_only() -> None:
    assert CliRunner().invoke(main, ["review", "audit", "-f", "json"]).exit_code == 2
    assert CliRunner().invoke(main, ["review", "nothing"]).exit_code == 3


@given(st.integers(1, 500), st.data())
def test_wilson_intervals(n: int, data: st.DataObject) -> None:
    true = data.draw(st.integers(0, n))
    low, high = wilson(true, n)
    assert 0 <= low <= true / n <= high <= 1
    other_low, other_high = wilson(n - true, n)
    assert (low, high) == pytest.approx((1 - other_high, 1 - other_low))


def test_wilson_as_published() -> None:
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
