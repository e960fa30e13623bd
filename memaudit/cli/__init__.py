"""The command line: parse, call, choose the exit code. It computes nothing and loads libraries where they are used."""

from memaudit.cli import about, check, clean, diff, export, report, review, scan, verify
from memaudit.cli.root import main

__all__ = ["main"]

for command in (
    scan.scan,
    verify.verify,
    report.report,
    export.export,
    clean.clean,
    check.check,
    report.show,
    diff.diff,
    review.review,
    about.rules,
    about.doctor,
):
    main.add_command(command)
