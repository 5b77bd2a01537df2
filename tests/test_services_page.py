"""The page about your own service works: its files are written, and its commands run."""

from __future__ import annotations

import re
import shlex
import textwrap
from dataclasses import fields
from pathlib import Path

import pytest

from app.identity.principal import Principal
from tests.cli.command import command
from tests.support.server import ROOT
from tests.support.walkthrough import Ids, steps

PAGE = ROOT / "scripts" / "services" / "README.md"


def section(title: str) -> str:
    return PAGE.read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def block(text: str, start: str) -> str:
    """The indented block of a section that begins with a line."""
    found = re.search(rf"^    {re.escape(start)}.*?(?=^\S)", text, re.MULTILINE | re.DOTALL)
    assert found
    return textwrap.dedent(found[0])


@pytest.mark.parametrize(
    ("title", "file", "start"),
    [("In front", "orders.yaml", "openapi: 3.1.0"), ("Inside", "my_api/routes.py", "from __future__")],
)
def test_a_section_has_the_shown_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, title: str, file: str, start: str
) -> None:
    text = section(title)
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(block(text, start))
    monkeypatch.syspath_prepend(tmp_path)
    own = tmp_path / "section"
    own.write_text(text)
    env: dict[str, str] = {}
    found = steps(own)
    assert len(found) == 4
    for step in found:
        program, *words = shlex.split(step.command)
        if program == "export":
            env |= dict(word.split("=", 1) for word in words)
        elif program == "set":
            env |= dict(line.split("=", 1) for line in (tmp_path / "my-policy.env").read_text().splitlines())
        else:
            done = command(*words, cwd=tmp_path, env=env)
            assert done.returncode == 0, done.stderr
            assert Ids().matches(done.stdout.rstrip("\n") + "\n", f"{step.shown}\n"), done.stdout


def test_a_handler_can_read_what_the_page_names_of_its_caller() -> None:
    sentence = re.search(r"`request\.user` is the principal: (.*?\.)\s", section("Inside"), re.DOTALL)
    assert sentence
    named = re.findall(r"`(\w+)`", sentence[1])
    assert len(named) == 3
    assert set(named) <= {field.name for field in fields(Principal)}
