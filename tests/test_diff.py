"""Two audits beside each other: what is matched, what is said of it, and what a gate stops at."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from memaudit.allow import Entry, append
from memaudit.cli import main
from memaudit.diff import CHANGES, diff, worse
from memaudit.diff import matching as matching_module
from memaudit.diff.changes import ORDER, side_of
from memaudit.diff.matching import LEAST_COMMON, LEAST_SHARED, matched
from memaudit.diff.told import summary
from memaudit.report.changes import TITLES, render_changes
from memaudit.schemas import KIND
from tests.audits_side_by_side import audit_of, found
from tests.conftest import SAMPLE
from tests.report.verified import sampled, verify
from tests.test_docs import ROOT, commands

if TYPE_CHECKING:
    from collections.abc import Sequence

    from click.testing import Result

    from memaudit.diff import Diff
    from memaudit.store import Audit
    from tests.report.synthetic import Cluster

FLOORS = [f"shaw floors {name} pewter" for name in ("anchor", "dyer", "oval", "sleek")]
OAK = ["oak side table with drawer", "red oak side table with drawer"]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*args: str) -> Result:
    return CliRunner().invoke(main, args)


def compared(
    old: tuple[Sequence[str], Sequence[Cluster]], new: tuple[Sequence[str], Sequence[Cluster]]
) -> tuple[Diff, dict[str, list[dict[str, Any]]]]:
    """A comparison of two written audits, and its rows by change."""
    told = diff(audit_of(Path("old/audit"), *old), audit_of(Path("new/audit"), *new))
    assert told.frame.schema == CHANGES
    by_change: dict[str, list[dict[str, Any]]] = {}
    for row in told.frame.iter_rows(named=True):
        by_change.setdefault(row["change"], []).append(row)
    return told, by_change


def test_an_audit_beside_itself(sample_audit: Audit) -> None:
    told = diff(sample_audit, sample_audit)
    assert set(told.frame["change"]) == {"same"}
    assert len(told.frame) == len(sample_audit.frame("findings"))
    assert worse(told, "info") == 0
    shown = summary(told)
    assert (shown["counts"]["same"], shown["changes"]) == (len(told.frame), [])


def test_new_gone_grown_shrunk() -> None:
    old = ["a b c"] * 5 + ["d e f"] * 4 + ["g h i"] * 3 + ["k l m"] * 2
    new = ["a b c"] * 9 + ["d e f"] * 2 + ["g h i"] * 3 + ["n o p"] * 6
    _, rows = compared(
        (old, [found("exact", [text]) for text in ("a b c", "d e f", "g h i", "k l m")]),
        (new, [found("exact", [text]) for text in ("a b c", "d e f", "g h i", "n o p")]),
    )
    assert {change: [row["text"] for row in found_ones] for change, found_ones in rows.items()} == {
        "new": ["n o p"], "grown": ["a b c"], "same": ["g h i"], "shrunk": ["d e f"], "gone": ["k l m"],
    }  # fmt: skip
    assert (rows["grown"][0]["n_rows_old"], rows["grown"][0]["n_rows_new"]) == (5, 9)
    assert [row["worse"] for row in (rows[name][0] for name in ("new", "grown", "same", "shrunk", "gone"))] == [
        True, True, False, False, False,
    ]  # fmt: skip
    assert (rows["new"][0]["rows_there"], rows["gone"][0]["rows_there"]) == (0, 0)


def test_rows_and_captions_both_grow() -> None:
    _, rows = compared((OAK, [found("near", OAK)]), ([*OAK, "z" + OAK[0]], [found("near", [*OAK, "z" + OAK[0]])]))
    (row,) = rows["grown"]
    assert (row["n_texts_old"], row["n_texts_new"], row["matched_by"]) == (2, 3, "fingerprint")


def test_a_smaller_member_renames_a_near_cluster() -> None:
    joined = ["an " + OAK[0], *OAK]
    _, rows = compared((OAK, [found("near", OAK)]), (joined, [found("near", joined)]))
    (row,) = rows["grown"]
    assert row["fingerprint_old"] != row["fingerprint_new"]
    assert (row["matched_by"], row["jaccard"]) == ("members", 1.0)


def test_a_template_that_generalises_in_a_dataset_ten_times_as_large() -> None:
    many = [*FLOORS, *(f"shaw floors number {i} teal" for i in range(40))]
    before, after = (
        found("template", FLOORS, template="shaw floors <*> pewter"),
        found("template", many, template="shaw floors <*>"),
    )
    _, rows = compared((FLOORS, [before]), (many, [after]))
    (row,) = rows["grown"]
    assert (row["matched_by"], row["jaccard"], row["text"]) == ("members", 1.0, "shaw floors <*>")


def test_kinds_are_never_mixed() -> None:
    _, rows = compared((OAK, [found("near", OAK)]), (OAK, [found("template", OAK, template="<*> side table <*>")]))
    assert set(rows) == {"listed", "unlisted"}  # the captions are there; what holds them is something else


def test_of_nested_templates_each_finds_its_own() -> None:
    """In the larger audit one captions set is inside the other; what both audits hold is the same."""
    wide, tight = FLOORS, FLOORS[:3]
    more = [f"shaw floors number {i} teal" for i in range(9)]
    old = [found("template", tight, template="shaw <*> pewter"), found("template", wide, template="shaw <*>")]
    new = [found("template", [*tight], template="shaw x <*>"), found("template", [*wide, *more], template="shaw y <*>")]
    told, _ = compared((wide, old), ([*wide, *more], new))
    pairs = set(told.frame.select("fingerprint_old", "fingerprint_new").iter_rows())
    assert pairs == {(old[i].fingerprint, new[i].fingerprint) for i in (0, 1)}


def test_merged_and_split() -> None:
    first, second = ["b one two", "c one two", "d one two"], ["e one two", "f one two"]
    apart = [found("near", first), found("near", second)]
    together = [found("near", [*first, *second])]
    rows = [*first, *second]
    told, merged = compared((rows, apart), (rows, together))
    assert set(merged) == {"grown", "merged"}
    assert merged["merged"][0]["held_by"] == together[0].fingerprint
    assert merged["merged"][0]["rows_there"] == 2
    told, split = compared((rows, together), (rows, apart))
    assert set(split) == {"shrunk", "split"}
    assert split["split"][0]["held_by"] == together[0].fingerprint
    assert worse(told, "info") == 0  # the same rows as before, of the same severity
    told, split = compared((rows, [replace(together[0], severity="low")]), ([*rows, *second], apart))
    assert split["split"][0]["worse"]


def test_what_falls_below_the_band_is_not_gone() -> None:
    rows = ["a b c"] * 4 + ["d e f"] * 4
    told, by = compared((rows, [found("exact", ["a b c"], "info")]), (rows[:-1], [found("exact", ["d e f"], "info")]))
    assert [row["text"] for row in by["unlisted"]] == ["a b c"]
    assert [row["text"] for row in by["listed"]] == ["d e f"]
    assert by["unlisted"][0]["rows_there"] == 4
    assert worse(told, "info") == 0  # it has fewer rows than it had
    told, by = compared((rows, []), (rows, [found("exact", ["d e f"], "high")]))
    assert by["listed"][0]["worse"]  # info or nothing before, high now


def test_severity_verdict_and_allow_list() -> None:
    rows = ["a b c"] * 4 + ["d e f"] * 4 + ["g h i"] * 4
    before = [found("exact", [text], "medium") for text in ("a b c", "d e f", "g h i")]
    old = audit_of(Path("old/audit"), rows, before)
    new = audit_of(Path("new/audit"), rows, before)
    append(Path("new/memaudit-allow.toml"), Entry(before[1].fingerprint))
    append(Path("old/memaudit-allow.toml"), Entry(before[2].fingerprint))
    verify(new, [sampled(before[0].fingerprint, "verbatim", 8, 8, 0.6, 1.0)], [], [])
    told = diff(old, new)
    by_text = {row["text"]: row for row in told.frame.iter_rows(named=True)}
    assert {row["change"] for row in by_text.values()} == {"same"}
    raised = by_text["a b c"]
    assert (raised["severity_old"], raised["severity_new"], raised["verdict_new"]) == ("medium", "critical", "verbatim")
    assert [by_text[text]["worse"] for text in ("a b c", "d e f", "g h i")] == [True, False, True]
    assert (worse(told, "critical"), worse(told, "medium")) == (1, 2)
    shown = summary(told)
    assert len(shown["changes"]) == 3
    page = render_changes(shown, "md")
    for said in ("medium → critical", "verdict: not asked → verbatim", "suppressed now", "no longer suppressed"):
        assert said in page
    assert "OLD has no verdicts: no model was asked about it." in page


SETS = st.lists(st.sets(st.integers(0, 12), min_size=1, max_size=6), max_size=5)


@given(SETS, SETS, st.sampled_from(["near", "template"]), st.sets(st.integers(0, 12)), st.sets(st.integers(0, 12)))
def test_matching_equals_a_plain_one(
    old: list[set[int]], new: list[set[int]], kind: str, dropped: set[int], added: set[int]
) -> None:
    """One to one, greedy, over the captions that both audits hold. dropped: not in the new audit; added: not in the
    old one."""
    old, new = [own - added for own in old], [own - dropped for own in new]
    members = [
        pl.DataFrame(
            [(i, t, t if t not in lacking else None) for i, own in enumerate(side) for t in sorted(own)],
            schema={"cluster_id": pl.UInt32, "text": pl.UInt32, "text_there": pl.UInt32}, orient="row",
        ).with_columns(kind=pl.lit(kind, KIND))
        for side, lacking in ((old, dropped), (new, added))
    ]  # fmt: skip
    shared = pl.DataFrame(
        [(i, j, len(a & b)) for i, a in enumerate(old) for j, b in enumerate(new) if a & b],
        schema={"old": pl.UInt32, "new": pl.UInt32, "shared": pl.UInt32}, orient="row",
    )  # fmt: skip
    sizes = [matching_module._sizes(one) for one in members]
    pairs = matching_module._by_members(shared, *sizes)
    assert [tuple(row) for row in pairs.select("old", "new").iter_rows()] == _plainly(old, new, kind, dropped | added)


def _plainly(old: list[set[int]], new: list[set[int]], kind: str, lonely: set[int]) -> list[tuple[int, int]]:
    scored = []
    for i, a in enumerate(old):
        for j, b in enumerate(new):
            n, union = len(a & b), len((a | b) - lonely)
            if n >= LEAST_SHARED[kind] and n / union >= LEAST_COMMON:
                scored.append((-n / union, -n / len(a | b), -n, i, j))
    out: list[tuple[int, int]] = []
    for *_, i, j in sorted(scored):
        if all(i != one and j != other for one, other in out):
            out.append((i, j))
    return out


@pytest.fixture(scope="module")
def sampled_audits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Audit, Audit]:
    """Audits of half of the sample captions and of nine tenths: they share most of what the first one holds."""
    from memaudit.audit import scan
    from memaudit.config import ScanConfig

    folder = tmp_path_factory.mktemp("sampled")
    caption = pl.concat([pl.read_parquet(path).select("caption") for path in sorted(SAMPLE.glob("*.parquet"))])
    rows, audits = caption.with_row_index("i"), []
    for percent in (50, 90):
        rows.filter(pl.col("i").hash(3) % 100 < percent).write_parquet(folder / f"{percent}.parquet")
        config = ScanConfig(columns=("caption",), ner="none")
        audits.append(scan([str(folder / f"{percent}.parquet")], folder / f"audit-{percent}", config).audit)
    return audits[0], audits[1]


def test_members_alone_find_what_fingerprints_find(
    sampled_audits: tuple[Audit, Audit], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fallback against an oracle: findings of equal fingerprint are the same ones, and it is not told."""
    old, new = (
        side._replace(findings=side.findings.filter(pl.col("kind") != "exact")) for side in map(side_of, sampled_audits)
    )
    truth = set(matching_module._by_fingerprint(old.findings, new.findings).iter_rows())
    none = pl.DataFrame(schema={"old": pl.UInt32, "new": pl.UInt32})
    monkeypatch.setattr(matching_module, "_by_fingerprint", lambda *_: none)
    found_pairs = set(matched(old, new).pairs.select("old", "new").iter_rows())
    assert len(truth) > 300
    assert len(truth & found_pairs) >= 0.98 * len(truth)


