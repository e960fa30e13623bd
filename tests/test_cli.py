"""The command line: exit codes, messages, streams, configuration."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from click.testing import CliRunner

from memaudit import __version__
from memaudit.cli import main

if TYPE_CHECKING:
    from click.testing import Result

    from memaudit.config import ScanConfig
    from memaudit.store import Audit

CAPTIONS = ["red oak side table with two drawers"] * 40 + [f"Blue phone case {i} by Lampwick" for i in range(40)]
COMMANDS = ("scan", "verify", "report", "export", "clean", "check", "show", "diff", "review", "rules", "doctor")


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty current folder, and no settings from outside."""
    monkeypatch.chdir(tmp_path)
    for name in [*filter(lambda name: name.startswith("MEMAUDIT"), os.environ), "NO_COLOR", "COLUMNS"]:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def data(tmp_path: Path) -> str:
    pl.DataFrame({"uid": [f"u{i}" for i in range(80)], "caption": CAPTIONS}).write_parquet(tmp_path / "data.parquet")
    return "data.parquet"


def run(*args: str, **settings: Any) -> Result:
    return CliRunner().invoke(main, args, **settings)


def three_lines(result: Result) -> list[str]:
    """The message on stderr, which has at most three lines and no traceback."""
    lines = result.stderr.rstrip().splitlines()
    lines = lines[next(i for i, line in enumerate(lines) if line.startswith("error: ")) :]
    assert 2 <= len(lines) <= 3
    assert lines[-1].startswith("  ")
    return lines


def test_scan_report_export_show(data: str) -> None:
    scanned = run("scan", data, "-o", "audit")
    assert scanned.exit_code == 0, scanned.stderr
    assert "80 rows" in scanned.stdout
    assert "80 rows" not in scanned.stderr
    assert run("report", "audit").stdout == scanned.stdout
    again = run("scan", data, "-o", "audit")
    assert (again.exit_code, again.stdout) == (0, scanned.stdout)
    assert "already" in again.stderr
    assert run("report", "audit", "-f", "json", "-o", "report.json").stdout == ""
    report = json.loads(Path("report.json").read_text())
    assert report == json.loads(run("report", "audit", "-f", "json").stdout)
    assert run("report", "audit", "-f", "md").stdout.startswith("# memaudit")
    shown = run("show", "audit", report["findings"][0]["fingerprint"])
    assert shown.exit_code == 0
    assert json.loads(run("show", "audit", report["findings"][0]["fingerprint"], "-f", "json").stdout)["members"]


@pytest.mark.parametrize("name", ["list.csv", "list.parquet", "list.jsonl", "list"])
def test_export_takes_the_format_from_the_name(data: str, name: str) -> None:
    run("scan", data, "-o", "audit")
    result = run("export", "audit", "--min-severity", "info", "-o", name)
    assert (result.exit_code, result.stdout) == (0, "")
    readers = {".parquet": pl.read_parquet, ".jsonl": pl.read_ndjson}
    frame = readers.get(Path(name).suffix, pl.read_csv)(name)
    assert len(frame)
    assert f"{len(frame)} lines" in result.stderr
    survivors = pl.read_parquet(data).with_row_index("row").filter(~pl.col("row").is_in(frame["row"].implode()))
    assert survivors.filter(pl.col("caption") == CAPTIONS[0]).height == 1


def test_export_to_stdout(data: str) -> None:
    run("scan", data, "-o", "audit")
    result = run("export", "audit", "--view", "members", "-f", "json", "-o", "-")
    assert {json.loads(line)["file"] for line in result.stdout.splitlines()} == {"data.parquet"}
    parquet = run("export", "audit", "--view", "members", "-f", "parquet")
    assert parquet.stdout_bytes[:4] == b"PAR1"


def test_exit_1_only_when_asked_for(data: str) -> None:
    assert run("scan", data, "-o", "audit", "--fail-on", "info").exit_code == 1
    assert run("scan", data, "-o", "audit", "--fail-on", "critical").exit_code == 0
    assert run("scan", data, "-o", "audit").exit_code == 0


@pytest.mark.parametrize(
    "args",
    [
        ["scan"],
        ["scan", "data.parquet"],
        ["nonsense"],
        ["scan", "data.parquet", "-o", "a", "--threshold", "much"],
        ["scan", "data.parquet", "-o", "a", "--fail-on", "often"],
    ],
)
def test_exit_2_usage(data: str, args: list[str]) -> None:
    assert run(*args).exit_code == 2


