"""Verdicts in reports: the sentences, what each format shows, and texts that try to break out."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from rich.cells import cell_len

from memaudit.report import next_commands, render_cluster, render_report
from memaudit.report.machine import to_json
from memaudit.report.summary import PICTURES, finding, summary
from memaudit.report.verdict_words import costs, heaviest, says, shades, signals
from memaudit.report.verification import CAVEAT
from memaudit.schemas import VERDICT_NAMES
from tests.report.synthetic import TOTALS, Cluster, captions, clusters, write_audit
from tests.report.test_formats import HOSTILE, check_golden, check_inert
from tests.report.verified import RUN, sampled, samples, verdict, verdicts, verify

if TYPE_CHECKING:
    from pathlib import Path

    from memaudit.store import Audit

F = "3f9a21c07d5e4b18"
CONTROLS = {"controls": {"sampled": 72, "hits": 0}}


def told(row: dict[str, Any], run: dict[str, Any] | None = None) -> str:
    numbers = {k: None if v != v else v for k, v in row.items()}
    known = {k: v for k, v in row["signals"].items() if v is not None}
    return says({**numbers, "signals": known, "explained_by_reference": row["reference_rate"] == 1.0}, run)


@pytest.mark.parametrize(
    ("row", "run", "said"),
    [
        (sampled(F, "verbatim", 4, 4, 0.33, 1.0), CONTROLS,
         "verbatim: 4 of 4 samples copy (33 to 100 %), controls 0 of 72"),
        (sampled(F, "template", 1, 1, 0.05, 1.0, control_rate=0.02), None,
         "template: 1 of 1 sample copies (5 to 100 %), controls 2 %"),
        (sampled(F, "template", 9, 16, 0.31, 0.78, reference_rate=0.0), CONTROLS,
         "template: 9 of 16 samples copy (31 to 78 %), controls 0 of 72, reference model 0 %"),
        (sampled(F, "verbatim", 4, 4, 0.33, 1.0, reference_rate=1.0), CONTROLS,
         "verbatim: 4 of 4 samples copy (33 to 100 %), controls 0 of 72, reference model 100 %, "
         "which explains it: it copies about as often"),
        (sampled(F, "verbatim", 4, 4, 0.33, 1.0, relation="unrelated"), CONTROLS,
         "verbatim: 4 of 4 samples copy (33 to 100 %), controls 0 of 72, but the model has not seen this data"),
        (sampled(F, "not_replicated", 0, 16, 0.0, 0.18), None,
         "not replicated: at most 18 % at 16 seeds, controls 0 %"),
        (sampled(F, "not_replicated", 1, 16, 0.0, 0.3), CONTROLS,
         "not replicated: at most 30 % at 16 seeds, 1 copies, controls 0 of 72"),
        (verdict(F, "screened", signals={"magnitude_rank": 0.1}), None,
         "screened: magnitude below 90 % of controls; not sampled"),
        (verdict(F, "screened", signals={"magnitude_rank": 0.0004}), None,
         "screened: magnitude below 99.9 % of controls; not sampled"),
        (verdict(F, "screened"), None, "screened: not sampled"),
        (verdict(F, "not_run", why="the model has not seen this data"), None,
         "not run: the model has not seen this data"),
        (verdict(F, "error", why="out of memory at batch 1"), None, "error: out of memory at batch 1"),
        (verdict(F, "error"), None, "error: no reason was noted"),
    ],
)  # fmt: skip
def test_a_verdict_in_a_sentence(row: dict[str, Any], run: dict[str, Any] | None, said: str) -> None:
    assert told(row, run) == said


def test_signals_and_words() -> None:
    row: dict[str, Any] = {"signals": {"magnitude_rank": 0.999, "distance": 0.19}, "e_value": 2.5e7}
    near = "0.19 from the nearest picture of the cluster (median)"
    assert signals(row) == ["magnitude above 99.9 % of controls", near, "e-value 2e07"]
    assert signals({"signals": {"magnitude": 1.5}, "e_value": 1.25}) == ["magnitude 1.50", "e-value 1.2"]
    words = {"word_weights": [{"word": w, "weight": x} for w, x in (("a", 1.0), ("b", 3.0), ("c", None), ("d", 0.0))]}
    assert shades(words) == [("a", 1 / 3), ("b", 1.0), ("c", 0.0), ("d", 0.0)]
    assert heaviest(words) == [("b", "75 %"), ("a", "25 %")]
    assert shades({"word_weights": []}) == [] == heaviest({"word_weights": [{"word": "x", "weight": 0.0}]})


def test_what_missing_pictures_cost() -> None:
    assert costs({"kind": "folder", "found": 3, "missing": 0}) == []
    assert costs({"kind": "folder", "found": 3, "missing": 1})[0].startswith("1 training picture missing")
    assert "cannot be told apart" in costs({"kind": "none", "found": 0, "missing": 9})[0]


def test_the_summary_of_a_verified_audit(verified_audit: Audit) -> None:
    report = summary(verified_audit)
    assert report["version"] == 1
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    counts = report["counts"]
    assert counts["by_severity"] == {"critical": 1, "high": 0, "medium": 1, "low": 1, "info": 1}
    assert counts["by_verdict"] == {
        "verbatim": 1, "template": 1, "not_replicated": 1, "screened": 1, "error": 0, "not_run": 0, "unverified": 0,
    }  # fmt: skip
    (run,) = report["verification"]
    assert run["counts"] == dict.fromkeys(VERDICT_NAMES, 0) | dict.fromkeys(VERDICT_NAMES[:4], 1)
    assert (run["times_fewer"], run["screen"]["miss_rate"]) == (38.0, 0.0)
    assert run["notes"][-1] == CAVEAT and CAVEAT in report["notes"]
    assert [e["cluster_id"] for e in report["findings"]] == [0, 1, 2, 4]  # by risk, as ever
    assert [e["verdict"] for e in report["findings"]] == ["template", "verbatim", "not_replicated", None]
    assert [e["replicated"] for e in report["findings"]] == [True, True, False, False]
    first = report["findings"][0]["verdicts"][0]
    assert first["confirms"] and first["reference_rate"] == 0.0 and first["signals"]["magnitude_rank"] == 0.999
    assert not report["findings"][1]["verdicts"][0]["confirms"]
    assert report["findings"][1]["verdicts"][0]["explained_by_reference"]


def test_replicated_findings_by_rate_whatever_their_family_suppressed_ones_last(here: Path) -> None:
    rows = [
        sampled(F, "template", 1, 4, 0.1, 0.6),
        sampled("5500000000000001", "verbatim", 2, 4, 0.2, 0.9),  # no head of its family
        sampled("77aa000000000002", "verbatim", 4, 4, 0.3, 1.0),  # suppressed
        sampled("a07700000000beef", "not_replicated", 3, 4, 0.0, 0.9),
        verdict("f" * 16, "not_run"),
    ]
    audit = verify(write_audit(here / "audit", captions(), clusters(), TOTALS), rows)
    report = summary(audit)
    assert [(e["cluster_id"], e["suppressed"]) for e in report["replicated"]] == [(3, False), (0, False), (4, True)]
    assert len(summary(audit, top=1)["replicated"]) == 1
    assert "1 cluster with a verdict matches no finding." in report["notes"]
    assert "and 1 more\n" in render_report(audit, "terminal", 80, top=1)


def test_several_models_the_worst_first(here: Path) -> None:
    rows = [verdict(F, "not_run", model="late", why="no time"), sampled(F, "verbatim", 4, 4, 0.3, 1.0, model="pilot")]
    audit = write_audit(here / "audit", captions(), clusters(), TOTALS)
    verify(audit, rows, [RUN | {"model": "late"}, {"model": "pilot"}, "?", {}])
    report = summary(audit)
    assert [run["model"] for run in report["verification"]] == ["late", "pilot"]
    assert [v["model"] for v in report["findings"][0]["verdicts"]] == ["pilot", "late"]
    assert report["verification"][1]["controls"] == dict.fromkeys(("screened", "sampled", "hits", "rate", "high"))
    text = render_report(audit, "terminal", 100)
    assert "    pilot: verbatim: 4 of 4 samples copy" in text and "    late: not run: no time" in text
    assert "`pilot` **verbatim**: 4 of 4" in render_report(audit, "md")


def test_an_audit_that_nobody_verified_says_so_nowhere(audit: Audit) -> None:
    report = summary(audit)
    assert report["verification"] == [] == report["replicated"] and CAVEAT not in report["notes"]
    assert "verified" not in render_report(audit, "terminal", 80) + render_report(audit, "md")
    assert "memaudit verify audit --model MODEL\n" in next_commands(audit) + "\n"


def test_where_a_model_was_asked_silence_is_named(verified_audit: Audit) -> None:
    assert "not verified" in render_report(verified_audit, "terminal", 80)
    assert "| not verified |" in render_report(verified_audit, "md")


def test_a_model_is_not_named_for_what_is_not_worth_it(here: Path) -> None:
    found = clusters()
    found[0].severity, found[1].severity, found[4].severity = "low", "info", "high"  # the last is suppressed
    assert "verify" not in next_commands(write_audit(here / "audit", captions(), found, TOTALS))


def test_what_to_type_after_verify(verified_audit: Audit) -> None:
    assert next_commands(verified_audit).split("\n") == [
        "next  memaudit show audit a0770000",
        "      memaudit report audit -f md -o report.md",
        "      memaudit export audit --view rows --verdict replicated -o blocklist.csv",
    ]
    verify(verified_audit, [verdict(F, "not_run", why="no time")])
    assert "--verdict" not in next_commands(verified_audit) and "verify" not in next_commands(verified_audit)


def test_pictures_of_a_finding(verified_audit: Audit) -> None:
    found = finding(verified_audit, 0)["samples"]
    assert found["total"] == 12 and len(found["shown"]) == PICTURES
    assert [s["copied"] for s in found["shown"]] == ["template"] * 6 + ["none"] * 4
    assert list(found["shown"][0]) == [
        "model", "prompt_kind", "prompt", "seed", "path", "copied", "distance", "nearest_image",
    ]  # fmt: skip
    assert [len(finding(verified_audit, 0, n)["samples"]["shown"]) for n in (0, 5, 11, 50)] == [0, 10, 11, 12]
    assert finding(verified_audit, 1)["samples"] == {"total": 0, "shown": []}


@pytest.mark.parametrize("width", [80, 100, 160])
def test_golden_verified_report(verified_audit: Audit, width: int) -> None:
    check_golden(f"verified-{width}.txt", render_report(verified_audit, "terminal", width))


def test_golden_verified_cluster_colour_and_markdown(verified_audit: Audit) -> None:
    check_golden("verified-cluster-0-80.txt", render_cluster(verified_audit, 0, 80))
    check_golden("verified-cluster-0-80.ansi", render_cluster(verified_audit, 0, 80, color=True))
    check_golden("verified-80.ansi", render_report(verified_audit, "terminal", 80, color=True))
    check_golden("verified.md", render_report(verified_audit, "md"))


def test_colour_changes_nothing_but_colour(verified_audit: Audit) -> None:
    for render in (
        lambda color: render_report(verified_audit, "terminal", 80, color),
        lambda color: render_cluster(verified_audit, 0, 80, color),
    ):
        coloured = re.sub(r"\x1b\[[\d;]*m", "", render(True))
        assert [line.rstrip() for line in coloured.split("\n")] == render(False).split("\n")


@pytest.mark.parametrize("width", [1, 40, 57, 80, 100, 139, 140, 500])
def test_no_line_is_wider_than_the_terminal(verified_audit: Audit, width: int) -> None:
    cells = min(max(width, 40), 180)
    for text in (render_report(verified_audit, "terminal", width), render_cluster(verified_audit, 0, width)):
        assert [line for line in text.split("\n") if cell_len(line) > cells] == []


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_models_reasons_and_prompts_stay_text(here: Path, name: str) -> None:
    evil = HOSTILE[name]
    found = [Cluster("exact", [evil], "high", 0.5, F), Cluster("exact", [evil + " 2"], "low", 0.4, "00000000000000bb")]
    audit = write_audit(here / "audit", [evil, evil, evil + " 2"], found, {})
    weights = [{"word": evil, "weight": 1.0}, {"word": "plain", "weight": 0.1}]
    rows = [
        sampled(F, "verbatim", 4, 4, 0.3, 1.0, model=evil, nearest_image=evil, why=evil, word_weights=weights),
        verdict("00000000000000bb", "not_run", model=evil, why=evil),
        verdict("00000000000000bb", "error", model=evil + "2", why=evil),
    ]
    run = RUN | dict.fromkeys(("model", "reference_model", "device", "dtype", "relation"), evil) | {"notes": [evil]}
    pictures = [
        {**row, **dict.fromkeys(("prompt", "path", "copied", "nearest_image", "model"), evil)} for row in samples()
    ]
    verify(audit, rows, [run, run | {"model": evil + "2"}], pictures)
    assert json.loads(render_report(audit, "json")) == summary(audit)
    for width in (40, 80, 160):
        for text in (render_report(audit, "terminal", width), *(render_cluster(audit, k, width) for k in (0, 1))):
            check_inert(text)
            assert all(cell_len(line) <= width for line in text.split("\n"))
            assert len(text) < 60_000
    page = render_report(audit, "md")
    check_inert(page)
    outside = re.sub(r"`[^`]*`", "", page)
    assert "<script" not in outside and "<img" not in outside and "@octocat" not in outside
    assert all(line.count("|") == 13 for line in page.split("\n") if re.match(r"\| \d+ \| (high|low|critical)", line))
    check_inert(to_json(finding(audit, 0)))


def test_a_finding_with_everything_unknown(here: Path) -> None:
    audit = write_audit(here / "audit", captions(), clusters(), TOTALS)
    bare = verdicts()[1] | {"rate": float("nan"), "reference_rate": None, "control_rate": float("nan")}
    verify(audit, [bare], [{"model": "runs/pilot"}], [])
    for width in (80, 160):
        text = render_report(audit, "terminal", width) + render_cluster(audit, 1, width)
        assert "nan" not in text.lower() and "None" not in text
    assert "nan" not in render_report(audit, "md").lower()
