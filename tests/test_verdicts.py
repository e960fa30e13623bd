"""Which verdict counts, what proves a finding, and what that makes of its severity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memaudit.errors import UsageError
from memaudit.report.summary import finding
from memaudit.schemas import FRAMES, RELATIONS, VERDICT_NAMES, conform
from memaudit.verdicts import CHOICES, RAISED, WORST_FIRST, chosen, confirms, judged, of_findings, raised, worst_first
from tests.report.synthetic import TOTALS, captions, clusters, write_audit
from tests.report.verified import sampled, verdict, verify

if TYPE_CHECKING:
    from pathlib import Path

F = "3f9a21c07d5e4b18"


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    return conform("verdicts", pl.DataFrame(list(rows), schema=dict(FRAMES["verdicts"]), strict=False))


def proven(**more: Any) -> bool:
    row = sampled(F, more.pop("name", "verbatim"), 8, 16, 0.25, 0.75, **more)
    return bool(frame(row).select(confirms()).item())


def test_every_verdict_has_a_rank() -> None:
    assert sorted(WORST_FIRST) == sorted(VERDICT_NAMES)
    assert ("replicated", *VERDICT_NAMES) == CHOICES


@pytest.mark.parametrize(("name", "wanted"), [(n, n in ("verbatim", "template")) for n in VERDICT_NAMES])
def test_only_copies_confirm(name: str, wanted: bool) -> None:
    assert proven(name=name) is wanted


@pytest.mark.parametrize(("relation", "wanted"), [("trained", True), ("finetuned", True), ("unrelated", False)])
def test_a_model_that_never_saw_the_data_confirms_nothing(relation: str, wanted: bool) -> None:
    assert set(RELATIONS) == {"trained", "finetuned", "unrelated"}
    assert proven(relation=relation) is wanted


@pytest.mark.parametrize(
    ("reference", "wanted"),
    [(None, True), (float("nan"), True), (0.0, True), (0.24, True), (0.25, False), (0.5, False), (1.0, False)],
)
def test_a_reference_model_that_copies_as_often_explains_it(reference: float | None, wanted: bool) -> None:
    assert proven(reference_rate=reference) is wanted


def test_a_reference_model_without_copies_explains_nothing_even_at_a_lower_end_of_zero() -> None:
    row = sampled(F, "template", 1, 16, 0.0, 0.3, reference_rate=0.0)
    assert frame(row).select(confirms()).item()


def test_the_worst_verdict_over_models_counts_then_the_higher_rate() -> None:
    rows = [verdict(F, name, model=f"m-{name}") for name in reversed(WORST_FIRST)]
    rows += [sampled(F, "verbatim", 3, 4, 0.3, 0.9, model="b"), verdict("other", "not_run")]
    found = of_findings(frame(*rows)).rows_by_key("fingerprint", named=True, unique=True, include_key=False)
    assert found[F] == {"verdict": "verbatim", "rate": 0.75, "low": pytest.approx(0.3), "high": pytest.approx(0.9)}
    assert found["other"] == {"verdict": "not_run", "rate": None, "low": 0.0, "high": 1.0}
    order = worst_first(frame(*rows)).filter(fingerprint=F)["verdict"].cast(pl.String).to_list()
    assert order == ["verbatim", *WORST_FIRST]


rows_of_any_kind = st.lists(
    st.builds(
        lambda f, name, model, hits, relation, reference: sampled(
            f, name, hits, 8, hits / 16, 1.0, model=model, relation=relation, reference_rate=reference
        ),
        st.sampled_from(["a", "b", "c"]), st.sampled_from(VERDICT_NAMES), st.sampled_from(["m", "n"]),
        st.integers(0, 8), st.sampled_from(RELATIONS), st.none() | st.sampled_from([0.0, 0.5, 1.0]),
    ),
    max_size=6, unique_by=lambda row: (row["fingerprint"], row["model"]),
)  # fmt: skip


@given(rows_of_any_kind)
def test_severities_only_rise_to_critical_and_only_where_something_is_confirmed(rows: list[dict[str, Any]]) -> None:
    severities = FRAMES["findings"]["severity"]
    findings = pl.DataFrame({"fingerprint": ["a", "b", "c"], "severity": ["info", "high", "critical"]})
    findings = findings.with_columns(pl.col("severity").cast(severities))
    after = raised(findings, frame(*rows))
    assert after.schema == findings.schema and after["fingerprint"].to_list() == ["a", "b", "c"]
    for name, old, new in zip("abc", findings["severity"], after["severity"], strict=True):
        own = [r for r in rows if r["fingerprint"] == name and r["verdict"] in ("verbatim", "template")]
        own = [r for r in own if r["relation"] != "unrelated"]
        own = [r for r in own if not r["reference_rate"] or r["reference_rate"] < r["low"]]
        assert new == (RAISED if own else old)


def test_the_stored_severity_stays(tmp_path: Path) -> None:
    audit = verify(write_audit(tmp_path / "audit", captions(), clusters(), TOTALS))
    before = audit.path("findings").read_bytes()
    now = judged(audit)
    assert dict(now.findings.select("cluster_id", "severity").iter_rows()) == {
        0: "critical", 1: "medium", 2: "info", 3: "low", 4: "low",
    }  # fmt: skip
    assert now.now.findings["severity"][0] == "high" == audit.frame("findings")["severity"][0]
    assert audit.path("findings").read_bytes() == before
    told = finding(audit, 0)
    assert (told["severity"], told["severity_by_text"]) == ("critical", "high")


def test_verdicts_of_no_finding_are_counted(tmp_path: Path) -> None:
    audit = write_audit(tmp_path / "audit", captions(), clusters(), TOTALS)
    rows = [verdict("f" * 16, "not_run", model=m) for m in "ab"] + [verdict(F, "not_run")]
    assert judged(verify(audit, rows)).unmatched == 1


def test_what_a_filter_means() -> None:
    known = frame(verdict(F, "screened"))
    assert chosen((), "audit", known) == frozenset() == chosen((), "audit", known.clear())
    assert chosen(("replicated", "screened"), "audit", known) == {"verbatim", "template", "screened"}
    with pytest.raises(UsageError, match="no verdicts") as raised_:
        chosen(("replicated",), "audit", known.clear())
    assert raised_.value.hint == "memaudit verify audit --model MODEL" and len(raised_.value.lines()) == 3
    with pytest.raises(UsageError, match="unknown verdict 'copied'"):
        chosen(("copied",), "audit", known)
