"""The Python API: its documentation runs, it mirrors the commands, it is silent, and importing it costs nothing."""

from __future__ import annotations

import importlib.util
import inspect
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import polars as pl
import pytest
from click.testing import CliRunner

import memaudit
from memaudit.allow import Entry, append
from memaudit.cli import main
from memaudit.schemas import FINDINGS, VERDICTS
from tests.conftest import SAMPLE
from tests.report.synthetic import TOTALS, captions, clusters, write_audit
from tests.report.verified import verify as add_verdicts
from tests.test_docs import ROOT, blocks
from tests.test_import_time import HEAVY

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def audit() -> memaudit.Audit:
    write_audit(Path("audit"), captions(), clusters(), TOTALS)
    return memaudit.open("audit")


def test_importing_it_loads_nothing_heavy() -> None:
    code = "import json, sys, memaudit; print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not set(HEAVY) & set(json.loads(loaded.stdout))


def test_names_that_are_promised_are_there() -> None:
    for name in memaudit.__all__:
        assert getattr(memaudit, name) is not None
        assert name in dir(memaudit)
    with pytest.raises(AttributeError, match="nothing"):
        _ = memaudit.nothing  # type: ignore[attr-defined]


NOT_MIRRORED = {
    "scan": {"dry_run", "fail_on", "baseline"},
    "verify": {"plan", "dry_run"},
    "report": {"output"},
    "show": {"format"},
    "diff": {"output", "format", "top", "min_severity", "fail_on"},  # of `Changes`
    "clean": {"format"},
    "check": {"file", "column", "fail_on", "format"},
    "export": set(),
}
ADDED = {"progress", "width"}


@pytest.mark.parametrize("name", NOT_MIRRORED)
def test_arguments_are_the_flags(name: str) -> None:
    """Of every command that is mirrored: the same names and, where a flag has one, the same default."""
    function: Callable[..., Any] = memaudit.scan if name == "scan" else getattr(memaudit.Audit, name)
    given = {key: one for key, one in inspect.signature(function).parameters.items() if key != "self"}
    command = main.commands[name]
    options = {one.name: one for one in command.params if one.name not in ("audit", "new")}
    missing = {key for key in options if key not in given} - NOT_MIRRORED[name]
    assert missing - (set() if name == "scan" else {"allow"}) == set()
    assert {key for key in given if key not in options} <= ADDED
    for key, parameter in given.items():
        positional = key in ("data", "cluster", "old", "prompt")
        assert (parameter.kind is inspect.Parameter.KEYWORD_ONLY) != positional, key
        if parameter.default not in (inspect.Parameter.empty, None, ()) and key not in ADDED:
            assert parameter.default == options[key].get_default(click.Context(command)), key


@pytest.mark.parametrize("name", [n for n in NOT_MIRRORED if n not in ("scan", "verify", "clean")])
def test_what_is_not_mirrored_is_a_flag(name: str) -> None:
    assert NOT_MIRRORED[name] <= {one.name for one in main.commands[name].params}


def test_scan_is_silent_and_the_same_as_the_command(capfd: pytest.CaptureFixture[str]) -> None:
    pl.DataFrame({"text": ["red oak side table with two drawers"] * 40, "other": ["x"] * 40}).write_csv("data.csv")
    audit = memaudit.scan("data.csv", output="audit", column="text", memory="1GB", min_support=4, ner="none")
    assert capfd.readouterr() == ("", "")
    flags = ["--column", "text", "--min-support", "4", "--ner", "none"]
    assert CliRunner().invoke(main, ["scan", "data.csv", "-o", "again", *flags]).exit_code == 0
    assert audit.findings.equals(memaudit.open("again").findings)
    again = memaudit.scan(["data.csv"], output=Path("audit"), column=["text"], min_support=4, ner="none")
    assert again.folder == audit.folder
    with pytest.raises(memaudit.UsageError, match="another configuration"):
        memaudit.scan("data.csv", output="audit", column="text", min_support=5, ner="none")
    memaudit.scan("data.csv", output="audit", column="text", min_support=5, ner="none", fresh=True, progress=True)
    assert "reading captions" in capfd.readouterr().err


def test_what_could_not_be_read_is_a_warning() -> None:
    pl.DataFrame({"text": ["red oak side table with two drawers"] * 40}).write_csv("good.csv")
    Path("bad.parquet").write_bytes(b"PAR1 no more")
    with pytest.warns(memaudit.Incomplete, match=r"1 file not read.*bad\.parquet"):
        audit = memaudit.scan(["good.csv", "bad.parquet"], output="audit")
    Path("good.csv").unlink()
    with pytest.warns(memaudit.Incomplete, match="captions are missing"):
        lines = audit.export(view="members", min_severity="info")
    assert lines["caption"].null_count() == len(lines) > 0


