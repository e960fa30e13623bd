"""The documentation does what it says: its commands run, and nothing that exists is missing from it."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click
import polars as pl
import pytest
from click.testing import CliRunner

from memaudit.cli import main
from memaudit.export import LINES, PATTERNS, VIEWS
from memaudit.rules import catalogue
from memaudit.schemas import FRAMES
from tests.conftest import SAMPLE

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CLI = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
FOLDER = (ROOT / "docs" / "audit-folder.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(text: str, *languages: str) -> Iterator[str]:
    """Contents of the code blocks in these languages."""
    for language, body in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        if language in languages:
            yield body


def commands(text: str) -> list[str]:
    lines = [line.removeprefix("$ ") for block in blocks(text, "sh", "console") for line in block.splitlines()]
    return [line for line in lines if line.startswith("memaudit ")]


def section(text: str, heading: str) -> str:
    """The part of a page under the heading that starts like this."""
    found = re.search(rf"^## {re.escape(heading)}\b.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[0]


def test_every_command_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(SAMPLE, "captions")
    assert len(commands(README)) >= 8
    for line in commands(README):
        words = shlex.split(line, comments=True)[1:]
        if "CLUSTER" in words:
            words[words.index("CLUSTER")] = pl.read_parquet("audit/findings.parquet")["fingerprint"][0][:10]
        globbed = [
            path for word in words for path in (sorted(map(str, tmp_path.glob(word))) if "*" in word else [word])
        ]
        result = CliRunner().invoke(main, globbed)
        wanted = 1 if "--fail-on" in words else 0  # the sample has findings of every severity
        assert result.exit_code == wanted, (line, result.output)
    for block in blocks(README, "python"):
        exec(compile(block, "README.md", "exec"), {})
    _clean_data_keeps_one_of_each(tmp_path)


def _clean_data_keeps_one_of_each(folder: Path) -> None:
    before = {path.name: len(pl.read_parquet(path)) for path in (folder / "captions").glob("*.parquet")}
    after = {name: len(pl.read_parquet(folder / f"clean-{name}")) for name in before}
    dropped = pl.read_parquet(folder / "blocklist.parquet").unique(["file", "row"])
    for name in before:
        n_dropped = dropped.filter(pl.col("file").str.ends_with(name)).height
        assert 0 < n_dropped == before[name] - after[name]


def test_the_readme_opens_with_the_two_commands() -> None:
    opening = README[:400]
    assert re.match(r"# memaudit\n\n[^\n]+\.\n\n    make demo\b.*\n    make test\b", opening)


@pytest.mark.parametrize("name", main.commands)
def test_every_command_and_option_is_documented(name: str) -> None:
    command = main.commands[name]
    assert command.help
    documented = section(CLI, f"memaudit {name}")
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help or isinstance(parameter.type, click.Choice), f"{name} {parameter.name} has no help"
            assert [opt for opt in parameter.opts if f"`{opt}`" not in documented] == []
        if isinstance(parameter.type, click.Choice):
            assert [choice for choice in parameter.type.choices if choice not in documented] == []


def test_global_options_and_exit_codes_are_documented() -> None:
    for parameter in main.params:
        assert [opt for opt in parameter.opts if f"`{opt}`" not in CLI] == []
    for code in (0, 1, 2, 3, 4, 130):
        assert f"| {code} |" in section(README, "Exit codes")


def test_no_command_is_documented_that_does_not_exist() -> None:
    mentioned = re.findall(r"^## memaudit (\w+)", CLI, re.MULTILINE)
    assert sorted(mentioned) == sorted(main.commands)
    assert {line.split()[1] for line in commands(README)} <= set(main.commands)


def test_views_and_their_columns_are_documented() -> None:
    documented = section(CLI, "memaudit export")
    for name in (*LINES, *PATTERNS):
        assert f"`{name}`" in documented
    for view in VIEWS:
        assert f"*{view}*" in documented


@pytest.mark.parametrize("name", FRAMES)
def test_every_column_is_documented(name: str) -> None:
    documented = section(FOLDER, name)
    assert f"`{name}.parquet`" in FOLDER
    named = set(re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in documented.splitlines() if "|" in row)))
    assert named == set(FRAMES[name])


def test_every_rule_says_what_to_do() -> None:
    for rule in catalogue().values():
        assert rule.what
        assert rule.remedy
        assert rule.example


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target
