"""What a verification is asked to do, and the numbers that decide it (rules/verify.toml)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, fields
from typing import Any

from memaudit.errors import UsageError
from memaudit.rules import verify_rules
from memaudit.schemas import RELATIONS, SEVERITIES


@dataclass(frozen=True)
class VerifyConfig:
    """Everything that decides the result of a verification, and some settings that do not.

    relation: what the model has to do with the dataset. samples: at most so many pictures of a cluster are judged.
    seed: the first of all seeds. steps, guidance: None for the model's own.
    """

    model: str
    relation: str
    reference_model: str | None = None
    top: int = 100
    min_severity: str = "info"
    samples: int = 16
    seed: int = 0
    steps: int | None = None
    guidance: float | None = None
    screen: bool = True
    image_root: str | None = None
    image_column: str | None = None
    download: bool = False
    descriptor: str | None = None  # path of SSCD weights; None: the built-in one
    dtype: str | None = None
    device: str | None = field(default=None, metadata={"result": False})  # "cuda:0,cuda:1" for several
    batch: int | None = field(default=None, metadata={"result": False})  # None: by memory

    def __post_init__(self) -> None:
        if self.relation not in RELATIONS:
            raise UsageError(f"unknown relation {self.relation!r}", f"known: {', '.join(RELATIONS)}", "--relation")
        if self.min_severity not in SEVERITIES:
            raise UsageError(f"unknown severity {self.min_severity!r}", f"known: {', '.join(SEVERITIES)}")
        for name, least in (("top", 1), ("samples", 4)):
            if getattr(self, name) < least:
                raise UsageError(f"--{name} must be at least {least}", f"{getattr(self, name)} was asked for")
        if self.guidance is not None and not 1 <= self.guidance <= 100:
            raise UsageError(f"guidance {self.guidance} is out of range", "it must lie in [1, 100]", "--guidance 7.5")
        if self.steps is not None and not 1 <= self.steps <= 1000:
            raise UsageError(f"{self.steps} steps are out of range", "they must lie in [1, 1000]", "--steps 50")

    def identity(self) -> dict[str, Any]:
        """The part that decides the result, with the rules, as plain JSON types."""
        told = {f.name: getattr(self, f.name) for f in fields(self) if f.metadata.get("result", True)}
        return {**told, "rules": verify_rules()}

    def digest(self, *more: object) -> str:
        """16 hex digits of `identity` and what else decides the result (the model's digest, the clusters)."""
        text = json.dumps([self.identity(), *more], sort_keys=True, default=str)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
