"""The allow-list's file: what is written is read back, what is not understood is an error, comments stay."""

from __future__ import annotations

import datetime
import tomllib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memaudit.allow import HEADER, Entry, append, list_path, load, quoted, to_toml
from memaudit.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

HEX = st.text("0123456789abcdef", min_size=16, max_size=16)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
ENTRIES = st.builds(
    Entry,
    fingerprint=HEX,
    template=st.none() | TEXT.map(str.strip),
    label=st.sampled_from("yn"),
    reason=st.none() | TEXT,
    expires=st.none() | st.dates(datetime.date(1000, 1, 1)),
    date=st.none() | st.dates(datetime.date(1000, 1, 1)),
    kind=st.none() | st.sampled_from(("exact", "near", "template")),
    rule=st.none() | TEXT,
    severity=st.none() | st.sampled_from(("info", "high")),
    caption=st.none() | TEXT,
    members=st.lists(HEX, max_size=3).map(tuple),
)
ODD = "\x1b[31mred\x07 \u202eevil \u200b\x00\x7f\u2028 \"quoted\" \\ \U000e0041 ''' # no comment\n[[allow]]"


@given(ENTRIES)
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, entry: Entry) -> None:
    path = tmp_path_factory.mktemp("list") / "allow.toml"
    append(path, entry)
    assert load(path) == [entry]


@given(st.text())
def test_strings_hold_anything_and_show_nothing_that_acts(text: str) -> None:
    written = quoted(text)
    assert written.isprintable()
    surrogates = dict.fromkeys(range(55296, 57344), "�")
    assert tomllib.loads(f"x = {written}")["x"] == text.translate(surrogates)


def test_hostile_captions(tmp_path: Path) -> None:
    append(tmp_path / "allow.toml", Entry(fingerprint="0" * 16, reason=ODD, caption=ODD, template=ODD))
    (entry,) = load(tmp_path / "allow.toml")
    assert (entry.reason, entry.caption) == (ODD, ODD)
    assert (tmp_path / "allow.toml").read_text(encoding="utf-8").replace("\n", "").isprintable()


def test_comments_stay_and_the_last_entry_holds(tmp_path: Path) -> None:
    path = tmp_path / "allow.toml"
    mine = '# mine\n[[allow]]\nfingerprint = "AAAAAAAAAAAAAAAA" # upper case is fine\nreason = "old"'
    assert not mine.endswith("\n")
    path.write_text(mine, encoding="utf-8")
    append(path, Entry(fingerprint="b" * 16))
    append(path, Entry(fingerprint="a" * 16, label="y"))
    assert path.read_text(encoding="utf-8").startswith(mine + "\n")
    assert [(entry.fingerprint, entry.label) for entry in load(path)] == [("b" * 16, "n"), ("a" * 16, "y")]


def test_a_new_file_says_what_it_is_and_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "link.toml").symlink_to(tmp_path / "real.toml")
    append(tmp_path / "link.toml", Entry(fingerprint="b" * 16))
    assert (tmp_path / "link.toml").is_symlink()
    assert (tmp_path / "real.toml").read_text(encoding="utf-8") == f"{HEADER}\n{to_toml(Entry(fingerprint='b' * 16))}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.toml", "real.toml"]


def test_where_the_list_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list_path(tmp_path / "audit", None) == tmp_path / "memaudit-allow.toml"
    assert list_path(tmp_path / "audit", tmp_path / "x") == tmp_path / "x"
    assert load(tmp_path / "none.toml") == []
    with pytest.raises(UsageError, match="cannot read the allow-list"):
        load(tmp_path / "none.toml", required=True)
    (tmp_path / "audit").mkdir()
    monkeypatch.chdir(tmp_path / "audit")
    assert list_path(tmp_path.__class__(), None) == tmp_path / "memaudit-allow.toml"


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("[[allow]\n", "is not valid TOML", "mend"),
        ("[[allowed]]\n", "'allowed'", "[[allow]]"),
        ("allow = 3\n", "'allow'", "[[allow]]"),
        ("allow = [3]\n", "entry 1", "[[allow]]"),
        ('[[allow]]\nreason = "x"\n', "names no finding", "fingerprint"),
        ('[[allow]]\nfingerprint = "3f9a"\n', "fingerprint in entry 1", "in full"),
        ('[[allow]]\ntemplate = "a"\n[[allow]]\ntemplate = "b"\nreasn = "x"\n', "'reasn' in entry 2", "reason = ..."),
        ('[[allow]]\ntemplate = "a"\nexpires = "soon"\n', "expires in entry 1", "2027-01-31"),
        ('[[allow]]\ntemplate = "a"\nexpires = 2027\n', "expires in entry 1", "2027-01-31"),
        ('[[allow]]\ntemplate = "a"\nlabel = "yes"\n', "label in entry 1", 'label = "y"'),
        ('[[allow]]\ntemplate = "a"\nseverity = "hihg"\n', "severity in entry 1", 'severity = "high"'),
        ('[[allow]]\ntemplate = "a"\nmembers = [1]\n', "members in entry 1", "leave it out"),
        ('[[allow]]\ntemplate = "a"\nreason = 7\n', "reason in entry 1", 'reason = "..."'),
    ],
)
def test_what_is_not_understood_is_an_error(tmp_path: Path, text: str, what: str, hint: str) -> None:
    (tmp_path / "allow.toml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        load(tmp_path / "allow.toml")
    lines = caught.value.lines()
    assert len(lines) == 3
    assert what in lines[0]
    assert hint in lines[2]


def test_dates_may_be_strings(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('[[allow]]\ntemplate = "a"\nexpires = "2027-01-31"\n', encoding="utf-8")
    (entry,) = load(tmp_path / "a.toml")
    assert not entry.expired(datetime.date(2027, 1, 31))
    assert entry.expired(datetime.date(2027, 2, 1))
