"""The page on deployment has every setting, and no other."""

from __future__ import annotations

import re

from app.settings import Settings
from tests.server import ROOT


def test_the_table_names_every_setting() -> None:
    page = (ROOT / "scripts" / "deploy" / "README.md").read_text()
    table = page.partition("\n## Settings\n")[2].partition("\n## ")[0]
    named = {
        name
        for cell in re.findall(r"^\| (`AUTHZ_[^|]*) \|", table, flags=re.MULTILINE)
        for name in re.findall(r"`AUTHZ_([A-Z_]+)`", cell)
    }
    assert named == {name.upper() for name in Settings.model_fields}
