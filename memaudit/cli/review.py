"""`memaudit review`: findings one by one, and what people say of them into the allow-list."""

from __future__ import annotations

import datetime
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from memaudit.cli.root import SEVERITIES
from memaudit.errors import UsageError
from memaudit.streams import STDOUT, colored, deliver, say, width

if TYPE_CHECKING:
    from memaudit.store import Audit

KEYS = {"y": "dangerous", "n": "false alarm or accepted", "s": "skip", "b": "back", "q": "quit"}
DEFAULT_REASON = "false alarm"
MEMBERS = 5  # shown of a finding
CAPTION = 200  # characters of the representative that an entry keeps, for people


class _End(Exception):
    """No more answers: q, or the end of the input."""


@click.command()
@click.argument("audit", type=click.Path())
@click.option("--top", type=click.IntRange(min=1), default=20, show_default=True, help="Findings to go through.")
@click.option("--min-severity", type=click.Choice(SEVERITIES), default="info", show_default=True)
@click.option("--again", is_flag=True, help="Also those that have a label.")
@click.option("--allow", type=click.Path(), metavar="FILE", help="Default: memaudit-allow.toml beside the audit.")
@click.option("--stats", is_flag=True, help="Print precision per rule and severity from the labels, and end.")
@click.option(
    "--format", "-f", type=click.Choice(("terminal", "json")), default="terminal", show_default=True, help="Of --stats."
)
def review(
    audit: str,
    top: int,
    min_severity: str,
    again: bool,
    allow: str | None,
    stats: bool,
    format: str,  # noqa: A002
) -> None:
    """Label findings: y dangerous, n false alarm or accepted, s skip, b back, q quit.

    Labels go into the allow-list, each at once; what is labelled n no longer counts and stays visible as suppressed.
    Those that have a label are left out.
    """
    from memaudit.allow import list_path, load
    from memaudit.store import open_audit

    given = None if allow is None else Path(allow)
    opened = open_audit(audit, given if given is not None and given.exists() else None)
    path = list_path(opened.folder, given)
    if stats:
        from memaudit.precision import precision

        found = precision(load(path, required=given is not None))
        deliver(_as_json(found) if format == "json" else _as_table(found), STDOUT)
        return
    if format == "json":
        raise UsageError(
            "a review is a conversation", "only --stats comes as JSON", "memaudit review AUDIT --stats -f json"
        )
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # what was typed need not be UTF-8
    said = Review(opened, path, _chosen(opened, top, min_severity, again)).run()
    n = {label: sum(one == label for one in said.values()) for label in "yn"}
    deliver(f"{len(said)} labelled: {n['y']} dangerous, {n['n']} accepted\n", STDOUT)
    say(f"kept in {_escaped(str(path))}" if said else "nothing was written")


def _escaped(text: str) -> str:
    from memaudit.report import escape

    return escape.terminal(text)


def _chosen(audit: Audit, top: int, min_severity: str, again: bool) -> list[int]:
    """Cluster ids in the order of the report: what stands for each family by risk, then the others."""
    import polars as pl

    from memaudit.report.entries import ranked
    from memaudit.verdicts import judged

    judgement = judged(audit)
    heads = ranked(judgement.findings)
    rest = judgement.findings.filter(~pl.col("cluster_id").is_in(heads["cluster_id"].implode())).sort(
        "risk", "cluster_id", descending=[True, False]
    )
    severe = pl.col("severity").cast(pl.String).is_in(SEVERITIES[SEVERITIES.index(min_severity) :])
    ids = pl.concat([heads, rest]).filter(severe)["cluster_id"].to_list()
    return [cluster for cluster in ids if again or cluster not in judgement.now.labels][:top]


class Review:
    """One conversation: cards and questions on stderr, answers from stdin, each label saved at once."""

    def __init__(self, audit: Audit, path: Path, clusters: list[int]) -> None:
        self._audit, self._path, self._clusters = audit, path, clusters
        self._labels: dict[int, str] = {}

    def run(self) -> dict[int, str]:
        """Go through the findings until all are done, q, or the end of the input. Returns labels by cluster id."""
        if not self._clusters:
            say("nothing to label: all that is asked for has a label (--again), or there are no findings")
        at = 0
        try:
            while at < len(self._clusters):
                at = max(0, at + self._ask(at))
        except _End:
            pass
        return self._labels

    def _ask(self, at: int) -> int:
        """Show one finding and take one answer; returns how far to go."""
        from memaudit.report.summary import finding

        cluster = self._clusters[at]
        told = finding(self._audit, cluster, MEMBERS)
        self._show(told, at)
        while (key := _answer(f"[{at + 1}/{len(self._clusters)}] y/n/s/b/q: ").lower()[:1]) not in KEYS:
            say("  " + ", ".join(f"{k} {what}" for k, what in KEYS.items()))
        if key == "q":
            raise _End
        if key in "yn":
            self._label(told, key)
        return -1 if key == "b" else 1

    def _show(self, told: dict[str, Any], at: int) -> None:
        from memaudit.report.terminal import render_finding

        label = self._labels.get(self._clusters[at])
        notes = [f"You said {label}; another answer replaces it."] if label else []
        say("\n" + render_finding({**told, "notes": notes}, width(), colored(sys.stderr)).rstrip())

    def _label(self, told: dict[str, Any], label: str) -> None:
        from memaudit.allow import Entry, append
        from memaudit.suppression import member_keys

        reason, expires = None, None
        if label == "n":
            reason = _answer(f"  reason [{DEFAULT_REASON}]: ") or DEFAULT_REASON
            expires = _ask_date()
        exact = told["kind"] == "exact"
        entry = Entry(
            fingerprint=told["fingerprint"],
            template=told["template"],
            label=label,
            reason=reason,
            expires=expires,
            date=datetime.date.today(),
            kind=told["kind"],
            rule=told["rule"]["code"],
            severity=told["severity"],
            caption=told["representative"][:CAPTION] if told["template"] is None else None,
            members=() if exact else member_keys(self._audit, told["cluster_id"]),
        )
        append(self._path, entry)
        self._labels[told["cluster_id"]] = label


def _answer(question: str) -> str:
    """One line from stdin, asked for on stderr. Raises _End at the end of the input."""
    click.echo(question, nl=False, err=True)
    line = sys.stdin.readline()
    if not line:
        say("")
        raise _End
    return line.strip()


def _ask_date() -> datetime.date | None:
    while text := _answer("  expires, as 2027-01-31 [never]: "):
        try:
            return datetime.date.fromisoformat(text)
        except ValueError:
            say("  that is no date")
    return None


def _as_json(found: dict[str, Any]) -> str:
    from memaudit.report.machine import to_json

    return to_json(found)


def _as_table(found: dict[str, Any]) -> str:
    """Precision as lines of text."""
    if not found["labels"]:
        return "no labels yet: memaudit review AUDIT\n"
    rows = [(name, share) for part in ("by_rule", "by_severity") for name, share in found[part].items()]
    size = max(len(_escaped(name)) for name, _ in rows)
    lines = [f"{'':<{size}}  labels  true  precision   95 % interval"]
    for part in ("by_rule", "by_severity"):
        lines += [_row(_escaped(name), share, size) for name, share in found[part].items()] + [""]
    return "\n".join([*lines, _row("all", found["all"], size)]) + "\n"


def _row(name: str, share: dict[str, Any], size: int) -> str:
    interval = f"{100 * share['low']:.0f} to {100 * share['high']:.0f} %"
    return f"{name:<{size}}  {share['n']:>6}  {share['true']:>4}  {100 * share['precision']:>7.0f} %   {interval}"