def test_findings_are_judged(audit: memaudit.Audit) -> None:
    before = audit.findings
    assert before.columns == [*FINDINGS, "template", "verdict", "rate", "low", "high"]
    assert before.sort("suppressed", "risk", descending=[False, True]).equals(before)
    assert before["suppressed"].any()
    assert before["verdict"].null_count() == len(before)
    assert audit.verdicts.is_empty()
    accepted = before["fingerprint"][0]
    append(Path("memaudit-allow.toml"), Entry(accepted, reason="known"))
    suppressed = audit.findings.filter("suppressed")
    assert set(suppressed["reason"]) >= {"known"}
    assert audit.findings["suppressed"].to_list() == sorted(audit.findings["suppressed"])
    add_verdicts(audit._stored)
    after = audit.findings
    assert after.filter(pl.col("severity") >= "critical")["verdict"].to_list() == ["template"]
    assert audit.verdicts.schema == VERDICTS


def test_views_are_those_of_the_command(audit: memaudit.Audit) -> None:
    for view in ("rows", "members", "clusters", "patterns"):
        frame = audit.export(view=view)
        written = audit.export(view=view, output=f"{view}.parquet")
        assert written == (len(frame), True)
        assert frame.equals(pl.read_parquet(f"{view}.parquet"))
    audit.export(view="clusters", output="list.csv")
    assert Path("list.csv").read_text().startswith("cluster_id,")
    assert json.loads(json.dumps(audit.summary())) == json.loads(audit.report(format="json"))
    assert audit.report(format="md").startswith("# memaudit")
    typed = CliRunner().invoke(main, ["report", "audit"], env={"COLUMNS": "100"})
    assert audit.report() == typed.stdout
    fingerprint = audit.findings["fingerprint"][0]
    assert audit.show(fingerprint[:9], members=2)["fingerprint"] == fingerprint


def test_mistakes_are_errors_of_memaudit(audit: memaudit.Audit) -> None:
    wrong: dict[str, Callable[[], object]] = {
        "unknown view": lambda: audit.export(view="lines"),
        "unknown severity": lambda: audit.export(min_severity="severe"),
        "no frame": lambda: audit.frame("rows"),
        "no finding is called": lambda: audit.show("zzzz"),
        "unknown report format": lambda: audit.report(format="pdf"),
        "unknown preset": lambda: memaudit.scan("x.csv", output="y", preset="wed"),
        "not a size": lambda: memaudit.scan("x.csv", output="y", memory="lots"),
        "unknown relation": lambda: audit.verify(model="m", relation="cousin"),
    }
    if importlib.util.find_spec("diffusers") is None:
        del wrong["unknown relation"]
    for said, call in wrong.items():
        with pytest.raises(memaudit.UsageError, match=said):
            call()
    for call in (lambda: memaudit.open("nothing"), lambda: audit.diff("nothing")):
        with pytest.raises(memaudit.BadInput, match="nothing is not an audit"):
            call()


def test_diff(audit: memaudit.Audit) -> None:
    changes = audit.diff(audit)
    assert repr(changes) == f"Changes({len(audit.findings)} same)"
    assert audit.diff("audit").frame.equals(changes.frame)
    typed = CliRunner().invoke(main, ["diff", "audit", "audit"], env={"COLUMNS": "100"})
    assert changes.report() == typed.stdout
    with pytest.raises(memaudit.UsageError, match="unknown severity"):
        changes.summary(min_severity="severe")


def test_a_notebook_shows_hostile_captions_as_text() -> None:
    evil = '<script>alert(1)</script> \x1b[31m & "quoted" \u202e'
    found = [one for one in clusters() if one.kind == "exact"]
    found[0].texts = [evil]
    write_audit(Path("evil<b>"), [evil] * 5, found, TOTALS)
    page = memaudit.open("evil<b>")._repr_html_()
    assert "<script>" not in page
    assert "evil<b>" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert page.count("<tr>") == 2


@pytest.mark.slow
def test_every_block_of_the_page_runs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(SAMPLE, "captions")
    models = importlib.util.find_spec("diffusers") is not None
    if models:
        from tests.verify import tiny

        tiny.stable_diffusion(tmp_path / "runs" / "pilot")
    names: dict[str, Any] = {}
    page = list(blocks(PAGE, "python"))
    for block in page:
        if ("to_pandas" in block and importlib.util.find_spec("pandas") is None) or (
            ".verify(" in block and not models
        ):
            continue
        exec(compile(block, "docs/api.md", "exec"), names)
    assert len(page) >= 9
    assert names["often"] > 0
    assert 0 < len(names["kept"]) < len(pl.read_parquet("captions/part-0.parquet"))
    assert names["done"].summary["rows"] == 20_000
    if models:
        assert len(names["verdicts"]) == 2
    assert names["match"].severity in ("medium", "high", "critical")
    assert [one is None for one in names["found"]] == [True, False]
    assert len(names["worse"]) > 0
    assert "is not an audit" in capfd.readouterr().out
