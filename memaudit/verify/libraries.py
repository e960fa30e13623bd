"""The libraries of the extra [verify]: whether they are there, before anything is loaded."""

from __future__ import annotations

import importlib.util
import os

from memaudit.errors import UsageError

ALL = ("torch", "diffusers", "transformers", "faiss", "PIL", "safetensors")
JUDGING = ("PIL", "faiss")  # pictures that were drawn elsewhere
PLANNING = ("PIL",)


def require(libraries: tuple[str, ...]) -> None:
    """Raise UsageError where one is missing."""
    # Threads of torch that wait in a loop for each other make a busy machine a hundred times slower (measured).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    missing = [name for name in libraries if importlib.util.find_spec(name) is None]
    if missing:
        why = f"missing: {', '.join(missing)}"
        raise UsageError(
            "verify needs the extra [verify]", why, "pip install 'memaudit-captions[verify]', or memaudit doctor"
        )
