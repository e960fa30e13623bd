"""Exports of small audits that are made here, held to what a blocklist promises."""

from __future__ import annotations

import io
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memaudit import store
from memaudit.errors import UsageError
from memaudit.export import LINES, PATTERNS, TOLD, VIEWS, Exported, export
from memaudit.schemas import FEATURES, FINDINGS, KINDS, SEVERITIES
from memaudit.sources import Source
from memaudit.writers import guarded
from tests.hearing import Heard

WORDS = ("red", "oak", "lamp", "café", "東京", "iphone", "=case", "-sale", "x" * 3, 'say "hi"', "a,b", "two\nlines")
CONFIG = {"columns": ["caption", "alt"]}


class Cluster(NamedTuple):
    kind: str
    texts: list[int]
    severity: str | None  # None: a cluster without a finding
    risk: float
    suppressed: bool


class Case(NamedTuple):
    """rows[file]: (id, texts by caption column) of each record; file 0 is a parquet, file 1 a CSV."""

    rows: list[list[tuple[str | None, list[int | None]]]]
    captions: list[str]
    clusters: list[Cluster]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    n = draw(st.integers(1, 6))
    captions = [f"{draw(st.sampled_from(WORDS))} no {i}" for i in range(n)]
    text = st.integers(0, n - 1)
    ids = st.none() | st.sampled_from(["a", "b", "=c"]) | st.uuids().map(str)
    two = st.tuples(ids, st.lists(st.none() | text, min_size=2, max_size=2))
    one = st.tuples(ids, st.lists(text, min_size=1, max_size=1))
    rows = [draw(st.lists(two, max_size=10)), draw(st.lists(one, min_size=1, max_size=10))]
    used = Counter(t for file in rows for _, texts in file for t in texts if t is not None)
    groups = [("exact", [t]) for t in sorted(used) if used[t] > 1]
    shuffled = draw(st.permutations(sorted(used)))
    cut = draw(st.integers(0, len(shuffled)))
    groups += [("near", sorted(part)) for part in (shuffled[:cut], shuffled[cut:]) if len(part) > 1]
    subsets = st.lists(st.sampled_from(sorted(used)), min_size=1, unique=True).map(sorted)
    groups += [("template", group) for group in draw(st.lists(subsets, max_size=3))]
    severity = st.none() | st.sampled_from(SEVERITIES)
    risk = st.floats(0, 1, width=32)
    clusters = [Cluster(kind, texts, draw(severity), draw(risk), draw(st.booleans())) for kind, texts in groups]
    return Case(rows, captions, clusters)


def build(folder: Path, case: Case) -> store.Audit:
    """The files of a case, and the audit that a scan of them would leave."""
    paths = [folder / "one.parquet", folder / "two.csv"]
    frames = [_records(case, file) for file in (0, 1)]
    frames[0].write_parquet(paths[0])
    frames[1].write_csv(paths[1], quote_style="always")
    sources = [Source(str(p), p.suffix[1:], p.stat().st_size) for p in paths]
    inputs = [{"path": s.path, "size": s.size, "fingerprint": s.fingerprint()} for s in sources]
    audit = store.begin(folder / "audit", CONFIG, inputs)
    for name, frame in _frames(case, sources).items():
        audit.write(name, frame)
    audit.close(time.monotonic())
    return store.open_audit(folder / "audit")


def _records(case: Case, file: int) -> pl.DataFrame:
    rows = case.rows[file]
    columns: dict[str, Any] = {"id": [i for i, _ in rows], "url": [f"https://x.example/{r}" for r in range(len(rows))]}
    for k, name in enumerate(CONFIG["columns"][: 2 - file]):
        columns[name] = [None if t[k] is None else case.captions[t[k]] for _, t in rows]
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))


def members_of(case: Case) -> list[tuple[int, int, int, int, str | None]]:
    """(file, row, column, text, id), in the order of the data."""
    return [
        (file, row, column, text, id_)
        for file, records in enumerate(case.rows)
        for row, (id_, texts) in enumerate(records)
        for column, text in enumerate(texts)
        if text is not None
    ]


