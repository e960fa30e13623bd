"""`memaudit check`: does this prompt match a finding?"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from memaudit.cli.root import ALLOW, AUDIT, SEVERITIES, note, opened_audit
from memaudit.errors import EXIT_FINDINGS, EXIT_OK, UsageError
from memaudit.streams import STDOUT, put, width

if TYPE_CHECKING:
    from memaudit.check.answers import Match
    from memaudit.store import Audit


@click.command()
@AUDIT
@click.argument("prompt", required=False)
@click.option("--file", metavar="PROMPTS", help="Text with one prompt a line, csv, jsonl, parquet; - is stdin.")
@click.option("--column", metavar="NAME", help="Of a table of prompts. Default: by name, as scan does.")
@click.option("--min-severity", type=click.Choice(SEVERITIES), default="info", show_default=True, help="Of findings.")
@click.option("--fail-on", type=click.Choice(SEVERITIES), help="Exit with 1 for a match at or above this severity.")
@click.option(
    "--format", "-f", type=click.Choice(("terminal", "json")), help="Default: terminal for one prompt, else json."
)
@ALLOW
@click.pass_context
def check(
    ctx: click.Context,
    audit: str,
    prompt: str | None,
    file: str | None,
    column: str | None,
    min_severity: str,
    fail_on: str | None,
    format: str | None,  # noqa: A002
    allow: str | None,
) -> None:
    """Look a prompt, or a file of prompts, up in AUDIT: which finding does it match?

    A match is exact, near, partial, by a template or by a trigger; of several findings the worst comes first. Files and
    pipes give a line of JSON for each prompt, in order. No match in this audit is no evidence that nothing is
    memorised. PROMPT may be - for stdin.
    """
    if (prompt is None) == (file is None):
        why = "neither was given" if prompt is None else "both were given"
        raise UsageError("check takes a prompt or --file", why, 'memaudit check AUDIT "a prompt"')
    opened, least = opened_audit(audit, allow), SEVERITIES.index(min_severity)
    if file is None and prompt != STDOUT:
        assert prompt is not None
        worst = _one(ctx, opened, prompt, least, format or "terminal")
    elif format == "terminal":
        raise UsageError("many prompts come as JSON", "-f terminal is for one prompt", "-f json")
    else:
        worst = _many(ctx, opened, file or STDOUT, column, min_severity)
    failed = fail_on is not None and worst >= SEVERITIES.index(fail_on)
    ctx.exit(EXIT_FINDINGS if failed else EXIT_OK)


def _one(ctx: click.Context, audit: Audit, prompt: str, least: int, form: str) -> int:
    """Print what one prompt matches; returns the highest severity, -1 for no match."""
    from memaudit.check.answers import Answers, quoted
    from memaudit.check.index_of import index_of
    from memaudit.check.plain import match

    stored = index_of(audit)
    answers = Answers(stored.index, least)
    text = prompt.encode("utf-8", "surrogateescape")  # what was typed need not be UTF-8
    hits = answers.counted(match(stored.index, text, stored.facts["threshold"]))
    if form == "json":
        put(answers.line(1, quoted(text.decode("utf-8", "replace")), hits) + "\n", sys.stdout)
    else:
        put(_as_text(answers.match(hits)), sys.stdout)
    _note_unread(ctx, stored.facts)
    return answers.worst(hits)


def _many(ctx: click.Context, audit: Audit, path: str, column: str | None, min_severity: str) -> int:
    from memaudit.check.guard import Guard
    from memaudit.check.many import check_blocks
    from memaudit.check.prompts import blocks

    guard = Guard(audit, min_severity=min_severity)
    prompts, matched, worst = 0, 0, -1
    for block in check_blocks(guard, blocks(path, column)):
        sys.stdout.write(block.text)
        prompts, matched, worst = prompts + block.prompts, matched + block.matched, max(worst, block.worst)
    noun = "prompt" if prompts == 1 else "prompts"
    note(ctx, f"{prompts:,} {noun}: {matched:,} match a finding, {prompts - matched:,} no match in this audit")
    _note_unread(ctx, guard.facts)
    return worst


def _note_unread(ctx: click.Context, facts: dict[str, Any]) -> None:
    """Say what near matches lack where the data could not be read when the index was made."""
    from memaudit.report.escape import terminal

    for path, why in facts["unread"].items():
        note(ctx, f"captions of {terminal(path)} could not be read ({terminal(why)}): near to them is not seen")


def _as_text(match: Match | None) -> str:
    """One prompt's answer for people."""
    from memaudit.check.answers import NO_MATCH, judged
    from memaudit.report.escape import terminal

    if match is None:
        return f"{NO_MATCH}\n"
    size = f" {match.similarity:.2f}" if match.similarity is not None and match.kind != "exact" else ""
    facts = {
        "match": f"{match.kind}{size}",
        "finding": f"{match.fingerprint}  {match.finding}, {match.severity}, risk {match.risk:.2f}, "
        f"{match.n_rows:,} {'row' if match.n_rows == 1 else 'rows'}",
        "template": match.template,
        "caption": match.representative,
        "trigger": f"{' '.join(match.words)} (purity {match.purity:.2f})" if match.words else None,
        "verdict": judged(match.verdict),
    }
    lines = [f"{name:<9} {terminal(text, width() * 4)}" for name, text in facts.items() if text is not None]
    lines += [f"{'also':<9} {o.fingerprint}  {o.kind}, {o.severity}, risk {o.risk:.2f}" for o in match.others]
    hidden = match.n_findings - 1 - len(match.others)
    return "\n".join([*lines, *([f"{'':<9} and {hidden:,} more findings"] if hidden else []), ""])
