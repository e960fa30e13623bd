"""Charts as inline SVG, from numbers alone: no text of a dataset reaches them, and no style but classes.

Every chart has a title for screen readers; what it shows stands beside it as text or a table.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from memaudit.report.words import compact, number, percent
from memaudit.schemas import KINDS, SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

WIDTH = 360  # user units, about CSS pixels, of a chart
LEFT, RIGHT, TOP, BOTTOM = 38, 8, 20, 30
STACK = (*SEVERITIES, "suppressed")  # from the axis up
HAIR = 1.5  # user units: what is there is seen


def _num(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _tag(name: str, body: str = "", **attributes: float | str) -> str:
    """One element. attributes: class_ is class, _ is -."""
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_num(v) if isinstance(v, int | float) else v)}"'
        for key, v in attributes.items()
    )
    return f"<{name}{said}>{body}</{name}>" if body else f"<{name}{said}/>"


def _text(x: float, y: float, said: str, anchor: str = "middle", class_: str = "tick") -> str:
    return _tag("text", str(escape(said)), x=x, y=y, text_anchor=anchor, class_=class_)


def _chart(title: str, height: float, parts: Iterable[str], width: float = WIDTH, class_: str = "chart") -> Markup:
    head = _tag("title", str(escape(title)))
    body = head + "".join(parts)
    box = f"0 0 {_num(width)} {_num(height)}"
    return Markup(_tag("svg", body, viewBox=box, role="img", class_=class_))


def ceiling(value: float) -> float:
    """A round number that is no less than `value`, at least 1: whole, and at most a half more."""
    power: float = 10.0 ** max(0, math.floor(math.log10(max(value, 1))))
    steps = (1, 2, 3, 4, 5, 6, 8, 10) if power == 1 else (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)
    return next(step * power for step in steps if step * power >= value * (1 - 1e-12))


def histogram(bins: Sequence[Mapping[str, Any]], height: float = 190) -> Markup:
    """Findings by risk, stacked by severity. bins: as `overview.risk`, ascending."""
    totals = [sum(b[name] for name in STACK) for b in bins]
    top, plot = ceiling(max(totals, default=0)), height - TOP - BOTTOM
    step = (WIDTH - LEFT - RIGHT) / max(1, len(bins))
    parts = _grid([(TOP + plot * (1 - share), compact(top * share)) for share in _levels(top)], height)
    for i, one in enumerate(bins):
        y = TOP + plot
        for name in STACK:
            if not one[name]:
                continue
            tall = max(HAIR, plot * one[name] / top)
            y -= tall
            tip = f"{one['start']:.2f} to {one['start'] + 1 / len(bins):.2f}: {number(one[name])} {name}"
            box = {"x": LEFT + i * step + 0.75, "y": y, "width": step - 1.5, "height": tall}
            parts.append(_tag("rect", _tag("title", tip), class_=f"s-{name}", **box))
    parts += [
        _text(LEFT + share * (WIDTH - LEFT - RIGHT), height - BOTTOM + 14, f"{share:g}")
        for share in (0, 0.25, 0.5, 0.75, 1)
    ]
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, height - 3, "risk (a rank score)", class_="axis"))
    parts.append(_text(0, 9, "findings", "start", "axis"))
    return _chart(f"Histogram of risk over {number(sum(totals))} findings", height, parts)


def _levels(top: float) -> tuple[float, ...]:
    """Shares of an axis that are labelled: the middle where it is a whole number."""
    return (0, 0.5, 1) if top % 2 == 0 else (0, 1)


def _grid(levels: Iterable[tuple[float, str]], height: float) -> list[str]:
    """Horizontal lines with their labels; the lowest is the axis."""
    out = []
    for y, said in levels:
        base = "base" if y >= height - BOTTOM - 0.01 else "rule"
        out.append(_tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_=base))
        out.append(_text(LEFT - 5, y + 3.5, said, "end"))
    return out


def sizes(by_kind: Mapping[str, Sequence[Mapping[str, int]]], height: float = 190) -> Markup:
    """Clusters by their rows, both axes logarithmic. by_kind: as `overview.sizes`."""
    points = [one for kind in KINDS for one in by_kind.get(kind, ())]
    right = max(1, math.ceil(math.log10(2 * max((p["rows"] for p in points), default=5))))
    up = max(1, math.ceil(math.log10(max((p["clusters"] for p in points), default=1)) + 1e-9))
    wide, plot = WIDTH - LEFT - RIGHT - 6, height - TOP - BOTTOM

    def at(one: Mapping[str, int]) -> tuple[float, float]:
        x = LEFT + 6 + wide * (math.log10(one["rows"]) / right)
        return x, TOP + plot * (1 - math.log10(one["clusters"]) / up)

    every = 1 + (up - 1) // 4
    parts = _grid([(TOP + plot * (1 - k / up), compact(10**k)) for k in range(0, up + 1, every)], height)
    skip = 1 + (right - 1) // 6
    parts += [
        _text(LEFT + 6 + wide * k / right, height - BOTTOM + 14, compact(10**k), "end" if k == right else "middle")
        for k in range(0, right + 1, skip)
    ]
    for kind in KINDS:
        places = [(*at(one), one) for one in by_kind.get(kind, ())]
        if len(places) > 1:
            line = " ".join(f"{_num(x)},{_num(y)}" for x, y, _ in places)
            parts.append(_tag("polyline", points=line, class_=f"line k-{kind}"))
        for x, y, one in places:
            tip = f"{kind}: {number(one['clusters'])} of {number(one['rows'])} to {number(2 * one['rows'] - 1)} rows"
            parts.append(marker(kind, x, y, tip))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, height - 3, "rows of a cluster (log)", class_="axis"))
    parts.append(_text(0, 9, "clusters (log)", "start", "axis"))
    return _chart("Clusters by their number of rows, on logarithmic axes", height, parts)


def marker(kind: str, x: float, y: float, tip: str = "") -> str:
    """A kind has a shape as well as a colour: circle exact, square near, triangle template."""
    title = _tag("title", str(escape(tip))) if tip else ""
    if kind == "exact":
        return _tag("circle", title, cx=x, cy=y, r=3.5, class_=f"mark k-{kind}")
    if kind == "near":
        return _tag("rect", title, x=x - 3.2, y=y - 3.2, width=6.4, height=6.4, class_=f"mark k-{kind}")
    tip_to = " ".join(f"{_num(x + dx)},{_num(y + dy)}" for dx, dy in ((0, -4.2), (4.2, 3.4), (-4.2, 3.4)))
    return _tag("polygon", title, points=tip_to, class_=f"mark k-{kind}")


def key(kind: str) -> Markup:
    """The marker of a kind, for a legend."""
    return Markup(_tag("svg", marker(kind, 6, 6), viewBox="0 0 12 12", class_="key", aria_hidden="true"))


def stacked(
    parts: Sequence[tuple[str, int]], title: str, prefix: str, width: float = WIDTH, tall: float = 14
) -> Markup:
    """One bar of parts: (name, count) each; the class of a part is prefix + name. Parts that are there are seen."""
    told = [(name, n) for name, n in parts if n]
    total, gap = sum(n for _, n in told), 1.5
    room = width - gap * max(0, len(told) - 1)
    widths = [max(HAIR, room * n / total) for _, n in told]
    shrink = room / sum(widths) if widths else 1
    x, drawn = 0.0, []
    for (name, n), wide in zip(told, widths, strict=True):
        tip = _tag("title", str(escape(f"{name.replace('_', ' ')}: {number(n)}")))
        drawn.append(_tag("rect", tip, x=x, y=0, width=wide * shrink, height=tall, class_=prefix + name))
        x += wide * shrink + gap
    if not told:
        drawn.append(_tag("rect", x=0, y=0, width=width, height=tall, class_="empty"))
    return _chart(title, tall, drawn, width, "bar")


def share(value: float | None, title: str, class_: str = "fill", width: float = 120) -> Markup:
    """A share in [0, 1] as a bar on its track; None is an empty one."""
    known = min(1.0, max(0.0, value or 0.0))
    parts = [_tag("rect", x=0, y=0, width=width, height=6, rx=1.5, class_="track")]
    if known:
        parts.append(_tag("rect", x=0, y=0, width=max(HAIR, known * width), height=6, rx=1.5, class_=class_))
    return _chart(title, 6, parts, width, "bar")


def feature(added: float, most: float, title: str, width: float = 120) -> Markup:
    """What a feature added to (right) or took from (left) the log-odds of a risk; `most` reaches the edge."""
    middle, room = width / 3, width * 2 / 3
    long = min(abs(added) / most, 1) * (room if added > 0 else middle) if most else 0.0
    parts = [_tag("line", x1=middle, x2=middle, y1=0, y2=10, class_="base")]
    if long:
        x = middle if added > 0 else middle - long
        parts.append(_tag("rect", x=x, y=2, width=max(HAIR, long), height=6, class_="more" if added > 0 else "less"))
    return _chart(title, 10, parts, width, "bar")


def interval(verdict: Mapping[str, Any], width: float = 300) -> Markup:
    """The rate of a verdict with its interval on 0 to 100 %, and the control and reference rates as ticks."""
    pad, wide, y = 8, width - 16, 17

    def x(rate: float) -> float:
        return pad + wide * min(1.0, max(0.0, rate))

    parts = [_tag("line", x1=pad, x2=pad + wide, y1=y, y2=y, class_="scale")]
    for at, anchor, shift in ((0.0, "start", -pad), (0.5, "middle", 0), (1.0, "end", pad)):
        parts.append(_tag("line", x1=x(at), x2=x(at), y1=y - 3, y2=y + 3, class_="scale"))
        parts.append(_text(x(at) + shift, y + 18, percent(at), anchor))
    low, high, rate = verdict["low"], verdict["high"], verdict["rate"]
    if low is not None and high is not None:
        long = max(HAIR, x(high) - x(low))
        parts.append(_tag("rect", class_="span", x=x(low), y=y - 4, width=long, height=8, rx=2))
    for name, letter in (("control_rate", "c"), ("reference_rate", "r")):
        if (known := verdict.get(name)) is not None:
            parts.append(_tag("line", x1=x(known), x2=x(known), y1=y - 9, y2=y + 7, class_=f"tick-{letter}"))
            inside = known < 0.97
            parts.append(_text(x(known) + (3.5 if inside else -3.5), y - 8, letter, "start" if inside else "end"))
    if rate is not None:
        parts.append(_tag("circle", cx=x(rate), cy=y, r=4.5, class_="rate"))
    return _chart(_interval_words(verdict), 37, parts, width, "interval")


def _interval_words(verdict: Mapping[str, Any]) -> str:
    out = [f"rate {percent(verdict['rate'])}, interval {percent(verdict['low'])} to {percent(verdict['high'])}"]
    known = [name for name in ("control", "reference") if verdict.get(f"{name}_rate") is not None]
    return ", ".join([*out, *(f"{name} rate {percent(verdict[f'{name}_rate'])}" for name in known)])
