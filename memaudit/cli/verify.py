"""`memaudit verify`: what a model makes of the top clusters."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from memaudit.cli.root import ALLOW, AUDIT, SEVERITIES, note, opened_audit, progress_for
from memaudit.errors import EXIT_INCOMPLETE, EXIT_INTERRUPTED, EXIT_OK, UsageError
from memaudit.streams import STDOUT, colored, deliver, width

if TYPE_CHECKING:
    from memaudit.store import Audit
    from memaudit.verify.settings import VerifyConfig

RELATIONS = ("trained", "finetuned", "unrelated")


@click.command()
@AUDIT
@click.option("--model", metavar="MODEL", help="A diffusers Stable Diffusion: a folder, or a hub id (which downloads).")
@click.option("--relation", type=click.Choice(RELATIONS), help="What the model has to do with this dataset. Required.")
@click.option("--reference-model", metavar="MODEL", help="One without this data: what it copies too is not its fault.")
@click.option("--top", type=click.IntRange(min=1), default=100, show_default=True, help="Families to verify, by risk.")
@click.option("--min-severity", type=click.Choice(SEVERITIES), default="info", show_default=True, help="Of findings.")
@click.option(
    "--samples", type=click.IntRange(min=4), default=16, show_default=True, help="Most pictures of a cluster."
)
@click.option("--steps", type=click.IntRange(min=1), help="Of the scheduler. Default: the model's.")
@click.option("--guidance", type=float, help="Default: the model's.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="The first seed.")
@click.option(
    "--device", metavar="DEVICE", help="cuda, cuda:1, mps, cpu; several by commas. Default: the best there is."
)
@click.option("--dtype", type=click.Choice(("fp16", "bf16", "fp32")), help="Default: fp16 on a GPU, else fp32.")
@click.option("--image-root", type=click.Path(), metavar="DIR", help="Folder of training pictures, by reference or id.")
@click.option("--image-column", metavar="NAME", help="Column with pictures (bytes), paths or urls. Default: by name.")
@click.option("--download", is_flag=True, help="Fetch training pictures from their urls (public addresses only).")
@click.option(
    "--descriptor", type=click.Path(), metavar="FILE", help="SSCD weights: TorchScript (runs as code) or ONNX."
)
@click.option("--no-screen", is_flag=True, help="Sample every cluster.")
@click.option("--plan", metavar="FILE", help="Write prompts and seeds as CSV instead, to be drawn elsewhere.")
@click.option("--generated", metavar="DIR", help="Judge pictures made from a plan; --model names what drew them.")
@click.option("--dry-run", is_flag=True, help="U-Net calls and time that it would take; samples nothing.")
@ALLOW
@click.pass_context
def verify(
    ctx: click.Context,
    /,
    audit: str,
    plan: str | None,
    generated: str | None,
    dry_run: bool,
    allow: str | None,
    **asked: Any,
) -> None:
    """Sample a model for the top clusters of AUDIT and say which replicate training pictures.

    A verdict is evidence about this model. verbatim: samples copy a training picture; template: they copy a region that
    several training pictures share; not_replicated: at most so often at so many seeds; screened: a quick look gave no
    reason to sample; not_run and error say nothing. Needs the extra [verify]. The same command continues an interrupted
    run.
    """
    if sum((plan is not None, generated is not None, dry_run)) > 1:
        raise UsageError("--plan, --generated and --dry-run exclude each other", "each replaces the sampling here")
    from memaudit.verify import libraries

    opened = opened_audit(audit, allow)
    if plan is not None:
        libraries.require(libraries.PLANNING)
        _write_plan(ctx, opened, plan, asked)
        return
    config = _config(**asked)
    libraries.require(libraries.JUDGING if generated is not None else libraries.ALL)
    if dry_run:
        from memaudit.verify.estimate import estimate

        deliver("\n".join(estimate(opened, config, progress_for(ctx))) + "\n", STDOUT)
        return
    from memaudit.interrupt import interruptible

    with interruptible(EXIT_INTERRUPTED):
        run = _run(ctx, opened, config, generated)
    _report(ctx, audit, allow, run)


def _run(ctx: click.Context, audit: Audit, config: VerifyConfig, generated: str | None) -> dict[str, Any]:
    if generated is not None:
        from memaudit.verify.elsewhere import judge_generated

        return judge_generated(audit, config, Path(generated), progress_for(ctx))
    from memaudit.verify.run import verify as run

    return run(audit, config, progress_for(ctx))


def _report(ctx: click.Context, folder: str, allow: str | None, run: dict[str, Any]) -> None:
    from memaudit.report import next_commands, render_report

    opened = opened_audit(folder, allow)
    deliver(render_report(opened, "terminal", width(), colored(sys.stdout)), STDOUT)
    note(ctx, next_commands(opened))
    ctx.exit(EXIT_INCOMPLETE if run["counts"].get("error") else EXIT_OK)


def _config(no_screen: bool, **asked: Any) -> VerifyConfig:
    from memaudit.verify.settings import VerifyConfig

    for name, why in (
        ("model", "it is what is verified"),
        ("relation", "a verdict speaks about a model and this data"),
    ):
        if asked[name] is None:
            hint = f"--relation {'|'.join(RELATIONS)}" if name == "relation" else "--model FOLDER or a hub id"
            raise UsageError(f"verify needs --{name}", why, hint)
    return VerifyConfig(screen=not no_screen, **asked)


def _write_plan(ctx: click.Context, audit: Audit, plan: str, asked: dict[str, Any]) -> None:
    from memaudit.verify.elsewhere import plan_of
    from memaudit.verify.settings import VerifyConfig

    if plan == STDOUT:
        raise UsageError(
            "a plan is a file", "what draws from it looks for plan.csv beside its pictures", "--plan plan.csv"
        )
    screen = not asked.pop("no_screen")
    given = {**asked, "model": asked["model"] or "elsewhere", "relation": asked["relation"] or "trained"}
    n = plan_of(audit, VerifyConfig(screen=screen, **given), Path(plan), progress_for(ctx))
    note(ctx, f"{n:,} pictures to draw in {plan}")
    note(ctx, f"then: memaudit verify {audit.folder} --generated FOLDER --model NAME --relation RELATION")
