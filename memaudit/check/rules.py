"""What counts as a match: the numbers that `plain` and `matching` share. How they were chosen: docs/check.md."""

from __future__ import annotations

from typing import NamedTuple

KINDS = ("exact", "near", "partial", "template", "trigger")
"""The closest first; a finding counts with its closest match."""
EXACT, NEAR, PARTIAL, TEMPLATE, TRIGGER = range(len(KINDS))

MIN_WORDS = 3  # of a prompt and a member that are near: of one or two words, one changed word is another caption
SHARED = 0.8  # partial: of the information in the prompt's words, or the member's, that both hold
LEAST_BITS = 30  # partial: information of the shared words
WORD_BITS = 12  # that one word is worth at most, so that three rare words are enough and two are not
UNSEEN = 100  # texts that the audit might have held: words of a tiny set carry information too
UNITS = 16  # of one bit: information is counted in whole numbers, so that order of summing does not matter
RAREST = 0.1  # of a member's shingles, and one, through which it is found where a prompt holds it and more
RARE_WORDS = 2  # of a prompt, whose members are all looked at: in another order a prompt shares words only
RARE_MEMBERS = 64  # that a word has at most that counts as rare there
FRAMES_FROM = "low"  # severity of findings whose templates and triggers are looked for
BUDGET = 4096  # entries of lists that are looked at for one prompt
MOST = 64  # findings of one prompt that are kept, the worst


class Hit(NamedTuple):
    """One finding that a prompt matches. finding: its number in the index; kind: of KINDS; similarity: Jaccard of
    near, shared information of partial, the share of the prompt's tokens that a template fixes, 1 of exact, 0 of
    trigger; source: the member, frame or word set."""

    finding: int
    kind: int
    similarity: float
    source: int
