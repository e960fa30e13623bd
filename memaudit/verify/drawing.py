"""Where the pictures of a trial come from, and where they are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

from memaudit.store import SAMPLES, no_space_is_clear

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np

    from memaudit.verify.models import Model
    from memaudit.verify.trial import Wanted


class FromModel:
    """Pictures drawn by a model."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.cut: set[str] = set()  # prompts of which the model reads only the start

    def __call__(self, wanted: Sequence[Wanted]) -> list[np.ndarray | None]:
        """See `trial.Drawing`. Raises OutOfMemory and NotFinite as `sampler.sample` does."""
        from memaudit.verify.sampler import sample

        drawn = sample(self.model, [w.prompt.text for w in wanted], [w.seed for w in wanted], region=False)
        self.cut |= {w.prompt.text for w, cut in zip(wanted, drawn.truncated.tolist(), strict=True) if cut}
        return list(drawn.pictures)


class Shelf:
    """The pictures of one verification: AUDIT/samples/<key>/<fingerprint>/<kind>-<number>-<seed>.png."""

    def __init__(self, audit_folder: Path, key: str) -> None:
        self.root, self.inside = audit_folder, f"{SAMPLES}/{key}"

    def keep(self, place: str, file: str, picture: np.ndarray) -> str:
        """Write one picture, whole or not at all; returns its path from the audit folder."""
        folder = self.root / self.inside / place
        with no_space_is_clear(self.root):
            folder.mkdir(parents=True, exist_ok=True)
            temporary = folder / f".{file}.tmp"
            Image.fromarray(picture).save(temporary, "PNG")
            temporary.replace(folder / file)
        return f"{self.inside}/{place}/{file}"

    def load_all(self, paths: Sequence[str]) -> list[Image.Image]:
        """Pictures that `keep` wrote; none where one of them is gone or damaged."""
        try:
            return [self.load(path) for path in paths]
        except (OSError, SyntaxError):  # Pillow raises both for damage
            return []

    def load(self, path: str) -> Image.Image:
        """A picture that `keep` wrote, by the path that it returned."""
        with Image.open(self.root / path) as image:
            image.load()
            return image.convert("RGB")