def test_the_other_way_round(sampled_audits: tuple[Audit, Audit]) -> None:
    """From new to old the same findings match, and what was new is gone."""
    there, back = diff(*sampled_audits), diff(*reversed(sampled_audits))
    one, other = (
        set(frame.drop_nulls([a, b]).select(a, b).iter_rows())
        for frame, (a, b) in ((there.frame, ("fingerprint_old", "fingerprint_new")),
                              (back.frame, ("fingerprint_new", "fingerprint_old")))
    )  # fmt: skip
    assert one == other
    counts = [dict(told.frame["change"].value_counts().iter_rows()) for told in (there, back)]
    for change, mirror in (("new", "gone"), ("split", "merged"), ("listed", "unlisted"), ("same", "same")):
        assert counts[0].get(change, 0) == counts[1].get(mirror, 0), change
        assert counts[1].get(change, 0) == counts[0].get(mirror, 0), change


def test_every_finding_is_told_once(sampled_audits: tuple[Audit, Audit]) -> None:
    told = diff(*sampled_audits)
    for audit, side in zip(sampled_audits, ("old", "new"), strict=True):
        known = audit.frame("findings")["fingerprint"].sort()
        assert known.equals(told.frame[f"fingerprint_{side}"].drop_nulls().sort(), check_names=False)
    every = summary(told, None)
    n_changed = sum(n for name, n in every["counts"].items() if name in ORDER and name != "same")
    assert sum(entry["change"] != "same" for entry in every["changes"]) == n_changed
    few = summary(told, 2, "high")
    assert max(sum(e["change"] == name for e in few["changes"]) for name in ORDER) == 2
    assert all("high" in {(e[s] or {}).get("severity") for s in ("old", "new")} for e in few["changes"])


