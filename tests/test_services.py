"""Services are typed, and their module depends on no other part of the application at runtime."""

from __future__ import annotations

import ast
import re

import pytest
from litestar import Litestar

from app.services import services_of
from tests.support.server import ROOT
from tests.support.services import state_of


def test_the_application_state_is_read_in_one_place() -> None:
    files = sorted((ROOT / "app").rglob("*.py"))
    readers = [file.relative_to(ROOT).as_posix() for file in files if re.search(r"\bapp\.state\b", file.read_text())]
    assert readers == ["app/asgi.py", "app/services.py"]


def test_the_module_of_the_services_imports_no_other_part_at_runtime() -> None:
    module = ast.parse((ROOT / "app" / "services.py").read_text())
    imports = [node for node in module.body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [node.module if isinstance(node, ast.ImportFrom) else node.names[0].name for node in imports]
    assert names
    assert not [name for name in names if str(name).split(".")[0] == "app"]


def test_an_application_has_the_services_that_it_was_given() -> None:
    console = object()
    assert services_of(Litestar(state=state_of(console=console))).console is console
    with pytest.raises(TypeError, match="consoles"):
        state_of(consoles=console)
