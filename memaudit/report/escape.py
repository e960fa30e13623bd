"""Captions come from strangers: what may reach a terminal, a Markdown page or a JSON file, each by one function."""

from __future__ import annotations

import re
import unicodedata

LONGEST = 4096  # characters of one text that a report shows at most; the middle of a longer one is left out
MARK_RUN = 4  # combining marks in a row; more only smear over neighbouring lines
_JOINERS = "\u200c\u200d"  # invisible, but Persian, Indic scripts and emoji need them
_BREAKS = re.compile(r"[\s\u0085\u2028\u2029]+")
_MARKDOWN_UNSAFE = re.compile(r"[^\w\s]|_", re.ASCII)


def terminal(text: str, longest: int = LONGEST) -> str:
    """`text` on one line, every character of it visible.

    Runs of white space and line breaks become one space. Control characters (ANSI escapes among them), direction
    overrides, zero-width, private and unassigned characters are spelled out: \\x1b, \\u202e. Rich markup is none of its
    business: captions go to rich as `Text`.
    """
    text = _BREAKS.sub(" ", _cut(text, longest)).strip()
    if text.isascii() and text.isprintable():
        return text
    out, marks = [], 0
    for char in text:
        if unicodedata.category(char) in ("Mn", "Me"):
            marks += 1
            if marks <= MARK_RUN:
                out.append(char)
            continue
        marks = 0
        out.append(char if char.isprintable() or char in _JOINERS else _spelled(char))
    return "".join(out)


def markdown(text: str, longest: int = LONGEST) -> str:
    """`text` as inline code that is safe in a table cell of GitHub's Markdown: no HTML, links, mentions or pipes.

    Back-ticks, pipes and back-slashes cannot be told apart inside a table's code span, so texts that hold one become
    <code> with every mark of punctuation as an entity.
    """
    text = terminal(text, longest)
    if not text:
        return ""
    if not any(c in text for c in "`|\\"):
        return f"`{text}`"
    return f"<code>{_MARKDOWN_UNSAFE.sub(_entity, text)}</code>"


def json_text(encoded: str) -> str:
    """A JSON document with the characters that could act on a terminal as \\u escapes; its value is the same.

    encoded: what `json.dumps(..., ensure_ascii=False)` returned.
    """
    if encoded.isascii() and "\x7f" not in encoded:
        return encoded
    return "".join(c if c == "\n" or c in _JOINERS or not _acts(c) else _json_escape(c) for c in encoded)


def _cut(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]} … {text[-half:]}"


def _spelled(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _entity(match: re.Match[str]) -> str:
    return f"&#{ord(match[0])};" if ord(match[0]) < 0x80 else match[0]


def _acts(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _json_escape(char: str) -> str:
    raw = char.encode("utf-16-be", errors="surrogatepass")
    return "".join(f"\\u{raw[i]:02x}{raw[i + 1]:02x}" for i in range(0, len(raw), 2))