def test_each_change_has_a_title() -> None:
    assert sorted(TITLES) == sorted(ORDER)


HOSTILE = "evil \x1b[31m <script>`|` [link](x) \u202e text"


def test_formats_and_exit_codes() -> None:
    audit_of(Path("old/audit"), ["a b c"] * 3, [found("exact", ["a b c"])])
    rows = ["a b c"] * 3 + [HOSTILE] * 4
    audit_of(Path("new/audit"), rows, [found("exact", ["a b c"]), found("exact", [HOSTILE], "medium")])
    text = run("diff", "old/audit", "new/audit")
    assert text.exit_code == 0, text.stderr
    assert "1 new · 1 same" in text.stdout
    assert "\x1b" not in text.stdout
    assert "\u202e" not in text.stdout
    page = run("diff", "old/audit", "new/audit", "-f", "md").stdout
    assert "<script>" not in page
    assert "\x1b" not in page
    told = json.loads(run("diff", "old/audit", "new/audit", "-f", "json", "-o", "-").stdout)
    assert [entry["text"] for entry in told["changes"]] == [HOSTILE]
    assert run("diff", "old/audit", "new/audit", "-o", "diff.txt").stdout == ""
    assert Path("diff.txt").read_text() == text.stdout
    for severity, code in (("low", 1), ("medium", 1), ("high", 0)):
        assert run("diff", "old/audit", "new/audit", "--fail-on", severity).exit_code == code
    assert run("diff", "new/audit", "old/audit", "--fail-on", "info").exit_code == 0
    assert run("diff", "old/audit", "nothing").exit_code == 3
    assert "0 new" not in run("diff", "old/audit", "new/audit", "--min-severity", "high").stdout
    assert "none in either audit" in run("diff", "old/audit", "new/audit", "--min-severity", "critical").stdout


