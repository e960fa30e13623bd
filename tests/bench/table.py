"""Markdown tables, and the generated parts of pages: what stands between two HTML comments."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; pipes inside cells are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    if any(len(row) != len(head) for row in rows):
        raise ValueError("a row has another number of cells than the head")
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines)


def seconds(value: float) -> str:
    """0.42 s, 6.6 s, 42 s, 12 min."""
    if value >= 600:
        return f"{value / 60:.0f} min"
    return f"{value:.2f} s" if value < 1 else f"{value:.1f} s" if value < 99.5 else f"{value:.0f} s"


def megabytes(value: float) -> str:
    """640 MB, 1.52 GB, 2.30 TB (powers of ten)."""
    for unit, size in (("TB", 1e6), ("GB", 1e3)):
        if value >= 0.9995 * size:
            return f"{value / size:.2f} {unit}"
    return f"{value:.0f} MB"


def rate(value: float) -> str:
    """Captions a second, three digits of it: 151,000."""
    if value <= 0:
        return "–"
    digits = max(0, len(str(int(value))) - 3)
    return f"{round(value, -digits):,.0f}"


def times(value: float) -> str:
    """3.2 x, 410 x."""
    return f"{value:.2f} x" if value < 1 else f"{value:.1f} x" if value < 99.5 else f"{value:,.0f} x"


def put_between(page: Path, name: str, text: str) -> None:
    """Replace what stands between `<!-- name -->` and `<!-- /name -->` in `page`; the prose around it stays.

    Raises ValueError where the page has not exactly one such pair.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    page_text = page.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if len(pattern.findall(page_text)) != 1:
        raise ValueError(f"{page.name} needs one pair of {begin} and {end}")
    page.write_text(pattern.sub(lambda _: f"{begin}\n\n{text.strip()}\n\n{end}", page_text), encoding="utf-8")
