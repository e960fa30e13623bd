"""Entities in slot values, found by spaCy: a blank pipeline with the entity ruler of `rules/slots.toml`, or a model.

The only module that imports spaCy, and only where it is used; nothing is ever downloaded.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memaudit.config import NO_ENTITIES, RULER
from memaudit.errors import UsageError
from memaudit.rules import slot_rules
from memaudit.slottypes import LONGEST, agreed, words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Future

UNUSED = (
    "parser",
    "tagger",
    "morphologizer",
    "lemmatizer",
    "trainable_lemmatizer",
    "attribute_ruler",
    "senter",
    "textcat",
)
_INSTALL = "pip install 'memaudit-captions[entities]'"


class Recogniser:
    """Names the type of a slot by the entities in its values."""

    def __init__(self, pipeline: Any, folded: bool) -> None:
        self._pipeline = pipeline
        self._folded = folded  # values as they are; else in title case, which models look for

    def slot_type(self, values: Sequence[str], counts: Sequence[int]) -> str:
        """The type that enough of the values (by count) are, "text" for none: as `slottypes.slot_type`, where a value
        is of a type when entities of it cover enough of its words."""
        shown = [value[:LONGEST] for value in values]
        docs = self._pipeline.pipe([text if self._folded else text.title() for text in shown])
        types = dict(zip(shown, map(_type_of, docs), strict=True))
        found = dict.fromkeys(kind for kind in types.values() if kind)
        return agreed(shown, counts, slot_rules()["share"], ((kind, partial(_is, types, kind)) for kind in found))


def _is(types: Mapping[str, str | None], kind: str, value: str) -> bool:
    return types[value] == kind


def opened(name: str, tell: Callable[[str], None]) -> Future[Recogniser | None]:
    """`recogniser` of this name, being loaded: spaCy takes a second, in which captions can be read.

    A model that somebody asked for is waited for, so that what is wrong with it is known before a scan and not after
    it. The ruler, which nobody need have asked for, is done without where spaCy is there but cannot be used.
    """
    with_ruler = name == RULER and importlib.util.find_spec("spacy") is not None
    pool = ThreadPoolExecutor(1)
    loading = pool.submit(_ruler_if_possible, tell) if with_ruler else pool.submit(recogniser, name)
    pool.shutdown(wait=False)
    if not with_ruler:
        loading.result()
    return loading


def _ruler_if_possible(tell: Callable[[str], None]) -> Recogniser | None:
    try:
        return recogniser(RULER)
    except Exception as error:  # a broken installation raises whatever it likes
        tell(f"spaCy cannot be used, slots are typed by patterns only: {type(error).__name__}: {error}"[:300])
        return None


def recogniser(name: str) -> Recogniser | None:
    """The recogniser called `name`: "none", "ruler", an installed spaCy package, or a folder with a model.

    A model may only be made of components that spaCy and installed packages define; a folder's own code is not run.
    Raises UsageError where spaCy or the model is missing, or what is there cannot be loaded.
    """
    if name == NO_ENTITIES:
        return None
    if importlib.util.find_spec("spacy") is None:
        raise UsageError(f"--ner {name} needs spaCy", "it is not installed", _INSTALL)
    return Recogniser(_ruler(), folded=True) if name == RULER else Recogniser(_model(name), folded=False)


@cache
def _ruler() -> Any:
    pipeline = _spacy().blank("en")
    ruler = pipeline.add_pipe("entity_ruler")
    ruler.add_patterns(
        [{"label": rule["label"], "pattern": list(map(_token, rule["pattern"]))} for rule in slot_rules()["entity"]]
    )
    return pipeline


def _token(told: dict[str, Any]) -> dict[str, Any]:
    """One token of a pattern; "{name}" becomes any word of that list."""
    word = told.get("LOWER", "")
    return {**told, "LOWER": {"IN": list(words_of(word[1:-1]))}} if word.startswith("{") else dict(told)


def _spacy() -> Any:
    return importlib.import_module("spacy")


def _model(name: str) -> Any:
    spacy = _spacy()
    folder = Path(name)
    is_folder = (folder / "config.cfg").is_file()
    if not is_folder and not spacy.util.is_package(name):
        why = "no installed package and no folder with a config.cfg is called so; nothing is downloaded"
        raise UsageError(f"there is no spaCy model {name!r}", why, "pip install a model, or --ner FOLDER")
    try:
        return spacy.load(folder if is_folder else name, exclude=UNUSED)
    except Exception as error:  # whatever a damaged or foreign folder makes of it
        why = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise UsageError(
            f"the spaCy model {name!r} cannot be loaded", why, f"python -m spacy validate, or --ner {RULER}"
        ) from error


def _type_of(doc: Any) -> str | None:
    """The type whose entities cover most words of a value, where that is enough of them."""
    told = slot_rules()
    words = [token for token in doc if token.text.strip() and not token.is_punct]
    held = Counter(told["labels"].get(token.ent_type_) for token in words)
    held.pop(None, None)
    best = max(held, key=lambda kind: held[kind], default=None)
    return best if best and held[best] >= told["covered"] * len(words) else None