def _frames(case: Case, sources: list[Source]) -> dict[str, pl.DataFrame]:
    members = members_of(case)
    first = {text: (file, row, column) for file, row, column, text, _ in reversed(members)}
    n_rows = Counter(text for _, _, _, text, _ in members)
    texts = [
        {"text_id": t, "file": first[t][0], "row": first[t][1], "column": first[t][2], "n_rows": n_rows[t]}
        for t in sorted(first)
    ]
    keys = {"key_lo": 0, "key_hi": 0, "weight": 1.0, "n_images": None, "n_words": 3}
    shuffled = sorted(members, key=lambda m: (m[0], m[2], m[1]))  # as ingest writes them: column by column
    return {
        "files": pl.DataFrame(
            {"file": [0, 1], "path": [s.path for s in sources], "size": [s.size for s in sources],
             "rows": [len(r) for r in case.rows], "skipped": [0, 0], "reason": [None, None]}
        ),
        "texts": pl.DataFrame(texts).with_columns(**{k: pl.lit(v) for k, v in keys.items()}),
        "members": pl.DataFrame(
            shuffled, schema=[*((name, pl.Int64) for name in ("file", "row", "column", "text_id")), ("id", pl.String)],
            orient="row",
        ).with_columns(image=None, domain=None),
        **_cluster_frames(case),
    }  # fmt: skip


def _cluster_frames(case: Case) -> dict[str, pl.DataFrame]:
    entries, found, templates, triggers = [], [], [], []
    for c, cluster in enumerate(case.clusters):
        entries += [{"cluster_id": c, "kind": cluster.kind, "text_id": t, "similarity": 1.0} for t in cluster.texts]
        if cluster.severity is None:
            continue
        best = cluster.texts[-1]  # any member may be the representative
        found.append(
            {"cluster_id": c, "fingerprint": f"{c:016x}", "kind": cluster.kind, "rule": "EX01", "confidence": "low",
             "severity": cluster.severity, "risk": cluster.risk, "representative": case.captions[best], "n_rows": 1,
             "n_texts": 1, "n_images": None, "n_domains": None, "features": dict.fromkeys(FEATURES, 0.25),
             "suppressed": cluster.suppressed, "reason": "known" if cluster.suppressed else None, "text_id": best,
             "family": c}
        )  # fmt: skip
        if cluster.kind == "template":
            templates.append({"cluster_id": c, "parent": None, "template": f"<*> no <num> {c} $"})
        triggers.append({"cluster_id": c, "words": ["red", "oak"], "purity": 1.0, "coverage": 0.5, "n_texts": 1})
    return {
        "clusters": pl.DataFrame(entries, schema=_names("clusters")),
        "findings": pl.DataFrame(found, schema=_names("findings")),
        "templates": pl.DataFrame(templates, schema=_names("templates")).with_columns(
            pl.col("n_slots", "support_rows", "support_texts", "slot_entropy", "fixed_share", "fixed_bits").fill_null(
                1
            ),
            pl.col("slots").fill_null(pl.lit([], dtype=store.FRAMES["templates"]["slots"])),
        ),
        "triggers": pl.DataFrame(triggers, schema=_names("triggers")),
    }


def _names(name: str) -> dict[str, Any]:
    return dict(store.FRAMES[name])


def exported(audit: store.Audit, view: str, format_: str = "parquet", **settings_: Any) -> pl.DataFrame:
    out = audit.folder.parent / f"out.{format_}"
    export(audit, view, format_, out, **settings_)
    return pl.read_parquet(out) if format_ == "parquet" else pl.read_ndjson(out, schema=LINES)


def acting(case: Case, minimum: str) -> dict[int, Cluster]:
    """Findings at or above a severity that are not suppressed."""
    least = SEVERITIES.index(minimum)
    listed = {c: cl for c, cl in enumerate(case.clusters) if cl.severity and SEVERITIES.index(cl.severity) >= least}
    return {c: cluster for c, cluster in listed.items() if not cluster.suppressed}