@pytest.mark.parametrize(
    ("args", "code", "what"),
    [
        (["scan", "data.parquet", "-o", "a", "--threshold", "2"], 2, "threshold 2.0 is not a similarity"),
        (["scan", "data.parquet", "-o", "a", "--min-support", "1"], 2, "a template needs at least two captions"),
        (["scan", "data.parquet", "-o", "a", "--memory", "lots"], 2, "'lots' is not a size"),
        (["scan", "data.parquet", "-o", "-"], 2, "an audit does not go to stdout"),
        (["scan", "data.parquet", "-o", "data.parquet"], 2, "data.parquet is a file"),
        (["rules", "XX99"], 2, "there is no rule 'XX99'"),
        (["scan", "nothing.parquet", "-o", "a"], 3, "no such file: nothing.parquet"),
        (["scan", "text.parquet", "-o", "a"], 3, ""),
        (["scan", "data.parquet", "-o", "a", "--column", "prose"], 3, ""),
        (["report", "nothing"], 3, "nothing is not an audit"),
        (["export", "data.parquet"], 3, "data.parquet is not an audit"),
        (["show", "nothing", "1"], 3, "nothing is not an audit"),
    ],
)
def test_errors_are_three_lines(data: str, args: list[str], code: int, what: str) -> None:
    Path("text.parquet").write_text("no parquet at all")
    result = run(*args)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert what in three_lines(result)[0]
    assert "Traceback" not in result.stderr


def test_debug_shows_the_traceback() -> None:
    from memaudit.errors import BadInput

    assert isinstance(run("--debug", "report", "nothing").exception, BadInput)


def test_a_fault_is_no_traceback(monkeypatch: pytest.MonkeyPatch, data: str) -> None:
    monkeypatch.setattr("memaudit.audit.scan", lambda *_, **__: 1 / 0)
    result = run("scan", data, "-o", "audit")
    assert result.exit_code == 4
    assert "ZeroDivisionError" in three_lines(result)[1]


def test_exit_4_when_a_file_is_broken(data: str) -> None:
    whole = Path(data).read_bytes()
    Path("cut.parquet").write_bytes(whole[: len(whole) // 2])
    result = run("scan", data, "cut.parquet", "-o", "audit", "--fail-on", "info")
    assert result.exit_code == 4
    assert "cut.parquet" in result.stderr
    assert "160" not in result.stdout
    assert "80 rows" in result.stdout


def test_exit_4_when_captions_are_gone(data: str) -> None:
    run("scan", data, "-o", "audit")
    Path(data).unlink()
    result = run("export", "audit", "--view", "members", "-o", "members.csv")
    assert result.exit_code == 4
    assert "data.parquet" in result.stderr
    assert pl.read_csv("members.csv")["caption"].null_count() > 0


def test_exit_130_names_the_command_that_resumes(monkeypatch: pytest.MonkeyPatch, data: str) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("memaudit.audit.scan", interrupted)
    result = run("scan", "a b.parquet", "-o", "audit", "--fresh")
    assert result.exit_code == 130
    assert "memaudit scan 'a b.parquet' -o audit\n" in result.stderr


def test_another_input_is_refused_unless_fresh(data: str) -> None:
    run("scan", data, "-o", "audit")
    refused = run("scan", data, "-o", "audit", "--threshold", "0.8")
    assert refused.exit_code == 2
    assert "threshold was 0.7, now 0.8" in three_lines(refused)[1]
    assert run("scan", data, "-o", "audit", "--threshold", "0.8", "--fresh").exit_code == 0


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, sample_audit: Audit) -> list[ScanConfig]:
    """The configurations that `scan` was called with; no scan is made."""
    from memaudit.audit import ScanResult

    configs: list[ScanConfig] = []

    def scan(_data: object, _out: object, config: ScanConfig, **_: object) -> ScanResult:
        configs.append(config)
        return ScanResult(sample_audit, [])

    monkeypatch.setattr("memaudit.audit.scan", scan)
    return configs


def test_flags_beat_the_environment_beats_toml_beats_defaults(asked: list[ScanConfig]) -> None:
    base = ("scan", "data.parquet", "-o", "audit")
    assert run(*base).exit_code == 0
    Path("memaudit.toml").write_text('[scan]\nthreshold = 0.6\nmemory = "2GB"\ncolumn = "alt"\nmin-support = 5\n')
    run(*base)
    run(*base, env={"MEMAUDIT_THRESHOLD": "0.65"})
    run(*base, env={"MEMAUDIT_SCAN_THRESHOLD": "0.75", "MEMAUDIT_COLUMN": "title alt"})
    run(*base, "--threshold", "0.9", "--column", "x", "--column", "y", env={"MEMAUDIT_THRESHOLD": "0.65"})
    assert [config.threshold for config in asked] == [0.7, 0.6, 0.65, 0.75, 0.9]
    assert [config.columns for config in asked] == [(), ("alt",), ("alt",), ("title", "alt"), ("x", "y")]
    assert [config.memory for config in asked] == [None, *[2 * 10**9] * 4]
    assert [config.min_support for config in asked] == [3, 5, 5, 5, 5]


def test_pyproject_is_read_where_there_is_no_toml_of_our_own(asked: list[ScanConfig]) -> None:
    Path("pyproject.toml").write_text("[tool.memaudit.scan]\nthreshold = 0.8\n")
    run("scan", "data.parquet", "-o", "audit")
    assert asked[0].threshold == 0.8


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("[scan]\ntreshold = 0.6\n", "unknown setting 'treshold'", "threshold"),
        ("[scna]\nthreshold = 0.6\n", "unknown table [scna]", "[scan]"),
        ('[scan]\nthreshold = "high"\n', "wrong type", "float"),
        ("[scan\n", "not valid TOML", ""),
    ],
)
def test_mistakes_in_toml(data: str, text: str, what: str, hint: str) -> None:
    Path("memaudit.toml").write_text(text)
    result = run("scan", data, "-o", "audit")
    assert result.exit_code == 2
    lines = three_lines(result)
    assert what in lines[0]
    assert hint in "\n".join(lines)
    assert run("rules").exit_code == 0  # only scan has settings


