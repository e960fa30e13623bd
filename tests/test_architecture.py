"""The shape of the code: imports go downward, heavy libraries stay where they belong, files and functions are short."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "memaudit"
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}

LAYERS = (
    ("__main__",),
    ("cli", "warm"),
    ("api",),
    ("check", "gallery"),
    ("audit", "report", "export", "verify", "clean", "diff", "precision", "doctor", "forecast"),
    (
        "ingest",
        "reading",
        "writeout",
        "readback",
        "describe",
        "findings",
        "clusters",
        "repeats",
        "entities",
        "originals",
        "writers",
    ),
    ("tally", "slottypes"),
    ("rank",),
    ("detect",),
    ("text", "sources", "ragged", "scratch"),
    ("verdicts",),
    ("suppression",),
    ("allow", "streams"),
    ("store", "rules"),
    ("schemas", "config", "progress", "interrupt", "jit"),
    ("errors", "outline"),
)
"""From the top down. A module may import from its own layer's same member and from any layer below."""

STRANGERS = (
    ("detect", "report"),
    ("detect", "verify"),
    ("report", "verify"),
    ("report", "detect"),
    ("report", "export"),
)
ONLY_IN = {
    "click": ("memaudit.cli",),
    "jinja2": ("memaudit.report.html",),
    "rich": ("memaudit.report.terminal", "memaudit.progress"),
    "torch": ("memaudit.verify",),
    "diffusers": ("memaudit.verify",),
    "transformers": ("memaudit.verify",),
    "faiss": ("memaudit.verify",),
    "spacy": ("memaudit.entities", "memaudit.verify"),
    "ray": ("memaudit.distributed",),
    "datasketch": (),  # defines what signatures are; only tests compare with it
}
FILE_LINES, FUNCTION_LINES = 400, 60


def imports(path: Path) -> Iterator[str]:
    """Full names of the modules that a file imports, wherever in it, those for type checkers apart."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {id(inner) for node in ast.walk(tree) if _is_for_types(node) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else node.module for name in inside)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def part(module: str) -> str:
    """The member of LAYERS that a module belongs to; "" for the package itself, which holds the version."""
    return module.split(".")[1] if "." in module else ""


def depth(name: str) -> int:
    return next(i for i, layer in enumerate(LAYERS) if name in layer)


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_downward(module: str) -> None:
    here = part(module)
    for imported in imports(MODULES[module]):
        if imported.split(".")[0] != "memaudit" or not (there := part(imported)) or here in ("", there):
            continue
        assert depth(here) < depth(there) or _same_story(here, there), f"{module} imports {imported}"
        assert (here, there) not in STRANGERS, f"{module} imports {imported}"


def _same_story(here: str, there: str) -> bool:
    """Modules of one layer that make up one stage may use each other."""
    return depth(here) == depth(there) == depth("ingest")


@pytest.mark.parametrize("module", MODULES)
def test_heavy_libraries_stay_where_they_belong(module: str) -> None:
    for imported in imports(MODULES[module]):
        allowed = ONLY_IN.get(imported.split(".")[0])
        assert allowed is None or any(f"{module}.".startswith(f"{place}.") for place in allowed), imported


@pytest.mark.parametrize("module", MODULES)
def test_files_and_functions_stay_short(module: str) -> None:
    text = MODULES[module].read_text(encoding="utf-8")
    assert text.count("\n") <= FILE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < FUNCTION_LINES, f"{module}.{node.name}"


def test_every_module_is_in_a_layer() -> None:
    assert {part(module) for module in MODULES} - {""} <= {name for layer in LAYERS for name in layer}
