"""Every format: golden outputs at fixed widths, and captions that try to break out of them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len

from memaudit.errors import UsageError
from memaudit.report import FORMATS, next_commands, render_cluster, render_report
from memaudit.report.machine import to_json
from memaudit.report.summary import finding, summary
from memaudit.report.terminal import render
from memaudit.report.terminal.pieces import fit, flow
from memaudit.report.words import compact, percent, plural, seconds
from tests.report.synthetic import TOTALS, Cluster, captions, clusters, write_audit

if TYPE_CHECKING:
    from memaudit.store import Audit

GOLDEN = Path(__file__).parent / "golden"

HOSTILE = {
    "ansi": "\x1b[2J\x1b[31mred alert\x1b]0;title\x07",
    "markup": "[bold red]not markup[/] [link=https://x]here[/link]",
    "lines": "one\r\ntwo\n| three | `four` |\x85five",
    "bidi": "photo \u202egnp.exe\u2066 and more",
    "html": "<script>alert(1)</script> <img src=x onerror=y> &amp; @octocat #1",
    "pipes": "a \\| b ` c || d",
    "huge": "word " * 20_000,
    "unbroken": "x" * 100_000,
    "wide": "日本語のとても長い説明文" * 30,
    "marks": "e" + "\u0301" * 5000,
}


def check_golden(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("MEMAUDIT_UPDATE_GOLDEN") == "1":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{name} differs; MEMAUDIT_UPDATE_GOLDEN=1 rewrites it"


@pytest.mark.parametrize("width", [80, 160])
def test_golden_report(audit: Audit, width: int) -> None:
    check_golden(f"report-{width}.txt", render_report(audit, "terminal", width))


@pytest.mark.parametrize("width", [80, 160])
@pytest.mark.parametrize("cluster", [0, 1])
def test_golden_cluster(audit: Audit, width: int, cluster: int) -> None:
    check_golden(f"cluster-{cluster}-{width}.txt", render_cluster(audit, cluster, width))


def test_golden_colour_and_markdown(audit: Audit) -> None:
    check_golden("report-80.ansi", render_report(audit, "terminal", 80, color=True))
    check_golden("report.md", render_report(audit, "md"))


def test_golden_without_findings(empty_audit: Audit) -> None:
    check_golden("empty-80.txt", render_report(empty_audit, "terminal", 80))
    check_golden("empty.md", render_report(empty_audit, "md"))


def test_colour_changes_nothing_but_colour(audit: Audit) -> None:
    plain = render_report(audit, "terminal", 80)
    coloured = re.sub(r"\x1b\[[\d;]*m", "", render_report(audit, "terminal", 80, color=True))
    assert "\x1b" not in plain
    assert [line.rstrip() for line in coloured.split("\n")] == plain.split("\n")


def test_the_environment_does_not_decide_colour(audit: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = render_report(audit, "terminal", 80, color=True)
    for name, value in {"NO_COLOR": "1", "FORCE_COLOR": "1", "TERM": "dumb", "COLUMNS": "33"}.items():
        monkeypatch.setenv(name, value)
    assert render_report(audit, "terminal", 80, color=True) == expected
    assert "\x1b" not in render_report(audit, "terminal", 80)


@pytest.mark.parametrize("width", [None, 1, 40, 57, 100, 139, 140, 500])
def test_no_line_is_wider_than_the_terminal(audit: Audit, width: int | None) -> None:
    monitored = min(max(width or 80, 40), 180)
    for text in (render_report(audit, "terminal", width), render_cluster(audit, 0, width)):
        assert all(cell_len(line) <= monitored for line in text.split("\n") if "memaudit" not in line)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_captions_stay_text(here: Path, name: str) -> None:
    evil = HOSTILE[name]
    found = [
        Cluster("exact", [evil], "high", 0.5, "00000000000000aa", triggers=[([evil], 1.0, 1.0, 1)],
                reason=evil, suppressed=True),
        Cluster(
            "template", [evil + " 1", evil + " 2"], "low", 0.3, "00000000000000bb", "TE01", template=evil,
            slots=[{"type": "text", "distinct": 1, "values": [evil], "counts": [2]}],
        ),
    ]  # fmt: skip
    audit = write_audit(here / "audit", [evil, evil, evil + " 1", evil + " 2"], found, {})
    report = summary(audit)
    assert json.loads(render_report(audit, "json")) == report
    assert {f["representative"] for f in report["findings"]} == {evil, evil + " 1"}
    for width in (80, 160):
        for text in (render_report(audit, "terminal", width), *(render_cluster(audit, k, width) for k in (0, 1))):
            check_inert(text)
            assert all(cell_len(line) <= width for line in text.split("\n"))
            assert len(text) < 20_000
    page = render_report(audit, "md")
    check_inert(page)
    rows = [line for line in page.split("\n") if line.startswith("| ") and "show" not in line]
    assert all(line.replace("\\|", "").count("|") == 12 for line in rows if "0000" in line)
    assert "<script" not in re.sub(r"`[^`]*`", "", page) and "<img" not in re.sub(r"`[^`]*`", "", page)
    check_inert(to_json(finding(audit, 1)))


def check_inert(text: str) -> None:
    assert all(c.isprintable() or c in "\n\u200c\u200d" for c in text)


def test_hostile_paths_and_reasons(here: Path) -> None:
    evil = HOSTILE["ansi"] + " | `x`"
    audit = write_audit(here / "audit", captions(), clusters(), TOTALS | {"skipped": {evil: 3}}, "3 " + evil)
    audit.manifest["bad_files"] = [[evil, evil], *[["b.csv", "gone"]] * 30]
    audit.manifest["tool"] = evil
    report = summary(audit)
    assert report["inputs"]["n_bad_files"] == 31 and len(report["inputs"]["bad_files"]) == 20
    for format_ in FORMATS:
        check_inert(render_report(audit, format_, 80))
    assert "31 files not read, or not to the end" in render(report, 80)


def test_a_folder_name_is_quoted_in_what_to_type_next(here: Path) -> None:
    audit = write_audit(here / "my audit", captions(), clusters(), TOTALS)
    assert "next  memaudit show 'my audit' 3f9a21c0\n" in next_commands(audit)
    assert "memaudit show" not in render_report(audit, "terminal", 80)  # the next command goes to stderr


def test_commands_are_never_wrapped(here: Path) -> None:
    folder = here / ("long " * 30).strip()
    audit = write_audit(folder, captions(), clusters(), TOTALS)
    assert f"memaudit show '{folder}' 3f9a21c0\n" in next_commands(audit)
    assert next_commands(audit, 3).startswith("next  memaudit rules")


def test_an_unknown_format_is_refused(audit: Audit) -> None:
    with pytest.raises(UsageError) as caught:
        render_report(audit, "pdf")
    assert caught.value.why == "known: terminal, md, json, html"


def test_json_does_not_import_rich(audit: Audit) -> None:
    code = (
        "import sys; from memaudit.store import open_audit; from memaudit.report import render_report\n"
        "a = open_audit('audit'); render_report(a, 'json'); render_report(a, 'md')\n"
        "assert not [m for m in sys.modules if m.split('.')[0] == 'rich']"
    )
    root = str(Path(__file__).parents[2])
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": root})


@pytest.mark.parametrize(
    ("text", "cells", "shown"),
    [
        ("short", 10, "short"),
        ("abcdefghij", 7, "abc…j"),
        ("日本語の長い文章です", 9, "日本…す"),
        (
            "^ rental homes for rent , listingid : <code> , location : <num> <*>",
            50,
            "^ rental homes for rent , … : <num> <*>",
        ),
        ("anything", 1, "…"),
    ],
)
def test_fit(text: str, cells: int, shown: str) -> None:
    assert fit(text, cells) == shown
    assert all(cell_len(fit(text * n, c)) <= c for n in (1, 3) for c in range(1, 60))


def test_flow_breaks_between_items_only() -> None:
    assert flow(["aa", "bb", "cc"], 7) == ["aa · bb", "cc"]
    assert flow([], 7) == []


def test_numbers_in_words() -> None:
    assert [compact(n) for n in (None, 0, 99_999, 100_000, 1_234_567, 12_345_678, 999_700, 4.5e9, 3e12)] == [
        "–", "0", "99,999", "100 k", "1.23 M", "12.3 M", "1.00 M", "4.50 G", "3.0 T",
    ]  # fmt: skip
    assert [percent(s) for s in (None, 0, 0.001, 0.71, 0.999, 1)] == ["–", "0 %", "<1 %", "71 %", ">99 %", "100 %"]
    assert [percent(s, 1) for s in (0.00001, 0.103, 0.99999)] == ["<0.1 %", "10.3 %", ">99.9 %"]
    assert [plural(1, "row"), plural(2, "family")] == ["1 row", "2 families"]
    assert [seconds(s) for s in (None, 0.25, 42.1, 725, 12_000)] == ["–", "0.2 s", "42 s", "12 min", "3 h 20 min"]
