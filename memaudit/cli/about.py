"""`memaudit rules` and `memaudit doctor`: what memaudit knows, and what this machine has."""

from __future__ import annotations

import click

from memaudit.streams import STDOUT, deliver, width


@click.command()
@click.argument("code", required=False)
def rules(code: str | None) -> None:
    """The rule catalogue: what a finding means and what to do about it."""
    from memaudit.rules import catalogue, rule

    if code is None:
        lines = [f"{r.code}  {r.kind:<9} {r.title}" for r in catalogue().values()]
        deliver("\n".join([*lines, "", "memaudit rules CODE says more."]) + "\n", STDOUT)
        return
    one = rule(code)
    facts = {"kind": one.kind, "what": one.what, "example": one.example, "remedy": one.remedy}
    if one.references:
        facts["see"] = ", ".join(one.references)
    body = [click.wrap_text(text, width(), f"{name:<9}", " " * 9) for name, text in facts.items()]
    deliver("\n".join([f"{one.code}  {one.title}", "", *body]) + "\n", STDOUT)


@click.command()
def doctor() -> None:
    """Versions, devices, memory, what is missing and how to get it."""
    from memaudit.doctor import report_lines

    deliver("\n".join(report_lines()) + "\n", STDOUT)
