"""The table and the plot of docs/does-it-help.md, from what `helped` measured."""

from __future__ import annotations

from statistics import mean
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

Found = "Mapping[tuple[int, str], dict[str, Any]]"

NAMES = {
    "a": "whole set",
    "b": "deduplicated text",
    "c": "memaudit clean",
    "d": "memaudit clean, captions only",
    "e": "random rows removed",
}
GROUPS = {
    "repeated captions": ("duplicate", "dose 50", "dose 20"),
    "dose 2 to 10": ("dose 2", "dose 5", "dose 10"),
    "image templates": ("image_template",),
    "unseen fillers": ("unseen_filler",),
    "one caption, many pictures": ("same_caption",),
    "decoy templates": ("decoy",),
    "unique": ("unique",),
    "held out": ("held_out",),
}
COLOURS = {"a": "#b42318", "b": "#b54708", "c": "#1f6f54", "d": "#5b7fb5", "e": "#868e96"}


def rate(result: dict[str, Any], groups: Iterable[str] | None = None) -> float:
    """Pictures that copy, of all pictures of the prompts in these groups (None: of all prompts)."""
    chosen = [p for p in result["prompts"] if groups is None or p["group"] in groups]
    return sum(p["copies"] for p in chosen) / (len(chosen) * result["samples"])


def loss(result: dict[str, Any]) -> float:
    return mean(result["held_out"])


def table(found: Found, rows: Mapping[tuple[int, str], Path]) -> str:
    """Markdown: per arm the mean over seeds, lowest and highest in brackets where they differ."""
    arms = sorted({arm for _, arm in found})
    lines = ["| |" + "|".join(f" ({arm}) {NAMES[arm]} " for arm in arms) + "|", "|---|" + "---|" * len(arms)]
    sizes = {run: pl.scan_parquet(path).select(pl.len()).collect().item() for run, path in rows.items()}
    lines.append(_line("rows trained on", arms, {run: float(n) for run, n in sizes.items()}, "{:,.0f}"))
    for name, groups in GROUPS.items():
        values = {run: 100 * rate(result, groups) for run, result in found.items()}
        lines.append(_line(f"copies: {name}, %", arms, values, "{:.1f}"))
    lines.append(_line("copies: all prompts, %", arms, {r: 100 * rate(v) for r, v in found.items()}, "{:.1f}"))
    lines.append(_line("loss on held-out pairs", arms, {r: loss(v) for r, v in found.items()}, "{:.4f}"))
    return "\n".join(lines)


def _line(name: str, arms: list[str], values: dict[tuple[int, str], float], form: str) -> str:
    cells = []
    for arm in arms:
        some = [value for (_, a), value in values.items() if a == arm]
        low, high = form.format(min(some)), form.format(max(some))
        cells.append(form.format(mean(some)) + (f" ({low} to {high})" if low != high else ""))
    return f"| {name} | " + " | ".join(cells) + " |"


def plot(found: Found) -> str:
    """SVG: per group a row, per arm a dot for each seed and a bar to their mean; below, the loss."""
    arms = sorted({arm for _, arm in found})
    left, width, step, top = 210, 460, 11, 46
    parts, y = [], top
    for name, groups in GROUPS.items():
        parts.append(f'<text x="{left - 10}" y="{y + step * len(arms) / 2 + 3:.0f}" text-anchor="end">{name}</text>')
        for arm in arms:
            values = [rate(result, groups) for (_, a), result in found.items() if a == arm]
            parts.append(_bar(left, y, width * mean(values), COLOURS[arm]))
            parts += [_dot(left + width * v, y + 4, COLOURS[arm]) for v in values]
            y += step
        y += 9
    bottom = y
    grid = "".join(
        f'<path d="M{left + width * s / 4:.0f} {top - 6}V{bottom}" stroke="#ddd"/>'
        f'<text x="{left + width * s / 4:.0f}" y="{bottom + 14}" text-anchor="middle">{25 * s} %</text>'
        for s in range(5)
    )
    y += 34
    parts.append(f'<text x="{left}" y="{y}">loss on held-out pairs (the axis does not begin at 0)</text>')
    losses = {arm: [loss(r) for (_, a), r in found.items() if a == arm] for arm in arms}
    low, high = min(map(min, losses.values())), max(map(max, losses.values()))
    low, high = low - 0.15 * (high - low), high + 0.05 * (high - low)
    for arm, values in losses.items():
        y += 16
        parts.append(f'<text x="{left - 10}" y="{y + 4}" text-anchor="end">({arm}) {NAMES[arm]}</text>')
        parts += [_dot(left + width * (v - low) / (high - low), y, COLOURS[arm], 4) for v in values]
        parts.append(f'<text x="{left + width + 12}" y="{y + 4}">{mean(values):.3f}</text>')
    legend = "".join(
        f'<rect x="{20 + 146 * i}" y="14" width="10" height="10" fill="{COLOURS[arm]}"/>'
        f'<text x="{34 + 146 * i}" y="23">({arm}) {NAMES[arm].replace("memaudit ", "")}</text>'
        for i, arm in enumerate(arms)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 {y + 20}" font-family="sans-serif" font-size="11" '
        f'fill="#222" role="img"><title>Share of pictures that copy, by group of prompts and training set</title>'
        f'<rect width="760" height="{y + 20}" fill="#fff"/>{legend}{grid}{"".join(parts)}</svg>\n'
    )


def _bar(x: float, y: float, width: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y}" width="{max(width, 0.5):.1f}" height="8" fill="{colour}" opacity=".55"/>'


def _dot(x: float, y: float, colour: str, radius: float = 2.5) -> str:
    return f'<circle cx="{x:.1f}" cy="{y}" r="{radius}" fill="{colour}"/>'
