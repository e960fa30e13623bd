"""Texts of strangers on a page: every character visible, long ones cut with their length told, templates in pieces."""

from __future__ import annotations

import re
from typing import Any

from memaudit.report import escape
from memaudit.report.words import number

LONGEST = 1200  # characters of one text on a card
LINE = 240  # of one in the table
_SLOT = re.compile(r"<(\*|num|size|roman|code)>")
SLOT_WORDS = {"*": "any words", "num": "number", "size": "size", "roman": "roman numeral", "code": "code"}


def clipped(text: str | None, longest: int = LONGEST) -> str:
    """`text` on one line; of a longer one the beginning, and how long it is."""
    if text is None:
        return ""
    if len(text) <= longest:
        return escape.terminal(text)
    return f"{escape.terminal(text[:longest])} … ({number(len(text))} characters)"


def clip_end(text: str, longest: int = 80) -> str:
    """A path or reference: of a long one the end."""
    return escape.terminal(text if len(text) <= longest else "…" + text[1 - longest :])


def pieces(template: str, slots: list[dict[str, Any]], longest: int = LONGEST) -> list[dict[str, str]]:
    """A template as [{"kind": "word" | "slot" | "end", "text", "says"}]; `<*>` takes the type of its slot.

    A literal `<` is written `\\<` in a template and shown as `<`.
    """
    out: list[dict[str, str]] = []
    kinds = iter(slots)
    if len(template) > longest:
        shown, rest = template[:longest].rsplit(" ", 1)[0], f" … ({number(len(template))} characters)"
    else:
        shown, rest = template, ""
    for token in shown.split(" "):
        if token in ("^", "$"):
            says = "the caption begins here" if token == "^" else "the caption ends here"
            out.append({"kind": "end", "text": token, "says": says})
        elif (found := _SLOT.fullmatch(token)) is None:
            said = escape.terminal(token.replace("\\<", "<"), longest)
            if out and out[-1]["kind"] == "word":
                out[-1]["text"] += " " + said
            else:
                out.append({"kind": "word", "text": said, "says": ""})
        else:
            out.append({"kind": "slot", "text": found[1], "says": _slot_words(found[1], kinds)})
    return [*out, {"kind": "word", "text": rest.strip(), "says": ""}] if rest else out


def _slot_words(name: str, slots: Any) -> str:
    if name != "*":
        return SLOT_WORDS[name]
    kind = next(slots, {"type": "text"})["type"]
    return SLOT_WORDS["*"] if kind == "text" else escape.terminal(kind, 20)