@given(cases(), st.sampled_from(SEVERITIES))
@settings(max_examples=60, deadline=None)
def test_an_anti_join_with_the_blocklist_keeps_one_row_of_every_cluster(case: Case, minimum: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        audit = build(Path(folder), case)
        rows = exported(audit, "rows", min_severity=minimum)
        everything = exported(audit, "members", min_severity=minimum)
    paths = {0: str(Path(folder, "one.parquet")), 1: str(Path(folder, "two.csv"))}
    dropped, ids = set(rows.select("file", "row").iter_rows()), set(rows["id"].drop_nulls())
    members = members_of(case)
    for c, cluster in enumerate(case.clusters):
        inside = [m for m in members if m[3] in cluster.texts]
        if cluster.kind != "template" or c in acting(case, minimum):
            assert any((paths[m[0]], m[1]) not in dropped for m in inside)
        if cluster.kind != "template":
            assert any(m[4] not in ids for m in inside)
    inside = {(paths[m[0]], m[1]) for cl in acting(case, minimum).values() for m in members if m[3] in cl.texts}
    assert dropped <= inside
    for cluster in acting(case, minimum).values():  # and no more rows stay than clusters ask for
        n_left = len({(paths[m[0]], m[1]) for m in members if m[3] in cluster.texts} - dropped)
        assert n_left <= 1 + sum(bool(set(o.texts) & set(cluster.texts)) for o in case.clusters) + _in_two_columns(case)
    same = everything.filter(pl.col("action") == "drop").select(pl.exclude("id"))
    assert same.equals(rows.select(pl.exclude("id")))


def _in_two_columns(case: Case) -> int:
    """Records with two captions: the other caption's clusters may keep them as well."""
    return sum(len([t for t in texts if t is not None]) > 1 for _, texts in case.rows[0])


@given(cases())
@settings(max_examples=40, deadline=None)
def test_members_lists_every_row_of_every_finding_once_per_cluster(case: Case) -> None:
    with tempfile.TemporaryDirectory() as folder:
        audit = build(Path(folder), case)
        lines = exported(audit, "members")
        as_json = exported(audit, "members", "json")
    assert lines.schema == LINES
    assert as_json.equals(lines)
    paths = [str(Path(folder, "one.parquet")), str(Path(folder, "two.csv"))]
    found = {c: cluster for c, cluster in enumerate(case.clusters) if cluster.severity}
    wanted: dict[tuple[str, int, int], tuple[str, str | None]] = {}
    for file, row, _, text, id_ in members_of(case):
        for c, cluster in found.items():
            if text in cluster.texts:
                wanted.setdefault((paths[file], row, c), (case.captions[text], id_ or None))
    got = {(r["file"], r["row"], r["cluster_id"]): r for r in lines.iter_rows(named=True)}
    assert len(got) == len(lines)
    assert {key: (r["caption"], r["id"]) for key, r in got.items()} == wanted
    for (path, row, c), line in got.items():
        of_row = [found[other].risk for p, r, other in got if (p, r) == (path, row)]
        assert line["risk"] == max(of_row)
        assert (line["kind"], line["severity"]) == (found[c].kind, found[c].severity)
        assert line["image_ref"] == f"https://x.example/{row}"
        assert (line["template"] is not None) == (found[c].kind == "template")
        assert line["verdict"] is None
        if found[c].suppressed:
            assert (line["action"], line["reason"]) == ("keep", "known")
    assert lines["file"].to_list() == sorted(lines["file"])


def test_exact_findings_keep_exactly_one_row(tmp_path: Path) -> None:
    case = Case([[], [(str(i), [i % 2]) for i in range(10)]], ["red oak", "red elm"], [
        Cluster("exact", [0], "high", 0.6, False), Cluster("exact", [1], "medium", 0.3, False),
    ])  # fmt: skip
    audit = build(tmp_path, case)
    lines = exported(audit, "members", min_severity="info")
    assert lines.filter(action="keep")["row"].to_list() == [0, 1]
    assert exported(audit, "rows")["row"].to_list() == [2, 4, 6, 8]
    # Without a severity all members are listed, and those are dropped that the default blocklist drops.
    default = exported(audit, "members")
    assert len(default) == 10
    assert default.filter(action="drop")["row"].to_list() == [2, 4, 6, 8]
    assert exported(audit, "rows", min_severity="low")["row"].to_list() == list(range(2, 10))


GUARDED = ("=1+1", "+1", "-1", "@sum", "\tx", "\rx", " =1", "'=1", '"=1"', "  '=x", "＝1", "\ufeff=1", "\n=1")
PLAIN = ("red oak", "a=b", "", " - ".strip("- "), "1-2", "'quoted'", "{=x}")


def test_cells_that_a_spreadsheet_would_run_are_guarded() -> None:
    frame = guarded(pl.DataFrame({"text": [*GUARDED, *PLAIN, None], "n": -1}))
    assert frame["text"].to_list() == [*(f"'{cell}" for cell in GUARDED), *PLAIN, None]
    assert frame["n"].unique().to_list() == [-1]


@pytest.mark.parametrize("raw", [False, True])
def test_csv_guards_captions_and_ids_unless_raw(tmp_path: Path, raw: bool) -> None:
    case = Case([[], [("=id", [0])] * 3], ['=cmd|" /C calc"!A0'], [Cluster("exact", [0], "high", 0.6, False)])
    export(build(tmp_path, case), "rows", "csv", tmp_path / "out.csv", raw=raw)
    frame = pl.read_csv(tmp_path / "out.csv", infer_schema=False)
    mark = "" if raw else "'"
    assert frame["caption"].to_list() == [f'{mark}=cmd|" /C calc"!A0'] * 2
    assert frame.columns == LINES.names()
    assert exported(store.open_audit(tmp_path / "audit"), "rows")["caption"][0] == case.captions[0]


def test_ids_of_rows_that_stay_are_left_out_of_the_blocklist(tmp_path: Path) -> None:
    case = Case(
        [[], [("same", [0]), ("same", [0]), ("own", [0])]], ["red"], [Cluster("exact", [0], "high", 1.0, False)]
    )
    audit = build(tmp_path, case)
    assert exported(audit, "rows")["id"].to_list() == [None, "own"]
    assert exported(audit, "members")["id"].to_list() == ["same", "same", "own"]


@pytest.mark.parametrize("change", ["gone", "changed"])
def test_a_lost_original_leaves_nulls_one_note_and_an_incomplete_export(tmp_path: Path, change: str) -> None:
    case = Case([[("i", [0, 1])] * 4, [("j", [1])] * 4], ["red", "oak"], [
        Cluster("exact", [t], "high", 0.5, False) for t in (0, 1)
    ])  # fmt: skip
    audit = build(tmp_path, case)
    if change == "gone":
        (tmp_path / "two.csv").unlink()
    else:
        (tmp_path / "two.csv").write_text("caption\nother\n")
    heard = Heard()
    result = export(audit, "members", "parquet", tmp_path / "out.parquet", progress=heard)
    lines = pl.read_parquet(tmp_path / "out.parquet")
    assert result == Exported(len(lines), complete=False)
    assert len(heard.notes) == 1 and "two.csv" in heard.notes[0]
    lost = pl.col("file").str.ends_with("two.csv")
    assert lines.filter(lost)["caption"].null_count() == 4
    assert lines.filter(~lost)["caption"].null_count() == 0


def test_a_failed_export_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case([[], [("i", [0])] * 2], ["red"], [Cluster("exact", [0], "high", 1.0, False)])
    audit = build(tmp_path, case)
    out = tmp_path / "list.csv"
    out.write_text("old")
    monkeypatch.setattr("memaudit.export._with_originals", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export(audit, "rows", "csv", out)
    assert out.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["audit", "list.csv", "one.parquet", "two.csv"]
    with pytest.raises(UsageError, match="is a folder"):
        export(audit, "rows", "csv", tmp_path)
    with pytest.raises(UsageError, match="cannot write"):
        export(audit, "rows", "csv", tmp_path / "missing" / "list.csv")


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_of_an_audit_without_findings(tmp_path: Path, view: str) -> None:
    audit = build(tmp_path, Case([[], [("i", [0])]], ["red"], []))
    for format_ in ("csv", "parquet", "json"):
        assert export(audit, view, format_, tmp_path / f"out.{format_}") == Exported(0, complete=True)
    assert (tmp_path / "out.csv").read_text().count("\n") == 1
    assert (tmp_path / "out.json").read_text() == ""
    assert len(pl.read_parquet(tmp_path / "out.parquet")) == 0


def test_clusters_are_the_findings_flat(tmp_path: Path) -> None:
    audit = build(tmp_path, Case([[], [("i", [0])] * 2], ["red"], [Cluster("exact", [0], "low", 0.5, True)]))
    export(audit, "clusters", "json", tmp_path / "out.json")
    row = json.loads((tmp_path / "out.json").read_text())
    assert list(row) == [*(name for name in FINDINGS if name not in ("text_id", "family")), *TOLD]
    assert [row[name] for name in TOLD] == [None] * 4
    assert row["features"] == dict.fromkeys(FEATURES, 0.25)
    assert (row["kind"], row["suppressed"], row["reason"]) == (KINDS[0], True, "known")
    export(audit, "clusters", "csv", tmp_path / "out.csv")
    assert pl.read_csv(tmp_path / "out.csv")["features"][0] == " ".join(f"{name}=0.25" for name in FEATURES)
    assert export(audit, "clusters", "csv", tmp_path / "out.csv", "medium").lines == 0


def test_patterns_leave_out_suppressed_findings(tmp_path: Path) -> None:
    clusters = [Cluster("template", [0], "low", 0.5, False), Cluster("template", [0], "high", 0.7, True)]
    audit = build(tmp_path, Case([[], [("i", [0])] * 3], ["red"], clusters))
    export(audit, "patterns", "parquet", tmp_path / "out.parquet")
    frame = pl.read_parquet(tmp_path / "out.parquet")
    assert frame.schema == PATTERNS
    assert frame["type"].to_list() == ["trigger", "template"]
    assert frame["purity"].to_list() == [1.0, None]
    assert set(frame["fingerprint"]) == {f"{0:016x}"}


def test_stdout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audit = build(tmp_path, Case([[], [("i", [0])] * 2], ["red"], [Cluster("exact", [0], "high", 1.0, False)]))
    stream = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", stream)
    export(audit, "rows", "csv")
    assert stream.buffer.getvalue().count(b"\n") == 2  # type: ignore[attr-defined]


def test_large_files_are_read_in_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(
        [[("i", [r % 3, None]) for r in range(25)], [("j", [r % 2]) for r in range(9)]],
        ["red", "oak", "elm"],
        [Cluster("exact", [t], "high", 0.5, False) for t in range(3)],
    )
    audit = build(tmp_path, case)
    whole = exported(audit, "members")
    for window in (1, 2, 7, 10, 26):
        monkeypatch.setattr("memaudit.originals.WINDOW", window)
        monkeypatch.setattr("memaudit.export.CHUNK", 4)
        assert exported(audit, "members").equals(whole)


def test_the_blocklist_of_the_sample_keeps_one_row_of_every_cluster(sample_audit: store.Audit, tmp_path: Path) -> None:
    for minimum in ("info", "high"):
        export(sample_audit, "rows", "parquet", tmp_path / "rows.parquet", minimum)
        dropped = pl.read_parquet(tmp_path / "rows.parquet")
        assert dropped.height > 1000
        members = sample_audit.frame("members").join(sample_audit.frame("files").select("file", "path"), on="file")
        clusters = sample_audit.frame("clusters").filter(pl.col("kind") != "template")
        inside = members.join(clusters, on="text_id")
        places = dropped.select(path="file", row="row")
        n = clusters["cluster_id"].n_unique()
        assert inside.join(places, on=["path", "row"], how="anti")["cluster_id"].n_unique() == n
        assert inside.join(dropped.select("id"), on="id", how="anti")["cluster_id"].n_unique() == n  # some have none
