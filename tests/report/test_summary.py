"""The plain dicts: what they hold, which finding a name means, and members read back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from memaudit.errors import BadInput, UsageError
from memaudit.report.summary import _reasons, finding, summary
from memaudit.verdicts import WORST_FIRST
from tests.report.synthetic import SHAW, SOON, captions, clusters, write_audit

if TYPE_CHECKING:
    from pathlib import Path

    from memaudit.store import Audit


def test_what_was_read_and_what_repeats(audit: Audit) -> None:
    report = summary(audit)
    assert report["version"] == 1
    assert report["inputs"] == {
        "files": 1, "bytes": (audit.folder.parent / "captions.csv").stat().st_size, "rows": 19, "skipped": 3,
        "skipped_reasons": {"null": 2, "without words": 1}, "n_bad_files": 0, "bad_files": [],
    }  # fmt: skip
    assert report["totals"] == {"captions": 16, "texts": 11, "seconds": 0.25, "captions_per_second": 64.0}
    assert report["repeats"]["exact"] == {"clusters": 1, "texts": 1, "rows": 5, "share": round(5 / 16, 6)}
    assert report["repeats"]["any"]["share"] == round(15 / 16, 6)


def test_counts_leave_suppressed_findings_apart(audit: Audit) -> None:
    counts = summary(audit)["counts"]
    assert counts == {
        "findings": 5, "families": 4, "suppressed": 1,
        "by_severity": {"critical": 0, "high": 1, "medium": 1, "low": 1, "info": 1},
        "by_kind": {"exact": 1, "near": 1, "template": 2},
        "by_verdict": dict.fromkeys(WORST_FIRST, 0) | {"unverified": 4},
    }  # fmt: skip


def test_heads_of_families_by_risk_and_suppressed_ones_last(audit: Audit) -> None:
    found = summary(audit)["findings"]
    assert [f["cluster_id"] for f in found] == [0, 1, 2, 4]
    assert [f["risk"] for f in found[:3]] == [0.634, 0.41, 0.19]
    assert found[3]["suppressed"] and found[3]["reason"] == "stock photo page furniture"
    assert len(summary(audit, top=1)["findings"]) == 1


def test_where_only_the_head_is_suppressed_another_stands_for_the_family(here: Path) -> None:
    found = clusters()
    found[0].suppressed = True
    report = summary(write_audit(here / "audit", captions(), found, {}))
    assert [f["cluster_id"] for f in report["findings"]] == [1, 3, 2, 4]
    assert [other["cluster_id"] for other in report["findings"][1]["family"]["others"]] == [0]


def test_an_entry_says_what_it_is_and_why(audit: Audit) -> None:
    entry = summary(audit)["findings"][0]
    assert entry["template"] == "^ shaw floors <*> <roman> <size> <num> <code> $"
    assert (entry["n_rows"], entry["n_texts"], entry["n_images"], entry["n_domains"]) == (5, 4, None, 1)
    assert entry["rule"]["code"] == "TE01" and entry["rule"]["title"] == "Caption template" and entry["rule"]["remedy"]
    texts = ["38 bits fixed", "71 % of each caption fixed", "4 distinct captions", "one domain"]
    assert [part["text"] for part in entry["why"]] == texts
    assert entry["slots"][0]["values"][0] == {"value": "solidify", "count": 2}
    assert entry["triggers"] == [{"words": ["shaw", "floors"], "purity": 0.98, "coverage": 1.0, "n_texts": 4}]
    others = [{"cluster_id": 3, "fingerprint": "5500000000000001", "kind": "template", "n_rows": 4, "risk": 0.3}]
    assert entry["family"] == {"head": 0, "size": 2, "others": [others[0] | {"text": "shaw floors <*> pewter"}]}


def test_what_speaks_against_a_finding_comes_last(audit: Audit) -> None:
    why = summary(audit)["findings"][1]["why"]
    assert [(part["text"], part["added"] < 0) for part in why] == [("5 rows", False), ("4 domains", True)]


def test_an_unknown_rule_is_no_obstacle(here: Path) -> None:
    found = clusters()
    found[0].rule = "ZZ99"
    report = summary(write_audit(here / "audit", captions(), found, {}))
    assert report["findings"][0]["rule"]["code"] == "ZZ99"


def test_a_manifest_without_totals(here: Path) -> None:
    report = summary(write_audit(here / "audit", captions(), clusters(), {}, "2 null, 1 without words"))
    assert report["totals"] == {"captions": None, "texts": 11, "seconds": 0.25, "captions_per_second": None}
    assert report["inputs"]["skipped_reasons"] == {"null": 2, "without words": 1}
    assert report["repeats"]["exact"] == {"clusters": None, "texts": None, "rows": None, "share": None}


def test_an_audit_without_findings(empty_audit: Audit) -> None:
    report = summary(empty_audit)
    assert report["findings"] == [] and report["next"] == []
    assert report["counts"]["families"] == 0
    assert "not the same as safe" in " ".join(report["notes"])


def test_a_damaged_frame_is_bad_input(audit: Audit) -> None:
    audit.path("templates").write_bytes(b"PAR1 no longer")
    with pytest.raises(BadInput, match=r"templates\.parquet"):
        summary(audit)


@pytest.mark.parametrize(
    ("text", "skipped", "counted", "error"),
    [
        ("2 null, 1 without words", 3, {"null": 2, "without words": 1}, ""),
        ("1,200 null", 1200, {"null": 1200}, ""),
        ("2 null, cannot read x.csv; 3 bad, 4 worse", 2, {"null": 2}, "cannot read x.csv; 3 bad, 4 worse"),
        ("3 columns found, 4 wanted", 0, {}, "3 columns found, 4 wanted"),
        ("cannot read x.csv", 0, {}, "cannot read x.csv"),
    ],
)
def test_reasons_of_a_file(text: str, skipped: int, counted: dict[str, int], error: str) -> None:
    assert _reasons(text, skipped) == (counted, error)


# Which cluster


@pytest.mark.parametrize("name", [0, "0", "3f9a21c07d5e4b18", "3F9A21", "3f9a", " 3f9a21c0 "])
def test_a_cluster_by_number_fingerprint_and_prefix(audit: Audit, name: int | str) -> None:
    assert finding(audit, name)["cluster_id"] == 0


def test_a_prefix_of_several_is_refused_with_their_fingerprints(audit: Audit) -> None:
    with pytest.raises(UsageError) as caught:
        finding(audit, "a077")
    assert "a07700000000beef" in caught.value.why and "a0771234567890ab" in caught.value.why


def test_an_unknown_name_is_refused_with_what_comes_near(audit: Audit) -> None:
    with pytest.raises(UsageError) as caught:
        finding(audit, "3f9aff")
    assert caught.value.what == "no finding is called '3f9aff'"
    assert "3f9a21c07d5e4b18" in caught.value.why
    assert caught.value.hint == "memaudit report audit"


@pytest.mark.parametrize("name", ["", "zzz", "\x1b[31mx", "99", "9" * 400, "²", "-1"])
def test_odd_names_are_refused_and_never_echoed_raw(audit: Audit, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        finding(audit, name)
    assert "\x1b" not in " ".join(caught.value.lines()) and len(caught.value.what) < 100


def test_any_name_where_there_are_no_findings(empty_audit: Audit) -> None:
    with pytest.raises(UsageError) as caught:
        finding(empty_audit, "0")
    assert caught.value.why == "this audit has no findings"


def test_the_short_name_is_unique_and_leads_back(here: Path) -> None:
    found = clusters()
    found[1].fingerprint, found[2].fingerprint = "a077000000000001", "a077000000000002"
    audit = write_audit(here / "audit", captions(), found, {})
    shorts = {entry["cluster_id"]: entry["short"] for entry in summary(audit)["findings"]}
    assert shorts == {0: "3f9a21c0", 1: "a077000000000001", 2: "a077000000000002", 4: "77aa0000"}
    assert all(finding(audit, short)["cluster_id"] == cluster for cluster, short in shorts.items())


# Members


def test_members_of_a_template_are_its_captions(audit: Audit) -> None:
    found = finding(audit, 0)["members"]
    assert (found["unit"], found["total"], found["notes"]) == ("caption", 4, [])
    assert [m["caption"] for m in found["shown"]] == SHAW
    expected = {
        "path": "captions.csv",
        "row": 5,
        "id": "id-5",
        "caption": SHAW[0],
        "image": "https://shop.example/5.jpg",
    }
    assert found["shown"][0] == {**expected, "similarity": 1.0, "n_rows": 2}


def test_members_of_an_exact_cluster_are_its_rows(audit: Audit) -> None:
    found = finding(audit, 1, most_members=3)["members"]
    assert (found["unit"], found["total"]) == ("row", 5)
    assert [(m["row"], m["id"], m["caption"]) for m in found["shown"]] == [(i, f"id-{i}", SOON) for i in range(3)]


def _changed(audit: Audit) -> None:
    path = audit.folder.parent / "captions.csv"
    path.write_text(path.read_text().replace("Pewter", "Copper"))


def _gone(audit: Audit) -> None:
    (audit.folder.parent / "captions.csv").unlink()


@pytest.mark.parametrize(
    ("damage", "said"), [(_changed, "changed since the scan"), (_gone, "cannot read captions.csv")]
)
def test_an_original_that_moved_or_changed_is_a_note(audit: Audit, damage: Any, said: str) -> None:
    damage(audit)
    found = finding(audit, 0)["members"]
    assert [m["caption"] for m in found["shown"]] == [None] * 4
    assert len(found["notes"]) == 1 and said in found["notes"][0]
    assert [m["row"] for m in found["shown"]] == [5, 6, 7, 8]


def test_both_dicts_are_json(audit: Audit) -> None:
    for report in (summary(audit), finding(audit, 0)):
        assert json.loads(json.dumps(report, allow_nan=False)) == report
