"""The routes that the command line reads are those of the application."""

from __future__ import annotations

import pytest

from app import assembly
from app.http import declared_routes


@pytest.mark.parametrize("sample", [True, False])
def test_the_declared_routes_are_those_of_the_application(sample: bool) -> None:
    declared = declared_routes.route_table(sample=sample).routes
    assert declared == assembly.route_table(sample=sample).routes, "run scripts/declare_routes.py"


def test_the_declared_routes_are_written_unchanged() -> None:
    own = assembly.route_table(sample=False)
    sample = [route for route in assembly.route_table().routes if route not in own]
    assert declared_routes.declaration(own.routes) == declared_routes.FILE.read_text(encoding="utf-8")
    assert declared_routes.declaration(sample) == declared_routes.SAMPLE_FILE.read_text(encoding="utf-8")
