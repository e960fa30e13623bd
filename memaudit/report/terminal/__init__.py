"""The report on a terminal: with the progress bar all that imports rich. Captions reach it as `Text`, not as markup."""

from memaudit.report.terminal.cleaned import render_cleaned
from memaudit.report.terminal.cluster import render_finding
from memaudit.report.terminal.page import render

__all__ = ["render", "render_cleaned", "render_finding"]
