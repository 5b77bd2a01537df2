"""The layout of tests and scripts, and their imports."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.server import ROOT

# Directories of tests of a part without a folder in app.
OTHERS = {"apps", "authzen_policies", "clients", "fuzz", "settings", "support"}


def trees(*directories: str, words: Sequence[str]) -> Iterator[tuple[Path, ast.Module]]:
    """The parsed modules that have one of these words: most have none, and to parse all takes seconds."""
    for directory in directories:
        for file in sorted((ROOT / directory).rglob("*.py")):
            text = file.read_text()
            if any(word in text for word in words):
                yield file, ast.parse(text)


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def test_no_test_or_script_changes_sys_path() -> None:
    for file, tree in trees("tests", "scripts", words=["sys.path"]):
        if file.name == "warm_tests.py":  # it imports the modules of another tree, in which one line is edited
            continue
        names = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))
        assert not any(ast.unparse(node) == "sys.path" for node in names), file


def test_no_test_imports_a_trial() -> None:
    for file, tree in trees("tests", words=["scripts"]):
        assert not [name for name in imported(tree) if name.startswith("scripts.trials.")], file


def test_the_application_imports_neither_tests_nor_scripts() -> None:
    for file, tree in trees("app", words=["tests", "scripts"]):
        assert not [name for name in imported(tree) if name.partition(".")[0] in ("tests", "scripts")], file


def test_no_class_name_of_the_application_occurs_twice() -> None:
    places = defaultdict[str, list[str]](list)
    for file in (ROOT / "app").rglob("*.py"):
        for name in re.findall(r"^ *class (\w+)[(:\[]", file.read_text(), re.MULTILINE):
            places[name].append(str(file.relative_to(ROOT)))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_the_directories_of_tests_are_those_of_the_application() -> None:
    found = {file.name for file in (ROOT / "tests").iterdir() if file.is_dir() and file.name != "__pycache__"}
    parts = {file.parent.name for file in (ROOT / "app").glob("*/__init__.py")}
    assert found - OTHERS <= parts


@pytest.mark.parametrize("directory", ["tests", "tests/support"])
def test_tests_and_their_support_are_separate(directory: str) -> None:
    names = {file.stem for file in (ROOT / directory).glob("*.py")} - {"conftest", "__init__"}
    tests = {name for name in names if name.startswith("test_")}
    assert tests == (names if directory == "tests" else set())
