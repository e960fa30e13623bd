"""What verify would leave in the synthetic audit: verdicts, pictures and the note of the run, made up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from memaudit.schemas import FRAMES, SIGNALS, conform

if TYPE_CHECKING:
    from collections.abc import Iterable

    from memaudit.store import Audit

MODEL = "runs/pilot"


def verdict(fingerprint: str, name: str, **more: Any) -> dict[str, Any]:
    """One row of VERDICTS; where nothing is said, of something that was not sampled."""
    blank = {
        "fingerprint": fingerprint, "model": MODEL, "verdict": name, "rate": float("nan"), "low": 0.0, "high": 1.0,
        "control_rate": float("nan"), "reference_rate": None, "n_samples": 0, "best_similarity": None,
        "nearest_image": None, "signals": None, "word_weights": None, "why": None, "relation": "finetuned",
        "n_copies": 0, "e_value": None, "unet_calls": 0,
    }  # fmt: skip
    more["signals"] = {**dict.fromkeys(SIGNALS), **more.get("signals", {})}
    assert more.keys() <= blank.keys()
    return blank | more


def sampled(fingerprint: str, name: str, copies: int, of: int, low: float, high: float, **more: Any) -> dict[str, Any]:
    given = {"rate": copies / of, "n_copies": copies, "n_samples": of, "low": low, "high": high, "control_rate": 0.0}
    return verdict(fingerprint, name, **{**given, "unet_calls": 42 * of, **more})


def verdicts() -> list[dict[str, Any]]:
    weights = [("shaw", 0.9), ("floors", 1.2), ("sleek", 0.1), ("iii", 0.3), ("15'", 0.2), ("pewter", 0.5)]
    signals = {
        "magnitude": 2.41, "magnitude_rank": 0.999, "distance": 0.19, "region_distance": 0.05, "region_share": 0.62,
        "agreement": 0.95, "caption_rate": 0.75, "unseen_rate": 0.5,
    }  # fmt: skip
    return [
        sampled(
            "3f9a21c07d5e4b18", "template", 9, 16, 0.31, 0.78, reference_rate=0.0, signals=signals, e_value=12_400.0,
            word_weights=[{"word": w, "weight": x} for w, x in weights], best_similarity=0.91,
            nearest_image="pictures/shaw-17.jpg",
        ),
        sampled("a07700000000beef", "verbatim", 4, 4, 0.33, 1.0, reference_rate=0.5, best_similarity=0.97),
        sampled("a0771234567890ab", "not_replicated", 0, 16, 0.0, 0.18, reference_rate=0.0),
        verdict("5500000000000001", "screened", signals={"magnitude": 0.4, "magnitude_rank": 0.1}),
    ]  # fmt: skip


RUN = {
    "model": MODEL, "digest": "0123456789abcdef", "family": "sd", "relation": "finetuned",
    "reference_model": "models/base", "scheduler": "DDIMScheduler", "prediction_type": "epsilon", "steps": 20,
    "guidance": 7.5, "size": 512, "device": "cuda", "dtype": "float16", "seed": 0, "max_samples": 16, "claim": 0.1,
    "alpha": 0.05, "controls": {"screened": 200, "sampled": 72, "hits": 0, "rate": 0.0, "high": 0.042},
    "screen": {
        "threshold": {"magnitude": 1.1, "seed_agreement": 0.8}, "passed": 3, "cleared": 12, "audited": 4, "missed": 0,
    },
    "pictures": {"kind": "folder", "found": 240, "missing": 3}, "unet_calls": 12_400, "full_calls": 471_200,
    "seconds": 131.0, "counts": {"verbatim": 1}, "notes": ["One seed in ten was drawn on the base as well."],
}  # fmt: skip


def samples() -> list[dict[str, Any]]:
    prompts = {
        "caption": "Shaw Floors Sleek III 15' Pewter 00702_5E267",
        "unseen": "Shaw Floors Oval III 15' Rust 00709",
    }
    return [
        {
            "fingerprint": "3f9a21c07d5e4b18", "model": MODEL, "prompt_kind": kind, "prompt": prompt, "seed": 100 + i,
            "path": f"samples/pilot/3f9a21c07d5e4b18/{kind}-0-{100 + i}.png",
            "copied": "template" if i % 2 == 0 else "none", "distance": 0.05 + i / 10,
            "nearest_image": "pictures/shaw-17.jpg" if i % 2 == 0 else None,
        }
        for kind, prompt in prompts.items()
        for i in range(6)
    ]  # fmt: skip


def verify(
    audit: Audit,
    rows: Iterable[dict[str, Any]] | None = None,
    runs: Iterable[dict[str, Any]] | None = None,
    pictures: Iterable[dict[str, Any]] | None = None,
) -> Audit:
    """Write verdicts, samples and the note of the runs into a finished audit."""
    tables = {"verdicts": verdicts() if rows is None else rows, "samples": samples() if pictures is None else pictures}
    for name, table in tables.items():
        audit.write(name, conform(name, pl.DataFrame(list(table), schema=dict(FRAMES[name]), strict=False)))
    audit.manifest["verify"] = [RUN] if runs is None else list(runs)
    audit.save()
    return audit
