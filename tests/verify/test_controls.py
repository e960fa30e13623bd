"""Controls: captions in no cluster that look like those of the clusters."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from memaudit.audit import scan
from memaudit.config import ScanConfig
from memaudit.verify import controls
from memaudit.verify.captions import script
from memaudit.verify.controls import matched_controls
from memaudit.verify.prompts import Prompt, clusters_to_verify

if TYPE_CHECKING:
    from pathlib import Path

    from memaudit.store import Audit
    from memaudit.verify.prompts import Cluster


@pytest.fixture(scope="module")
def clusters(sample_audit: Audit) -> list[Cluster]:
    return clusters_to_verify(sample_audit, 60, "info", unseen=0)


def random_captions(n: int, lengths: tuple[int, int], letters: str, seed: int) -> list[str]:
    """Captions that share nothing: words of random letters."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(*lengths, n)
    return [" ".join("".join(rng.choice(list(letters), 7)) for _ in range(size)) for size in sizes]


def mixed_audit(folder: Path) -> Audit:
    captions = random_captions(150, (3, 16), "abcdefghij", 0) + random_captions(60, (3, 16), "абвгдежзик", 1)
    captions += ["red kite over town"] * 20 + ["дом у тихого озера"] * 20 + ["a b c d e f g h i j k l m n"] * 10
    captions += ["twice upon a time we met"] * 2
    pl.DataFrame({"caption": captions}).write_parquet(folder / "data.parquet")
    return scan([str(folder / "data.parquet")], folder / "audit", ScanConfig(ner="none")).audit


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Audit, list[Cluster]]:
    audit = mixed_audit(tmp_path_factory.mktemp("mixed"))
    return audit, clusters_to_verify(audit, 9, "info")


def test_controls_repeat_nothing(sample_audit: Audit, clusters: list[Cluster]) -> None:
    found = matched_controls(sample_audit, clusters, 200, seed=0)
    assert len({prompt.text_id for prompt in found}) == len(found) == 200
    assert {prompt.kind for prompt in found} == {"control"}
    ids = pl.Series([prompt.text_id for prompt in found], dtype=pl.UInt32)
    texts = sample_audit.frame("texts").filter(pl.col("text_id").is_in(ids.implode()))
    assert texts["n_rows"].to_list() == [1] * 200
    assert not set(ids) & set(sample_audit.frame("clusters")["text_id"])


def test_the_seed_decides(sample_audit: Audit, clusters: list[Cluster]) -> None:
    one = matched_controls(sample_audit, clusters, 50, seed=4)
    assert one == matched_controls(sample_audit, clusters, 50, seed=4)
    assert one != matched_controls(sample_audit, clusters, 50, seed=5)


def test_scripts_are_matched(mixed: tuple[Audit, list[Cluster]]) -> None:
    audit, asked = mixed
    like = Counter(script(c.prompts[0].text) for c in asked)
    assert like == {"latin": 2, "cyrillic": 1}
    found = Counter(script(prompt.text) for prompt in matched_controls(audit, asked, 30, seed=0))
    assert found == {"latin": 20, "cyrillic": 10}


def test_lengths_are_matched(mixed: tuple[Audit, list[Cluster]]) -> None:
    audit, asked = mixed
    [long] = [c for c in asked if c.representative.startswith("a b c")]
    [short] = [c for c in asked if c.representative.startswith("red")]
    sizes = {n: [len(p.text.split()) for p in matched_controls(audit, [c], 20, 0)] for n, c in ((4, short), (14, long))}
    both = [len(p.text.split()) for p in matched_controls(audit, [short, long], 20, seed=0)]
    assert len(sizes[4]) == len(sizes[14]) == 20
    assert sum(n < 9 for n in both) == pytest.approx(10, abs=5)


def test_there_are_never_more_than_the_dataset_has(mixed: tuple[Audit, list[Cluster]]) -> None:
    audit, asked = mixed
    found = matched_controls(audit, asked, 1000, seed=0)
    assert len({prompt.text_id for prompt in found}) == len(found) == 210
    assert not any(prompt.text.startswith("twice") for prompt in found)


def test_another_script_than_asked_for_is_no_control(mixed: tuple[Audit, list[Cluster]]) -> None:
    audit, asked = mixed
    cyrillic = [c for c in asked if script(c.representative) == "cyrillic"]
    found = matched_controls(audit, cyrillic, 500, seed=0)
    assert len(found) == 60
    assert {script(prompt.text) for prompt in found} == {"cyrillic"}


def test_without_clusters_there_is_nothing_to_match(sample_audit: Audit, clusters: list[Cluster]) -> None:
    assert matched_controls(sample_audit, [], 10, seed=0) == []
    assert matched_controls(sample_audit, clusters, 0, seed=0) == []


def test_a_large_audit_is_sampled(
    sample_audit: Audit, clusters: list[Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither all captions nor all candidates are read back."""
    read = []
    original = controls.read_captions

    def counted(audit: Audit, texts: pl.DataFrame) -> dict[int, str]:
        read.append(len(texts))
        return original(audit, texts)

    monkeypatch.setattr(controls, "read_captions", counted)
    monkeypatch.setattr(controls, "LEAST_DRAWN", 10)
    found = matched_controls(sample_audit, clusters, 20, seed=0)
    assert len(found) == 20
    assert all(isinstance(prompt, Prompt) for prompt in found)
    assert sum(read) <= controls.READ * controls.ROUNDS * 20
