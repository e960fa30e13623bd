"""The allow-list at work: what it flags, what falls back to members, what no longer holds; every view says so."""

from __future__ import annotations

import datetime
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from click.testing import CliRunner

from memaudit.allow import Entry, append
from memaudit.cli import main
from memaudit.store import open_audit
from memaudit.suppression import apply, current, member_keys
from tests.report.synthetic import TOTALS, captions, clusters, write_audit

if TYPE_CHECKING:
    from click.testing import Result

    from memaudit.store import Audit

LIST = Path("memaudit-allow.toml")
SHAW, SOON, OAK = "3f9a21c07d5e4b18", "a07700000000beef", "a0771234567890ab"
TODAY = datetime.date(2026, 6, 1)


@pytest.fixture
def audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Audit:
    monkeypatch.chdir(tmp_path)
    return write_audit(
        Path("audit"), captions(), [replace(c, suppressed=False, reason=None) for c in clusters()], TOTALS
    )


def run(*args: str) -> Result:
    return CliRunner().invoke(main, args)


def flagged(audit: Audit, *entries: Entry) -> dict[int, str]:
    now = apply(audit, audit.frame("findings"), audit.frame("templates"), list(entries), TODAY)
    return dict(now.findings.filter("suppressed").select("cluster_id", "reason").iter_rows())


def test_by_fingerprint_and_by_template(audit: Audit) -> None:
    assert flagged(audit) == {}
    assert flagged(audit, Entry(SHAW, reason="carpets")) == {0: "carpets"}
    assert flagged(audit, Entry(template="shaw floors <*> pewter")) == {3: "on the allow-list"}
    assert flagged(audit, Entry(SHAW, label="y")) == {}
    assert flagged(audit, Entry(template="shaw floors <*> pewter"), Entry("5500000000000001", label="y")) == {}


def test_entries_expire(audit: Audit) -> None:
    assert flagged(audit, Entry(SHAW, expires=TODAY)) == {0: "on the allow-list"}
    past = Entry(SHAW, expires=TODAY - datetime.timedelta(days=1))
    now = apply(audit, audit.frame("findings"), audit.frame("templates"), [past], TODAY)
    assert (now.findings["suppressed"].sum(), now.expired, now.unmatched) == (0, [past], [])
    assert now.notes() == ["1 entry of the allow-list has expired."]


def test_fallback_by_members(audit: Audit) -> None:
    """Keys 1 to 4 are the Shaw captions: cluster 0 holds all, 3 the first three; 5 and 6 are the near cluster."""

    def meant(kind: str, *keys: int) -> list[int]:
        entry = Entry("0" * 16, kind=kind, members=tuple(f"{key:016x}" for key in keys))
        return list(flagged(audit, entry))

    assert meant("template", 1, 2, 3, 4) == [0]
    assert meant("template", 1, 2, 3) == [3]  # both hold all of them: the smaller one
    assert meant("template", 4, 90) == [0]  # half of them is enough
    assert meant("template", 4, 90, 91) == []
    assert meant("near", 5, 6) == [2]
    assert meant("near", 1, 2, 3) == []  # another kind
    assert meant("exact", 0) == []  # its fingerprint is its content
    assert [int(key, 16) for key in member_keys(audit, 0)] == [1, 2, 3, 4]


def test_unmatched_entries_are_reported_everywhere(audit: Audit) -> None:
    append(LIST, Entry("0" * 16, reason="gone \x1b[31m"))
    append(LIST, Entry("1" * 16, label="y"))
    append(LIST, Entry(SHAW, expires=datetime.date(2020, 1, 1)))
    for args in (["report", "audit"], ["report", "audit", "-f", "md"], ["report", "audit", "-f", "json"]):
        result = run(*args)
        assert "1 entry of the allow-list matches no finding." in result.stdout, args
        assert "1 entry of the allow-list has expired." in result.stdout, args
        assert "allow-list: 0000000000000000 matches no finding: gone \\x1b[31m" in result.stderr
        assert f"allow-list: {SHAW} has expired on 2020-01-01" in result.stderr
        assert "1111" not in result.stdout + result.stderr
    listed = json.loads(run("report", "audit", "-f", "json").stdout)["allow_list"]
    assert [entry["fingerprint"] for entry in listed["unmatched"]] == ["0" * 16]
    assert [entry["expires"] for entry in listed["expired"]] == ["2020-01-01"]


def test_every_view_shows_the_list_as_it_is_now(audit: Audit) -> None:
    def suppressed() -> list[tuple[str, str]]:
        findings = json.loads(run("report", "audit", "-f", "json").stdout)
        shown = json.loads(run("show", "audit", SOON, "-f", "json").stdout)
        found = [(f["fingerprint"], f["reason"]) for f in findings["findings"] if f["suppressed"]]
        assert findings["counts"]["suppressed"] == len(found)
        assert (shown["suppressed"], shown["reason"]) == (SOON in dict(found), dict(found).get(SOON))
        return found

    assert suppressed() == []
    append(LIST, Entry(SOON, reason="placeholder"))
    assert suppressed() == [(SOON, "placeholder")]
    assert "1 suppressed" in run("report", "audit").stdout
    assert "1 suppressed" in run("report", "audit", "-f", "md").stdout
    append(LIST, Entry(SOON, label="y"))
    assert suppressed() == []


