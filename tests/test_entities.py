"""Types of slots by spaCy: the ruler, and a model made here."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner

from memaudit import entities
from memaudit.audit import scan
from memaudit.cli import main
from memaudit.config import NO_ENTITIES, RULER, ScanConfig
from memaudit.entities import Recogniser, opened, recogniser
from memaudit.errors import UsageError
from memaudit.slottypes import TEXT

PLACES = ["Larkford", "Elderbury", "Drummoor", "Nimthorpe", "Lothstead", "Evvelvale", "Eskelvale", "Mordwick"]


@pytest.fixture(scope="module")
def ruler() -> Recogniser:
    pytest.importorskip("spacy")
    found = recogniser(RULER)
    assert found
    return found


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model that calls the places GPE, saved to a folder: a blank pipeline with a ruler of its own."""
    spacy: Any = pytest.importorskip("spacy")
    pipeline = spacy.blank("en")
    pipeline.add_pipe("entity_ruler").add_patterns([{"label": "GPE", "pattern": place} for place in PLACES])
    pipeline.to_disk(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["river road norfolk", "vincent square , london", "rockfield avenue"], "place"),
        (["lake tarn", "mount elder"], "place"),
        (["dr varović", "prof emma quilholt"], "person"),
        (["a woman", "a young boy"], "person"),
        (["slim arm sofa , linley", "court shoes", "fair isle socks"], "product"),
        (["hegwood gray", "brickhill ivory", "anzell blue / gray"], "colour"),
        (["a bronze", "a ceramic"], "material"),
        (["parrot", "squid", "quick brown fox"], TEXT),
        (["the a of", ""], TEXT),
        ([""], TEXT),
        (["\x1b[2J" * 30, "日本語" * 90, "- " * 500], TEXT),
    ],
)
def test_the_ruler_finds_what_patterns_of_whole_values_do_not(ruler: Recogniser, values: list[str], kind: str) -> None:
    assert ruler.slot_type(values, [1] * len(values)) == kind


def test_a_few_entities_make_no_type(ruler: Recogniser) -> None:
    assert ruler.slot_type(["lake tarn", "a squid", "an owl"], [1, 1, 1]) == TEXT
    assert ruler.slot_type(["lake tarn", "a squid", "an owl"], [8, 1, 1]) == "place"
    assert ruler.slot_type(["the seven swans a swimming all night over the dark lake"], [1]) == TEXT


def captions() -> list[str]:
    return [f"Weekly harbour report for {place} by the tide office" for place in PLACES]


def types(folder: Path, ner: str | None) -> list[str]:
    pl.DataFrame({"caption": captions()}).write_parquet(folder / "a.parquet")
    audit = scan(
        [str(folder / "a.parquet")], folder / f"audit-{len(list(folder.iterdir()))}", ScanConfig(ner=ner)
    ).audit
    slots = audit.frame("templates").explode("slots")["slots"].struct.unnest()
    return slots["type"].to_list()


def test_a_model_types_slots_and_is_part_of_what_a_scan_was_asked(model: Path) -> None:
    """Patterns and the ruler do not know these places; the model does, though values are folded."""
    assert types(model.parent, NO_ENTITIES) == types(model.parent, RULER) == [TEXT]
    assert types(model.parent, str(model)) == ["place"]
    assert ScanConfig(ner=str(model)).identity()["ner"] == str(model)


def test_what_is_asked_for_and_missing_is_known_before_the_scan(tmp_path: Path, model: Path) -> None:
    pl.DataFrame({"caption": captions()}).write_parquet(tmp_path / "a.parquet")
    (model / "vocab" / "strings.json").write_text("{", encoding="utf-8")
    for name, why in (("en_core_web_none", "nothing is downloaded"), (str(model), "cannot be loaded"), ("numpy", "")):
        result = CliRunner().invoke(
            main, ["scan", str(tmp_path / "a.parquet"), "-o", str(tmp_path / "x"), "--ner", name]
        )
        assert result.exit_code == 2
        assert why in result.output
        assert "Traceback" not in result.output
        assert not (tmp_path / "x" / "findings.parquet").exists()


def test_without_spacy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What needs it says what to install; nothing else notices."""
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "spacy" else real(name, *rest))
    assert ScanConfig().entities() == NO_ENTITIES
    assert opened(ScanConfig().entities(), print).result() is None
    for asked in (RULER, "en_core_web_sm"):
        with pytest.raises(UsageError) as raised:
            opened(asked, print)
        assert "memaudit-captions[entities]" in raised.value.lines()[-1]


def test_a_broken_spacy_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("spacy")
    said: list[str] = []
    entities._ruler.cache_clear()
    monkeypatch.setattr(entities, "_spacy", lambda: (_ for _ in ()).throw(ImportError("numpy.dtype size changed")))
    assert opened(RULER, said.append).result() is None
    assert "numpy.dtype size changed" in said[0]


def test_a_scan_without_entities_does_not_import_spacy(tmp_path: Path) -> None:
    pl.DataFrame({"caption": captions()}).write_csv(tmp_path / "a.csv")
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from memaudit.audit import scan\nfrom memaudit.config import ScanConfig\n"
        "scan(['a.csv'], Path('audit'), ScanConfig(ner='none')); assert 'spacy' not in sys.modules"
    )
    env = {"PYTHONPATH": str(Path(__file__).parents[1]), "PATH": "", "HOME": str(Path.home())}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env=env)
