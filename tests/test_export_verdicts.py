"""Exports that choose by verdict."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memaudit.errors import UsageError
from memaudit.export import TOLD, VIEWS, export
from memaudit.schemas import SEVERITIES, VERDICT_NAMES
from memaudit.verdicts import CHOICES, of_findings
from tests.report.verified import sampled, verdict, verify
from tests.test_export import Case, Cluster, build, cases, exported

if TYPE_CHECKING:
    from memaudit.store import Audit

KEY = ["file", "row", "cluster_id"]
OF = {name: {name} for name in VERDICT_NAMES} | {"replicated": {"verbatim", "template"}}


def with_verdicts(audit: Audit, names: dict[int, str]) -> Audit:
    rows = [sampled(f"{c:016x}", name, 4, 8, 0.2, 0.8, relation="trained") for c, name in names.items()]
    return verify(audit, rows or [verdict("f" * 16, "not_run")], pictures=[])


@given(cases(), st.data(), st.sampled_from([None, *SEVERITIES]))
@settings(max_examples=25, deadline=None)
def test_a_filter_lists_a_part_of_what_is_listed_without_it(case: Case, data: st.DataObject, least: str | None) -> None:
    some = st.dictionaries(st.integers(0, len(case.clusters)), st.sampled_from(VERDICT_NAMES))
    names, asked = data.draw(some), data.draw(st.lists(st.sampled_from(CHOICES), min_size=1, max_size=2))
    wanted = set().union(*(OF[name] for name in asked))
    with tempfile.TemporaryDirectory() as folder:
        audit = with_verdicts(build(Path(folder), case), names)
        whole = exported(audit, "members", min_severity=least or "info")
        part = exported(audit, "members", min_severity=least, verdicts=asked)
        rows = exported(audit, "rows", min_severity=least, verdicts=asked)
        every = {view: exported(audit, view, min_severity=least or "info") for view in ("clusters", "patterns")}
        few = {view: exported(audit, view, min_severity=least, verdicts=asked) for view in ("clusters", "patterns")}
    mine = whole.filter(pl.col("verdict").is_in(wanted))
    assert part.select(*KEY, "verdict", "severity").equals(mine.select(*KEY, "verdict", "severity"))
    assert set(rows.select(KEY).iter_rows()) <= set(mine.select(KEY).iter_rows())
    assert set(rows.select(KEY).iter_rows()) == set(part.filter(action="drop").select(KEY).iter_rows())
    told = {(c, names.get(c)) for c in whole["cluster_id"]}
    assert set(whole.select("cluster_id", "verdict").iter_rows()) == told
    assert few["clusters"].equals(every["clusters"].filter(pl.col("verdict").is_in(wanted)))
    chosen = few["clusters"]["fingerprint"].implode()
    assert few["patterns"].equals(every["patterns"].filter(pl.col("fingerprint").is_in(chosen)))


def case() -> Case:
    clusters = [
        Cluster("exact", [0], "low", 0.2, False), Cluster("exact", [1], "high", 0.6, False),
        Cluster("exact", [2], "info", 0.1, True),
    ]  # fmt: skip
    return Case([[], [(f"id{i}", [i % 3]) for i in range(9)]], ["red oak", "red elm", "elm"], clusters)


def test_a_named_verdict_replaces_the_severity_unless_both_are_named(tmp_path: Path) -> None:
    audit = with_verdicts(build(tmp_path, case()), {0: "not_replicated", 1: "screened"})
    assert set(exported(audit, "rows", verdicts=["not_replicated"])["cluster_id"]) == {0}
    assert exported(audit, "rows", verdicts=["not_replicated"], min_severity="medium").is_empty()
    members = exported(audit, "members", verdicts=["not_replicated"])
    assert members["action"].to_list() == ["keep", "drop", "drop"]
    assert exported(audit, "members")["verdict"].unique().sort().to_list() == [None, "not_replicated", "screened"]


def test_a_copy_raises_a_finding_into_the_default_blocklist(tmp_path: Path) -> None:
    audit = with_verdicts(build(tmp_path, case()), {0: "verbatim", 2: "template"})
    rows = exported(audit, "rows")
    assert dict(rows.select("cluster_id", "severity").iter_rows()) == {0: "critical", 1: "high"}
    assert dict(rows.select("cluster_id", "verdict").iter_rows()) == {0: "verbatim", 1: None}
    assert set(exported(audit, "rows", verdicts=["replicated"])["cluster_id"]) == {0}  # 2 is suppressed
    assert set(exported(audit, "members", verdicts=["replicated"])["cluster_id"]) == {0, 2}


def test_clusters_end_with_the_verdict(tmp_path: Path) -> None:
    audit = with_verdicts(build(tmp_path, case()), {0: "verbatim"})
    verify(audit, [*audit.frame("verdicts").to_dicts(), verdict(f"{1:016x}", "not_run", why="no time")], pictures=[])
    for format_ in ("parquet", "csv", "json"):
        export(audit, "clusters", format_, tmp_path / f"o.{format_}")
    found = pl.read_parquet(tmp_path / "o.parquet").sort("cluster_id")
    assert found.columns[-4:] == list(TOLD)
    assert found.select(TOLD).rows()[0] == ("verbatim", 0.5, pytest.approx(0.2), pytest.approx(0.8))
    assert found.select(TOLD).rows()[1:] == [("not_run", None, 0.0, 1.0), (None, None, None, None)]
    assert of_findings(audit.frame("verdicts")).height == 2
    assert "NaN" not in (tmp_path / "o.csv").read_text() + (tmp_path / "o.json").read_text()


@pytest.mark.parametrize("view", VIEWS)
def test_without_verdicts_a_filter_is_refused_and_nothing_is_written(tmp_path: Path, view: str) -> None:
    audit, out = build(tmp_path, case()), tmp_path / "out.csv"
    with pytest.raises(UsageError) as caught:
        export(audit, view, "csv", out, verdicts=["replicated"])
    assert not out.exists() and caught.value.exit_code == 2
    assert caught.value.hint.startswith("memaudit verify ")
    with pytest.raises(UsageError, match="unknown verdict"):
        export(with_verdicts(audit, {}), view, "csv", out, verdicts=["safe"])
