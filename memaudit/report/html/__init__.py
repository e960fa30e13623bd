"""The report as one self-contained page: a summary and a gallery of pictures become HTML that loads nothing."""

from memaudit.report.html.page import render
from memaudit.report.html.pictures import Gallery, Picture

__all__ = ["Gallery", "Picture", "render"]
