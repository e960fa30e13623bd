"""The forecast of a scan as text: what it takes, what repeats, and what no sample can tell."""

from __future__ import annotations

import re
import shutil
import textwrap
from typing import TYPE_CHECKING, Any

from memaudit import __version__
from memaudit.report import escape
from memaudit.report.words import number, percent, plural, seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BOLD, QUIET, WARN, PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[33m", "\x1b[0m"
BLANK = ("", "")  # style and text of a line
TIE = "\N{NO-BREAK SPACE}"
NARROWEST, WIDEST, LABEL = 40, 100, 12  # cells: of a line, and of the words before a fact


def render(forecast: dict[str, Any], width: int | None = None, color: bool = False) -> str:
    """The dict of `memaudit.forecast.forecast` as text ending in a newline; width in cells, None: this terminal's."""
    width = min(max(width or shutil.get_terminal_size((80, 24)).columns, NARROWEST), WIDEST)
    lines = [*_head(forecast, width), BLANK]
    lines += _section("What it takes", _costs(forecast), width)
    lines += [BLANK, *_section("What repeats", _repeats(forecast), width), BLANK]
    lines += [(QUIET, line) for note in _notes(forecast) for line in _wrapped(note, width)]
    lines += [(WARN, line) for note in _warnings(forecast) for line in _wrapped(note, width)]
    return "".join(f"{style}{text}{PLAIN}\n" if color and style else f"{text}\n" for style, text in lines)


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` characters; a number is not torn from its unit, nor a stage from its seconds."""
    tied = re.sub(r"(?<=[\da-z]) (?=\d)|(?<=\d) (?=%|(?:s|min|h|MB|GB|TB)\b)", TIE, text)
    return [line.replace(TIE, " ") for line in textwrap.wrap(tied, width)] or [""]


def size(n_bytes: float) -> str:
    """640 MB, 1.5 GB, 2.3 TB (powers of ten)."""
    for unit, power in (("TB", 1e12), ("GB", 1e9)):
        if n_bytes >= 0.9995 * power:
            return f"{n_bytes / power:.1f} {unit}"
    return f"{n_bytes / 1e6:.0f} MB"


def _rounded(n: float) -> str:
    """An estimate with two digits: 7,800,000."""
    return number(round(n, -max(0, len(str(int(n))) - 2)))


def _head(forecast: dict[str, Any], width: int) -> Iterator[tuple[str, str]]:
    title = f"memaudit {__version__}  forecast of {escape.terminal(' '.join(forecast['data']))}"
    yield BOLD, title if len(title) <= width else f"{title[: width - 1]}…"
    rows = number(forecast["rows"]) if forecast["rows_known"] else f"about {_rounded(forecast['rows'])}"
    drawn = forecast["sample"]["captions"]
    told = "all of them read" if forecast["sample"]["whole"] else f"{number(drawn)} captions sampled"
    facts = f"{plural(forecast['files'], 'file', False)} · {rows} rows · {told}"
    yield from (("", line) for line in _wrapped(facts, width))


def _section(title: str, facts: Iterable[tuple[str, str]], width: int) -> Iterator[tuple[str, str]]:
    """A heading, then label and text a fact, the text wrapped under itself."""
    yield BOLD, title
    for label, text in facts:
        for i, line in enumerate(_wrapped(text, width - LABEL)):
            yield "", f"{'' if i else label:<{LABEL}}{line}"


def _costs(forecast: dict[str, Any]) -> Iterator[tuple[str, str]]:
    stages = " · ".join(f"{name} {seconds(took)}" for name, took in forecast["seconds"].items())
    yield (
        "time",
        f"about {seconds(sum(forecast['seconds'].values()))} on {plural(forecast['threads'], 'core')}: {stages}",
    )
    yield "memory", f"about {size(forecast['memory'])} of a budget of {size(forecast['budget'])} (--memory)"
    free = "" if forecast["free"] is None else f"; {size(forecast['free'])} free there"
    yield "disk", f"about {size(forecast['work'])} while it runs, {size(forecast['audit'])} at the end{free}"


def _repeats(forecast: dict[str, Any]) -> Iterator[tuple[str, str]]:
    found = forecast["repetition"]
    if found["exact"]:
        yield "exact", f"{percent(found['estimate'], 1)} of captions repeat an earlier one"
        yield "distinct", f"{number(forecast['texts'])} captions"
    else:
        least = f"at least {percent(found['at_least'], 1)} of captions repeat an earlier one, as in the sample"
        yield "exact", f"{least}; about {percent(found['estimate'])} extrapolated to all"
        yield "distinct", f"about {_rounded(forecast['texts'])} captions"
    for kind in ("near", "template"):
        yield kind, "only the scan can tell"


def _notes(forecast: dict[str, Any]) -> Iterator[str]:
    yield "Nothing was written. Near duplicates and template risk cannot be estimated from a sample: it thins them out."
    if not forecast["repetition"]["exact"]:
        yield (
            "Extrapolated: new captions get rarer with size as they do within the sample; too low where captions "
            "repeat only once or twice."
        )
    if not forecast["rows_known"]:
        yield "Rows were estimated from file sizes and the first lines."
    if forecast["sample"]["heads"]:
        yield "Of text files the first rows were sampled, not random ones."


def _warnings(forecast: dict[str, Any]) -> Iterator[str]:
    needed, free = forecast["work"] + forecast["audit"], forecast["free"]
    if free is not None and free < needed:
        yield f"Not enough space: about {size(needed)} are needed and {size(free)} are free. Try another -o."
    for path, what in forecast["bad_files"][:3]:
        yield f"not read: {escape.terminal(what if path in what else f'{path}: {what}')}"
    if len(forecast["bad_files"]) > 3:
        yield f"and {len(forecast['bad_files']) - 3} more files"
