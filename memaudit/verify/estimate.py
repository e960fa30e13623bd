"""What a verification would take: U-Net calls counted from the plan, time from a few calls made now."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from memaudit.rules import verify_rules
from memaudit.verify.control_samples import needed_controls
from memaudit.verify.devices import device_names
from memaudit.verify.models import load
from memaudit.verify.outcome import FULL_SEEDS
from memaudit.verify.screen import magnitudes
from memaudit.verify.screening import SCREEN_SEEDS
from memaudit.verify.trial import PATTERN, Terms, numbered, schedule
from memaudit.verify.work import work_of

if TYPE_CHECKING:
    from memaudit.progress import Progress
    from memaudit.store import Audit
    from memaudit.verify.models import Model
    from memaudit.verify.settings import VerifyConfig
    from memaudit.verify.work import Work

GPU_ROWS = 60.0
"""U-Net rows a second that one large GPU makes of SD 1.x at 512 px in fp16: an order of magnitude to plan with (an A100
draws a picture of 50 guided steps in about 1.7 s), not a measurement of memaudit's."""
PROBE = 8  # prompts that are timed


def estimate(audit: Audit, config: VerifyConfig, progress: Progress) -> list[str]:
    """Lines about calls and time. Loads the model and makes a few calls; draws and writes nothing."""
    work = work_of(audit, config, progress)
    devices = device_names(config.device)
    with progress.stage("loading the model"):
        model = load(config.model, devices[0], config.dtype, steps=config.steps, guidance=config.guidance)
    few, many = calls(work, config, model)
    rate = _rows_per_second(model, work, config)
    full = sum(len(numbered(c, PATTERN)) for c in work.clusters) * FULL_SEEDS * _a_picture(model)
    where = ", ".join(devices)
    return [
        f"clusters        {len(work.clusters):,}, with {sum(len(c.prompts) for c in work.clusters):,} prompts",
        f"controls        {len(work.controls):,}",
        f"pictures        {work.source.told}",
        f"model           {model.name}: {model.size} px, {model.steps} steps, guidance {model.guidance:g}",
        f"U-Net calls     {few:,} where one cluster in ten is sampled and all of those replicate at once,",
        f"                {many:,} where every cluster is sampled to the end",
        f"                {full:,} for {FULL_SEEDS} seeds of every prompt, without screen and early stop",
        f"time            {_minutes(few / rate / len(devices))} to {_minutes(many / rate / len(devices))} on {where}"
        f" ({rate:,.0f} calls a second, measured now)",
        f"                {_minutes(few / GPU_ROWS)} to {_minutes(many / GPU_ROWS)} at {GPU_ROWS:.0f} calls a second:"
        " about what one large GPU makes of SD 1.x at 512 px",
    ]


def calls(work: Work, config: VerifyConfig, model: Model) -> tuple[int, int]:
    """U-Net rows, in a good and in the worst case."""
    rules = verify_rules()
    prompts = sum(len(numbered(c, PATTERN)) for c in work.clusters)
    screened = (prompts + len(work.controls)) * int(rules["screen"]["seeds"]) if config.screen else 0
    wanted = needed_controls(work, work.clusters, config.seed).values()
    controls = sum(map(len, wanted)) * _a_picture(model)
    terms = Terms(len(work.clusters), config.samples, 1, config.seed)
    most = sum(len(schedule(c, terms)) for c in work.clusters) * _a_picture(model)
    least = len(work.clusters) * int(rules["sample"]["round"]) * _a_picture(model)
    return screened + controls + (least // 10 if config.screen else least), screened + controls + most


def _a_picture(model: Model) -> int:
    return model.steps * (2 if model.guided else 1)


def _rows_per_second(model: Model, work: Work, config: VerifyConfig) -> float:
    """Timed over a few prompts, after as many that warm up."""
    prompts = [p.text for c in work.clusters for p in c.prompts][:PROBE]
    for seed in (SCREEN_SEEDS, SCREEN_SEEDS + 1):
        before, started = model.calls, time.monotonic()
        magnitudes(model, prompts, [config.seed + seed])
        rate = (model.calls - before) / max(1e-9, time.monotonic() - started)
    return rate


def _minutes(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 90
        else f"{seconds / 60:,.0f} minutes"
        if seconds < 5400
        else f"{seconds / 3600:,.1f} hours"
    )
