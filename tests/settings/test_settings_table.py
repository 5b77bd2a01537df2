"""The table of settings on the deployment page is complete and correct."""

from __future__ import annotations

import re

from pydantic_core import PydanticUndefined

from app.settings import Settings
from tests.support.server import ROOT

# The description of defaults that are not values.
WORDS = {"none", "not set", "no limit", "required", "required without authorized parties", "AUTHZ_PUBLIC_URL"}


def rows() -> list[tuple[list[str], str]]:
    """The settings and the defaults of each row of the table."""
    page = (ROOT / "scripts" / "deploy" / "README.md").read_text()
    table = page.partition("\n## Settings\n")[2].partition("\n## ")[0]
    found = re.findall(r"^\| (`AUTHZ_[^|]*) \| ([^|]+) \|", table, flags=re.MULTILINE)
    return [(re.findall(r"`AUTHZ_([A-Z_]+)`", names), default.strip("`")) for names, default in found]


def as_variable(value: object) -> str:
    """A default as written in the environment."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def test_the_table_names_every_setting() -> None:
    assert {name for names, _ in rows() for name in names} == {name.upper() for name in Settings.model_fields}


def test_the_defaults_are_those_of_the_program() -> None:
    for names, shown in rows():
        defaults = [Settings.model_fields[name.lower()].default for name in names]
        if all(default in (None, (), PydanticUndefined) for default in defaults):
            assert shown in WORDS, names
        else:
            assert shown == ", ".join(map(as_variable, defaults)), names
