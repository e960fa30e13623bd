"""`memaudit check` and `Guard`: what is printed, exit codes, files of every kind, threads, and what is kept."""

from __future__ import annotations

import json
import shlex
import shutil
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

import memaudit
from memaudit import store
from memaudit.audit import scan
from memaudit.check import prompts as reading
from memaudit.check.answers import NO_MATCH
from memaudit.check.guard import Guard
from memaudit.check.index import NAME, is_sound, load, save, state_of
from memaudit.check.index_of import index_of
from memaudit.cli import main
from memaudit.config import ScanConfig
from memaudit.errors import UsageError
from memaudit.schemas import FRAMES, conform
from memaudit.verdicts import judged
from tests.report.verified import sampled, verdict
from tests.test_docs import ROOT, blocks, commands

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from memaudit.store import Audit

TABLE = "red oak side table with two drawers"
SHELF = "\x1b[31mwalnut shelf of four boards <script> by Lampwick\u202e"
CASE = "Blue phone case {} by Lampwick"
CAPTIONS = [TABLE] * 40 + [SHELF] * 30 + [CASE.format(word) for word in "ash birch cedar elm fir hazel oak".split()] * 9
HERON = "a lone heron at dusk"


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    folder = tmp_path_factory.mktemp("check")
    pl.DataFrame({"caption": CAPTIONS}).write_parquet(folder / "data.parquet")
    return scan([str(folder / "data.parquet")], folder / "audit", ScanConfig()).audit


@pytest.fixture
def own(audit: Audit, tmp_path: Path) -> Audit:
    """A copy that may be written to."""
    shutil.copytree(audit.folder, tmp_path / "own")
    return store.open_audit(tmp_path / "own")


def run(*args: Any, **settings: Any) -> Result:
    return CliRunner().invoke(main, ["check", *map(str, args)], **settings)


