"""Prompts of small audits that are scanned here, and of the sample captions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from memaudit.audit import scan
from memaudit.config import ScanConfig
from memaudit.errors import BadInput
from memaudit.store import open_audit
from memaudit.text.spelling import spell
from memaudit.verify.captions import in_dataset, joined_words, read_captions, script
from memaudit.verify.prompts import Cluster, Prompt, clusters_to_verify
from memaudit.verify.unseen import SLOT, slots_of

if TYPE_CHECKING:
    from pathlib import Path

    from memaudit.store import Audit

MOTIFS = "owl fox cat lion rose oak wave moon star boat tree fern".split()
ORDINARY = (
    "Two children fly a kite above the dunes",
    "An orchestra rehearses beneath copper lanterns",
    "Grandmother kneads bread while rain falls",
    "Cyclists climb toward the snowy pass",
    "Fishermen mend nets beside turquoise water",
    "A librarian repairs antique maps",
)


def audit_of(folder: Path, captions: list[str], **config: Any) -> Audit:
    pl.DataFrame({"caption": captions}).write_parquet(folder / "data.parquet")
    return scan([str(folder / "data.parquet")], folder / "audit", ScanConfig(ner="none", **config)).audit


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    captions = [f"{motif.title()} Fleece Throw Blanket by Woolmoor & Sons" for motif in MOTIFS]
    captions += [captions[4]] * 5 + [captions[2]] * 3
    captions += ["Sunset over the old harbour, oil on canvas"] * 30 + list(ORDINARY)
    return audit_of(tmp_path_factory.mktemp("small"), captions)


@pytest.fixture(scope="module")
def by_kind(small: Audit) -> dict[str, Cluster]:
    return {cluster.kind: cluster for cluster in clusters_to_verify(small, 20, "info")}


def texts(cluster: Cluster, kind: str) -> list[str]:
    return [prompt.text for prompt in cluster.prompts if prompt.kind == kind]


def test_an_exact_cluster_has_its_one_caption(by_kind: dict[str, Cluster]) -> None:
    exact = by_kind["exact"]
    assert texts(exact, "caption") == ["Sunset over the old harbour, oil on canvas"]
    assert texts(exact, "unseen") == []
    assert exact.template is None
    assert len(texts(exact, "trigger")) == 1


def test_a_template_is_asked_by_its_most_repeated_captions(by_kind: dict[str, Cluster]) -> None:
    template = by_kind["template"]
    assert texts(template, "caption")[:2] == [
        "Rose Fleece Throw Blanket by Woolmoor & Sons",
        "Cat Fleece Throw Blanket by Woolmoor & Sons",
    ]
    assert len(set(texts(template, "caption"))) == 3
    assert template.template is not None
    assert SLOT in template.template.split(" ")


def test_unseen_captions_are_of_the_template_and_not_of_the_dataset(small: Audit, by_kind: dict[str, Cluster]) -> None:
    unseen = texts(by_kind["template"], "unseen")
    assert len(set(unseen)) == 3
    assert in_dataset(small, [*unseen, "ROSE fleece throw blanket; by Woolmoor & Sons"]) == [False, False, False, True]
    for text in unseen:
        motif = text.split(" ")[0]
        assert text == f"{motif} Fleece Throw Blanket by Woolmoor & Sons"
        assert motif.lower() not in MOTIFS


def test_the_same_seed_gives_the_same_prompts(small: Audit, by_kind: dict[str, Cluster]) -> None:
    assert clusters_to_verify(small, 20, "info") == list(by_kind.values())
    assert clusters_to_verify(small, 1, "info") == list(by_kind.values())[:1]
    other = clusters_to_verify(small, 20, "info", seed=1)
    assert [c.fingerprint for c in other] == [c.fingerprint for c in by_kind.values()]
    assert other != list(by_kind.values())


def test_as_many_prompts_as_asked_for(small: Audit) -> None:
    for cluster in clusters_to_verify(small, 20, "info", captions=1, unseen=0, triggers=0):
        assert [prompt.kind for prompt in cluster.prompts] == ["caption"]


def test_text_ids_lead_back_to_captions(small: Audit, by_kind: dict[str, Cluster]) -> None:
    asked = {p.text_id: p.text for c in by_kind.values() for p in c.prompts if p.kind == "caption"}
    frame = small.frame("texts").filter(pl.col("text_id").is_in(list(asked)))
    assert read_captions(small, frame) == asked
    assert all(p.text_id is None for c in by_kind.values() for p in c.prompts if p.kind != "caption")


def test_weights_decide_what_is_most_repeated(tmp_path: Path) -> None:
    captions = [f"{motif} fleece throw blanket by Woolmoor" for motif in MOTIFS] * 2
    frame = pl.DataFrame({"caption": captions, "w": [9.0 if "moon" in c else 1.0 for c in captions]})
    frame.write_csv(tmp_path / "data.csv")
    config = ScanConfig(ner="none", weight_columns=("w",))
    audit = scan([str(tmp_path / "data.csv")], tmp_path / "audit", config).audit
    assert clusters_to_verify(audit, 1, "info")[0].prompts[0].text == "moon fleece throw blanket by Woolmoor"


def test_suppressed_findings_are_left_out(tmp_path: Path) -> None:
    captions = [f"{motif} fleece throw blanket by Woolmoor" for motif in MOTIFS] + ["Sunset over the harbour, oil"] * 30
    audit = audit_of(tmp_path, captions)
    [exact] = [c for c in clusters_to_verify(audit, 9, "info") if c.kind == "exact"]
    allow = tmp_path / "allow.toml"
    allow.write_text(f'[[allow]]\nfingerprint = "{exact.fingerprint}"\nreason = "ours"\n')
    left = clusters_to_verify(open_audit(audit.folder, allow), 9, "info")
    assert exact.fingerprint not in [c.fingerprint for c in left]
    assert left


def test_an_audit_without_findings_has_nothing_to_verify(tmp_path: Path) -> None:
    assert clusters_to_verify(audit_of(tmp_path, list(ORDINARY)), 9, "info") == []


@pytest.mark.parametrize("how", ["gone", "changed", "damaged"])
def test_a_source_that_is_not_what_it_was_is_an_error(tmp_path: Path, how: str) -> None:
    audit = audit_of(tmp_path, ["Sunset over the harbour, oil"] * 30)
    data = tmp_path / "data.parquet"
    if how == "gone":
        data.unlink()
    elif how == "changed":
        pl.DataFrame({"caption": ["x"] * 30}).write_parquet(data)
    else:
        data.write_bytes(b"PAR1" + bytes(100))
    with pytest.raises(BadInput, match="cannot read captions back") as caught:
        clusters_to_verify(audit, 9, "info")
    assert caught.value.why
    assert caught.value.hint


def test_a_damaged_audit_is_an_error(tmp_path: Path) -> None:
    audit = audit_of(tmp_path, ["Sunset over the harbour, oil"] * 30)
    audit.path("clusters").write_bytes(b"nothing")
    with pytest.raises(BadInput, match="no readable clusters"):
        clusters_to_verify(audit, 9, "info")


@pytest.fixture(scope="module")
def sampled(sample_audit: Audit) -> list[Cluster]:
    return clusters_to_verify(sample_audit, 80, "info")


def test_one_cluster_a_family_by_falling_risk(sampled: list[Cluster], sample_audit: Audit) -> None:
    family = dict(sample_audit.frame("findings").select("cluster_id", "family").iter_rows())
    assert len({family[c.cluster_id] for c in sampled}) == len(sampled) == 80
    assert [c.risk for c in sampled] == sorted((c.risk for c in sampled), reverse=True)


def test_nearly_every_template_of_the_sample_has_unseen_captions(sampled: list[Cluster]) -> None:
    templates = [c for c in sampled if c.template]
    assert len(templates) > 40
    assert sum(len(texts(c, "unseen")) == 3 for c in templates) >= 0.95 * len(templates)


def test_unseen_captions_of_the_sample_are_new_in_every_way(sampled: list[Cluster], sample_audit: Audit) -> None:
    unseen = [text for c in sampled for text in texts(c, "unseen")]
    assert not any(in_dataset(sample_audit, unseen))
    members = sample_audit.frame("clusters").filter(pl.col("kind") == "template").join(
        sample_audit.frame("texts").select("text_id", "file", "row", "column"), on="text_id"
    )  # fmt: skip
    for cluster in [c for c in sampled if c.template][:12]:
        own = read_captions(sample_audit, members.filter(pl.col("cluster_id") == cluster.cluster_id))
        there = [values(text, cluster) for text in own.values()]
        for text in texts(cluster, "unseen"):
            new = values(text, cluster)
            assert new
            assert any(all(new[i] != old[i] for old in there if old) for i in range(len(new)))


def values(text: str, cluster: Cluster) -> list[str]:
    spelled = spell(text.encode())
    assert cluster.template is not None
    return [slot.value for slot in slots_of(spelled.tokens, spelled.surface, cluster.template) or []]


def test_triggers_are_words_of_the_cluster(sampled: list[Cluster]) -> None:
    assert sum(bool(texts(c, "trigger")) for c in sampled) > 60
    for cluster in sampled:
        for prompt in cluster.prompts:
            assert isinstance(prompt, Prompt)
            assert prompt.kind != "trigger" or "<" not in prompt.text


def test_scripts() -> None:
    assert script("Shaw Floors 15'") == script("12 - 34") == script("") == script("Café") == "latin"
    assert script("дом у озера, Canon") == "cyrillic"
    assert script("東京の猫") == script("서울") == "cjk"
    assert script("بيت") == "other"


def test_ideographs_are_joined_without_spaces() -> None:
    assert joined_words(["東", "京", "cat", "fox", "猫"]) == "東京 cat fox 猫"