def test_risks_are_never_subtracted() -> None:
    rows = ["a b c"] * 3
    told, _ = compared(
        (rows, [found("exact", ["a b c"], risk=0.31)]), ([*rows, *rows], [found("exact", ["a b c"], risk=0.47)])
    )
    for format_ in ("terminal", "md"):
        page = render_changes(summary(told), format_, 100)
        assert "0.31 in OLD, 0.47 in NEW" in page
        assert "0.16" not in page
        assert "a difference of two means nothing" in page


def test_differing_scans_are_told() -> None:
    old, new = (audit_of(Path(f"{name}/audit"), ["a b c"] * 3, []) for name in ("old", "new"))
    new.manifest["config"] = {**new.manifest["config"], "min_support": 9}
    new.manifest["tool"] = "9.9"
    notes = diff(old, new).notes
    assert "The scans differ in min_support: 3 in OLD, 9 in NEW." in notes
    assert any("different versions" in note for note in notes)


def test_a_scan_against_a_baseline() -> None:
    """A gate for a dataset: what was there may stay, what comes may not."""
    known = ["red oak side table with two drawers"] * 40
    pl.DataFrame({"caption": [*known, "a heron at dusk"]}).write_csv("one.csv")
    assert run("scan", "one.csv", "-o", "one", "--fail-on", "low").exit_code == 1
    pl.DataFrame({"caption": [*known, "a heron at dusk", "a crane at dawn"]}).write_csv("two.csv")
    plain = run("scan", "two.csv", "-o", "two", "--fail-on", "low")
    assert plain.exit_code == 1
    gated = run("scan", "two.csv", "-o", "two", "--fail-on", "low", "--baseline", "one")
    assert gated.exit_code == 0, gated.stderr
    assert gated.stdout.startswith(plain.stdout)
    assert "memaudit diff" in gated.stdout.removeprefix(plain.stdout)
    assert "memaudit diff one two" in gated.stderr
    pl.DataFrame({"caption": [*known, *known, *["blue phone case by lampwick"] * 30]}).write_csv("three.csv")
    gated = run("scan", "three.csv", "-o", "three", "--fail-on", "low", "--baseline", "one")
    assert gated.exit_code == 1
    assert "2 findings are new or worse since one, low or above" in gated.stderr


def test_the_commands_of_the_page_run() -> None:
    diffed, scanned = commands((ROOT / "docs" / "diff.md").read_text(encoding="utf-8"))
    for name, n in (("may", 20), ("june", 40)):
        Path(name).mkdir()
        pl.DataFrame({"caption": ["Shaw Floors Solidify III 15' Pewter 00701_5E267"] * n}).write_csv(f"{name}/a.csv")
    assert run("scan", "may", "-o", "audit-may").exit_code == 0
    assert run(*shlex.split(scanned)[1:]).exit_code == 1
    told = run(*shlex.split(diffed)[1:])
    assert (told.exit_code, "20 → 40 rows" in told.stdout) == (0, True)


def test_a_baseline_is_opened_before_the_work() -> None:
    pl.DataFrame({"caption": ["a heron at dusk"]}).write_csv("one.csv")
    missing = run("scan", "one.csv", "-o", "one", "--baseline", "nothing")
    assert (missing.exit_code, Path("one").exists()) == (3, False)
    assert run("scan", "one.csv", "-o", "one").exit_code == 0
    itself = run("scan", "one.csv", "-o", "one", "--fresh", "--baseline", "./one")
    assert itself.exit_code == 2
    assert "the baseline is the folder that the scan writes" in itself.stderr