@pytest.mark.parametrize("no_color", [None, "1"])
def test_no_color(monkeypatch: pytest.MonkeyPatch, sample_audit: Audit, no_color: str | None) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    from memaudit.streams import colored

    class Terminal:
        def isatty(self) -> bool:
            return True

    if no_color:
        monkeypatch.setenv("NO_COLOR", no_color)
    assert colored(Terminal()) is (no_color is None)
    assert "\x1b" not in run("report", str(sample_audit.folder)).stdout  # no terminal


def test_rules_and_their_case() -> None:
    listing = run("rules").stdout
    assert all(code in listing for code in ("EX01", "NE01", "TE01", "TE02"))
    assert run("rules", "te01").stdout.startswith("TE01")
    assert "remedy" in run("rules", "TE01").stdout


def test_doctor_says_what_is_there_and_how_to_get_the_rest() -> None:
    result = run("doctor")
    assert result.exit_code == 0
    for word in (__version__, "python", "polars", "cores", "memory", "numba cache", "gpu", "[verify]", "[entities]"):
        assert word in result.stdout
    if "missing" in result.stdout:
        assert "pip install" in result.stdout


def test_version_and_help() -> None:
    assert run("--version").stdout == f"memaudit {__version__}\n"
    listing = run("--help").stdout
    assert [command for command in COMMANDS if f"\n  {command} " not in listing] == []
    assert list(main.commands) == list(COMMANDS)


def test_quiet_leaves_stderr_to_errors(data: str) -> None:
    result = run("--quiet", "scan", data, "-o", "audit")
    assert result.stderr == ""
    assert run("-q", "report", "nothing").stderr.startswith("error: ")


def test_names_that_are_no_text(data: str) -> None:
    odd = os.fsdecode(b"caf\xe9")
    result = run("report", odd)
    assert result.exit_code == 3
    assert "caf" in three_lines(result)[0]


def process(*args: str, **settings: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "memaudit", *args]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **settings)


def test_as_a_real_process(data: str) -> None:
    scan = process("scan", data, "-o", "audit")
    out, err = scan.communicate(timeout=120)
    assert scan.returncode == 0, err
    assert "80 rows" in out
    assert "\x1b" not in out + err
    odd = process("report", os.fsdecode(b"caf\xe9"))
    assert "not an audit" in odd.communicate(timeout=60)[1]
    assert odd.returncode == 3


def test_a_reader_that_goes_away_is_no_error(sample_audit: Audit) -> None:
    export = process("export", str(sample_audit.folder), "--view", "members", "-f", "json")
    assert export.stdout is not None
    assert export.stderr is not None
    export.stdout.readline()
    export.stdout.close()
    errors = export.stderr.read()
    assert export.wait(timeout=60) == 0
    assert "Traceback" not in errors
    assert "error" not in errors.lower()
    export.stderr.close()


WAITS = """
import sys, time, memaudit.audit, memaudit.cli
memaudit.audit.scan = lambda *_, **__: (print("waiting", file=sys.stderr, flush=True), time.sleep(60))
memaudit.cli.main(["scan", "data.parquet", "-o", "audit"])
"""


def test_an_interrupted_process() -> None:
    scan = subprocess.Popen([sys.executable, "-c", WAITS], stderr=subprocess.PIPE, text=True)
    assert scan.stderr is not None
    assert scan.stderr.readline() == "waiting\n"
    scan.send_signal(signal.SIGINT)
    _, err = scan.communicate(timeout=60)
    assert scan.returncode == 130
    assert "memaudit scan data.parquet -o audit" in err
    assert "Traceback" not in err


def test_a_reader_that_leaves_does_not_end_the_scan(tmp_path: Path) -> None:
    """stderr and stdout into a pipe that nobody reads: the audit is finished all the same."""
    pl.DataFrame({"caption": ["one two three four"] * 50}).write_csv(tmp_path / "a.csv")
    command = [sys.executable, "-m", "memaudit", "scan", "a.csv", "-o", "audit"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        process.stdout.close()
        process.wait()
    assert '"complete"' in (tmp_path / "audit" / "manifest.json").read_text()