def told(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


# --- one prompt


def test_a_match_says_which_finding_and_why(audit: Audit) -> None:
    result = run(audit.folder, f"{TABLE}, 4k")
    same = pl.col("representative") == TABLE, pl.col("kind") == "exact"
    finding = judged(audit).findings.filter(*same).row(0, named=True)
    assert result.exit_code == 0
    for word in ("near", finding["fingerprint"], finding["severity"], f"{finding['risk']:.2f}", "not verified", TABLE):
        assert word in result.stdout
    assert "40 rows" in result.stdout


def test_no_match_is_not_called_safe(audit: Audit) -> None:
    for args in ((HERON,), (HERON, "-f", "json"), ("",), ("--fail-on", "info", HERON)):
        result = run(audit.folder, *args)
        assert result.exit_code == 0
        assert NO_MATCH in result.stdout
        assert "safe" not in result.output


def test_one_prompt_as_json_is_as_a_line_of_a_file(audit: Audit) -> None:
    for prompt in (TABLE, SHELF, CASE.format("teak"), HERON):
        alone, piped = run(audit.folder, prompt, "-f", "json"), run(audit.folder, "-", input=f"{prompt}\n")
        assert alone.stdout == piped.stdout
        assert Guard(audit).check(prompt) is None or told(alone)[0]["match"] == json.loads(
            json.dumps(Guard(audit).check(prompt).as_dict())  # type: ignore[union-attr]
        )


def test_nothing_acts_on_a_terminal(audit: Audit) -> None:
    for args in ((SHELF,), (SHELF, "-f", "json")):
        out = run(audit.folder, *args).stdout
        assert "walnut shelf" in out
        assert all(char == "\n" or char.isprintable() for char in out)
    assert told(run(audit.folder, SHELF, "-f", "json"))[0]["prompt"] == SHELF


def test_fail_on_decides_about_the_exit_code(audit: Audit) -> None:
    severity = told(run(audit.folder, TABLE, "-f", "json"))[0]["match"]["severity"]
    assert run(audit.folder, TABLE, "--fail-on", severity).exit_code == 1
    assert run(audit.folder, TABLE).exit_code == 0
    assert run(audit.folder, TABLE, "--fail-on", "critical").exit_code == 0
    assert run(audit.folder, "-", "--fail-on", severity, input=f"{HERON}\n{TABLE}\n{HERON}\n").exit_code == 1
    assert run(audit.folder, "-", "--fail-on", severity, input=f"{HERON}\n").exit_code == 0


def test_findings_below_the_severity_are_left_out(audit: Audit) -> None:
    assert told(run(audit.folder, TABLE, "-f", "json", "--min-severity", "critical"))[0]["match"] is None


@pytest.mark.parametrize("args", [(), (TABLE, "--file", "x.txt"), ("-", "-f", "terminal")])
def test_what_cannot_be_meant_is_refused(audit: Audit, args: tuple[str, ...]) -> None:
    result = run(audit.folder, *args)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 3


def test_what_cannot_be_read_is_bad_input(audit: Audit, tmp_path: Path) -> None:
    assert run(tmp_path, TABLE).exit_code == 3
    assert run(audit.folder, "--file", tmp_path / "none.txt").exit_code == 3
    assert run(audit.folder, "--file", tmp_path / "none.parquet").exit_code == 3
    (tmp_path / "bad.parquet").write_bytes(b"no parquet")
    assert run(audit.folder, "--file", tmp_path / "bad.parquet").exit_code == 3


# --- files


PROMPTS = [TABLE, "", HERON, CASE.format("teak"), "café 山水", TABLE.upper()]


@pytest.mark.parametrize("name", ["p.txt", "p.csv", "p.jsonl", "p.parquet", "p"])
def test_files_of_every_kind_give_a_line_each(audit: Audit, tmp_path: Path, name: str) -> None:
    path, frame = tmp_path / name, pl.DataFrame({"id": range(len(PROMPTS)), "prompt": PROMPTS})
    if name.endswith("csv"):
        frame.write_csv(path)
    elif name.endswith("jsonl"):
        frame.write_ndjson(path)
    elif name.endswith("parquet"):
        frame.write_parquet(path)
    else:
        path.write_text("\r\n".join(PROMPTS), encoding="utf-8")
    lines = told(run(audit.folder, "--file", path))
    assert [line["prompt"] for line in lines] == PROMPTS
    assert [line["line"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert [line["match"] and line["match"]["kind"] for line in lines] == [
        "exact", None, None, lines[3]["match"]["kind"], None, "exact",
    ]  # fmt: skip
    assert lines[2]["says"] == NO_MATCH


def test_a_column_can_be_named(audit: Audit, tmp_path: Path) -> None:
    pl.DataFrame({"caption": [HERON], "other": [TABLE]}).write_parquet(tmp_path / "p.parquet")
    by_name = told(run(audit.folder, "--file", tmp_path / "p.parquet"))
    named = told(run(audit.folder, "--file", tmp_path / "p.parquet", "--column", "other"))
    assert (by_name[0]["prompt"], named[0]["prompt"]) == (HERON, TABLE)


def test_bytes_of_any_kind_keep_their_line(audit: Audit, tmp_path: Path) -> None:
    lines = [b"\xff\xfe " + TABLE.encode(), b"\x00\x01", b"9" * 100_000, b"", TABLE.encode(), "e\u0301".encode() * 50]
    (tmp_path / "p.txt").write_bytes(b"\n".join(lines) + b"\n")
    result = run(audit.folder, "--file", tmp_path / "p.txt")
    assert result.stdout.isascii()
    found = told(result)
    assert [one["prompt"] for one in found] == [line.decode("utf-8", "replace") for line in lines]
    assert found[0]["match"]["kind"] in ("exact", "near")
    assert found[4]["match"]["kind"] == "exact"


def test_long_files_keep_their_order(audit: Audit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BLOCK", 7)
    monkeypatch.setattr(reading, "CHUNK", 64)
    wanted = [TABLE if i % 3 == 0 else f"heron {i}" for i in range(500)]
    (tmp_path / "p.txt").write_text("\n".join(wanted))
    found = told(run(audit.folder, "--file", tmp_path / "p.txt"))
    assert [one["prompt"] for one in found] == wanted
    assert [one["line"] for one in found] == list(range(1, 501))
    assert [one["match"] is not None for one in found] == [i % 3 == 0 for i in range(500)]


def test_a_line_without_end_is_refused(audit: Audit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LONGEST", 1000)
    monkeypatch.setattr(reading, "CHUNK", 64)
    (tmp_path / "p.txt").write_text("x" * 5000)
    assert run(audit.folder, "--file", tmp_path / "p.txt").exit_code == 3


# --- verdicts and the allow-list


def test_what_a_model_did_comes_first_and_is_told(own: Audit) -> None:
    findings = judged(own).findings
    names = findings["fingerprint"].to_list()
    template = findings.filter(pl.col("kind") == "template")["fingerprint"][0]
    rows = [verdict(name, "not_run", why="skipped") for name in names if name != template]
    rows.append(sampled(template, "template", 9, 16, 0.31, 0.78))
    rows.append(sampled(template, "not_replicated", 0, 8, 0.0, 0.3, model="b"))
    own.write("verdicts", conform("verdicts", pl.DataFrame(rows, schema=dict(FRAMES["verdicts"]), strict=False)))
    own.finish("verdicts", ("verdicts.parquet",), 0.1, len(rows))
    match = Guard(own.folder).check(CASE.format("teak"))
    assert match is not None
    assert match.fingerprint == template
    assert match.severity == "critical"
    assert match.verdict is not None
    assert match.verdict["verdict"] == "template"
    assert match.verdict["rate"] == 0.5625
    assert match.verdict["model"] == "runs/pilot"
    assert "56 % of samples copy (runs/pilot)" in match.says
    assert "not run" in run(own.folder, TABLE).stdout


def test_a_changed_allow_list_counts_at_once(own: Audit) -> None:
    first = Guard(own.folder).check(TABLE)
    assert first is not None
    names = judged(own).findings["fingerprint"].to_list()
    entries = [f'[[allow]]\nfingerprint = "{name}"\nreason = "ours"\n' for name in names]
    path = own.folder.parent / "memaudit-allow.toml"
    path.write_text("\n".join(entries))
    assert Guard(own.folder).check(TABLE) is None
    path.write_text(entries[0].replace('"ours"', '"ours"\nexpires = 2020-01-01'))
    again = Guard(own.folder).check(TABLE)
    assert again is not None
    assert again.fingerprint == first.fingerprint


# --- the guard


def test_guard_comes_from_the_package(audit: Audit) -> None:
    assert memaudit.Guard is Guard
    with pytest.raises(AttributeError, match="no attribute"):
        _ = memaudit.nothing  # type: ignore[attr-defined]
    with pytest.raises(UsageError):
        Guard(audit, min_severity="grave")


def test_check_many_is_check_of_each(audit: Audit) -> None:
    guard = Guard(audit)
    prompts = (PROMPTS * 300)[:1500]
    assert guard.check_many(prompts) == [guard.check(prompt) for prompt in prompts]
    assert guard.check_many([]) == []
    assert guard.check(TABLE.encode()) == guard.check(TABLE)


def test_threads_share_a_guard(audit: Audit) -> None:
    guard = Guard(audit)
    wanted = guard.check_many(PROMPTS)
    wrong: list[int] = []

    def work(k: int) -> None:
        for i in range(300):
            at = (i + k) % len(PROMPTS)
            if guard.check(PROMPTS[at]) != wanted[at]:
                wrong.append(at)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# --- what is kept


def test_the_index_is_kept_and_is_the_same_again(own: Audit) -> None:
    made = index_of(own)
    kept = load(own.folder / NAME, state_of(own))
    assert kept is not None
    assert kept.facts == made.facts
    assert all(np.array_equal(a, b) for a, b in zip(kept.index, made.index, strict=True))
    assert is_sound(kept.index)


def test_a_damaged_index_is_made_anew(own: Audit) -> None:
    wanted = Guard(own).check(TABLE)
    path = own.folder / NAME
    whole = path.read_bytes()
    for damaged in (b"", b"x" * 100, whole[:-64], whole[:200], whole.replace(b'"set_at"', b'"set_xx"')):
        path.write_bytes(damaged)
        assert Guard(own).check(TABLE) == wanted
        assert path.read_bytes() == whole


def test_an_index_that_points_outside_is_not_handed_to_compiled_code(own: Audit) -> None:
    stored = index_of(own)
    for name in ("own", "own_at", "sh_list", "sh_at", "set_at", "fr_list", "fr_ends", "key_start", "tr_finding"):
        array = getattr(stored.index, name).copy()
        array.reshape(-1)[-1] += 1 << 20
        assert not is_sound(stored.index._replace(**{name: array})), name
    assert not is_sound(stored.index._replace(marks=stored.index.marks[1:]))


def test_a_folder_that_cannot_be_written_is_only_slower(own: Audit) -> None:
    (own.folder / NAME).unlink(missing_ok=True)
    (own.folder / NAME).mkdir()
    stored = index_of(own)
    assert not save(own, state_of(own), stored)
    assert Guard(own).check(TABLE) is not None
    assert run(own.folder, TABLE).exit_code == 0


def test_without_the_data_members_match_exactly_and_representatives_nearly(tmp_path: Path) -> None:
    data = tmp_path / "data.parquet"
    cases = [CASE.format(first + last) for first in ("ash", "birch", "elm") for last in ("wood", "leaf", "en", "y")]
    pl.DataFrame({"caption": [TABLE] * 40 + cases}).write_parquet(data)
    audit = scan([str(data)], tmp_path / "audit", ScanConfig()).audit
    data.unlink()
    result = run(audit.folder, f"{TABLE}, 4k")
    assert "near" in result.stdout
    assert "could not be read" in result.stderr
    exact = told(run(audit.folder, CASE.format("elmleaf"), "-f", "json"))[0]["match"]
    assert exact["kind"] == "exact"


def test_the_page_does_what_it_says(sample_audit: Audit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(sample_audit.folder, tmp_path / "audit")
    monkeypatch.chdir(tmp_path)
    captions = sample_audit.frame("findings").sort("risk")["representative"].to_list()
    (tmp_path / "prompts.txt").write_text("\n".join(["a lone heron at dusk", captions[-1].replace("\n", " ")]))
    pl.DataFrame({"prompt": captions}).write_parquet(tmp_path / "prompts.parquet")
    page = (ROOT / "docs" / "check.md").read_text(encoding="utf-8")
    lines = commands(page)
    assert len(lines) == 3
    for line in lines:
        result = CliRunner().invoke(main, shlex.split(line)[1:])
        assert result.exit_code == (1 if "--fail-on" in line else 0), (line, result.output)
    for block in blocks(page, "python"):
        exec(compile(block, "check.md", "exec"), {})