def test_exports_leave_out_rows_of_suppressed_findings_only(audit: Audit) -> None:
    def rows(view: str) -> pl.DataFrame:
        result = run("export", "audit", "--view", view, "--min-severity", "info", "-f", "json", "-o", f"{view}.jsonl")
        assert result.exit_code == 0, result.stderr
        notes.append(result.stderr)
        return pl.read_ndjson(f"{view}.jsonl")

    notes: list[str] = []
    before = rows("rows")
    soon = before.filter(fingerprint=SOON)
    assert len(soon) == 4
    append(LIST, Entry(SOON, reason="placeholder"))
    after = rows("rows")
    assert after.equals(before.filter(pl.col("fingerprint") != SOON))
    members = rows("members").filter(fingerprint=SOON)
    assert set(members["action"]) == {"keep"}
    assert set(members["reason"]) == {"placeholder"}
    assert rows("clusters").filter(suppressed=True)["fingerprint"].to_list() == [SOON]
    assert all("1 finding is suppressed" in note for note in notes[1:])
    # A row that another finding drops as well is still dropped, and listed for that one.
    append(LIST, Entry("5500000000000001"))
    assert set(rows("rows").filter(pl.col("caption").str.starts_with("Shaw"))["fingerprint"]) == {SHAW}


def test_another_list(audit: Audit) -> None:
    append(Path("other.toml"), Entry(SOON))
    for args in (["report", "audit"], ["show", "audit", SOON]):
        assert "suppressed" not in run(*args).stdout
        assert "suppressed" in run(*args, "--allow", "other.toml").stdout
    result = run("report", "audit", "--allow", "none.toml")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[0] == "error: cannot read the allow-list none.toml"
    LIST.write_text("[[allow]]\nfingerprnt = 3\n", encoding="utf-8")
    assert run("export", "audit").exit_code == 2


CAPTIONS = ["red oak side table with two drawers"] * 40 + [f"Blue phone case {i} by Lampwick" for i in range(40)]


def test_scan_applies_the_list_and_follows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pl.DataFrame({"caption": CAPTIONS}).write_parquet("data.parquet")
    assert run("scan", "data.parquet", "-o", "audit", "--fail-on", "low").exit_code == 1
    for print_ in pl.read_parquet("audit/findings.parquet")["fingerprint"]:
        append(LIST, Entry(print_, reason="known"))
    assert run("scan", "data.parquet", "-o", "audit", "--fail-on", "low").exit_code == 0  # done before, read anew
    assert run("scan", "data.parquet", "-o", "audit", "--fail-on", "low", "--fresh").exit_code == 0
    stored = pl.read_parquet("audit/findings.parquet")
    assert stored["suppressed"].all()
    assert set(stored["reason"]) == {"known"}
    LIST.unlink()
    now = current(open_audit("audit"))
    assert not now.findings["suppressed"].any()
    assert now.findings["reason"].null_count() == len(stored)
    assert run("scan", "data.parquet", "-o", "audit", "--fail-on", "low").exit_code == 1


def test_a_list_survives_growth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A near cluster is called after its smallest member: a smaller one renames it, and its members still tell."""
    monkeypatch.chdir(tmp_path)
    grown = "ancient oak side table with two brass drawers and a marble top in walnut brown"
    near = [
        f"{word} oak side table with two brass drawers and a marble top in walnut brown" for word in ("red", "tall")
    ]
    pl.DataFrame({"caption": near * 6}).write_parquet("old.parquet")
    pl.DataFrame({"caption": [*near, grown] * 6}).write_parquet("new.parquet")
    run("scan", "old.parquet", "-o", "old")
    run("scan", "new.parquet", "-o", "new")
    kind = pl.col("kind").cast(pl.String) == "near"
    (before,) = pl.read_parquet("old/findings.parquet").filter(kind).iter_rows(named=True)
    (after,) = pl.read_parquet("new/findings.parquet").filter(kind).iter_rows(named=True)
    assert before["fingerprint"] != after["fingerprint"]
    keys = member_keys(open_audit("old"), before["cluster_id"])
    append(LIST, Entry(before["fingerprint"], kind="near", members=keys))
    now = current(open_audit("new"))
    assert now.findings.filter("suppressed")["fingerprint"].to_list() == [after["fingerprint"]]
    assert now.unmatched == []


def test_scan_refuses_a_bad_list_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pl.DataFrame({"caption": CAPTIONS}).write_parquet("data.parquet")
    LIST.write_text("[[allow", encoding="utf-8")
    assert run("scan", "data.parquet", "-o", "audit").exit_code == 2
    assert not Path("audit/texts.parquet").exists()
