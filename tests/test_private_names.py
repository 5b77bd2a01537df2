"""Private names of dependencies are used in the modules `*_private.py` alone, each of which has its test."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from tests.support.server import ROOT

MODULES = [
    file
    for file in sorted((ROOT / "app").rglob("*.py"))
    if not file.name.endswith("_private.py") and "migrations" not in file.parts
]


# Of the type checker, and public: typeshed documents it for annotations.
TYPES_ALONE = "_typeshed"


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name != TYPES_ALONE


def foreign_bases(module: str, name: str) -> list[type]:
    """The base classes of a class that belong to a dependency."""
    bases = getattr(import_module(module), name).__mro__
    return [base for base in bases if base.__module__.partition(".")[0] not in {"app", *sys.stdlib_module_names}]


def inherited(tree: ast.Module, module: str) -> Iterator[str]:
    """The private names that classes use and that a base class of a dependency has."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.bases:
            used = {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}
            used |= {part.name for part in node.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)}
            names = sorted(filter(is_private, used))
            for base in foreign_bases(module, node.name) if names else ():
                source = inspect.getsource(base)
                yield from (
                    f"{base.__name__}.{name}" for name in names if name in vars(base) or f"self.{name}" in source
                )


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [name.name for name in node.names] if isinstance(node, ast.Import) else []
        yield from (name for name in names if any(map(is_private, name.split("."))))


def test_no_other_module_imports_or_inherits_a_private_name() -> None:
    found: dict[Path, list[str]] = {}
    for file in MODULES:
        tree = ast.parse(file.read_text())
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        if names := [*imported(tree), *inherited(tree, module)]:
            found[file] = names
    assert not found


def test_each_of_them_has_its_test() -> None:
    modules = [file.relative_to(ROOT / "app") for file in (ROOT / "app").rglob("*_private.py")]
    assert len(modules) >= 3
    for module in modules:
        assert (ROOT / "tests" / module.parent / f"test_{module.name}").exists()
