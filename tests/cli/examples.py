"""The commands that the documents show, with what they print there, and a way to run them as they stand."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

from app.cli import main
from tests.server import ROOT

GUIDE = ROOT / "policies" / "README.md"


@dataclass(frozen=True)
class Told:
    """What a command answered."""

    returncode: int
    stdout: str
    stderr: str


def authz(*words: str, cwd: Path = ROOT) -> Told:
    """Run a command in this process, which is quicker than one of its own; raises what it should have caught."""
    with contextlib.chdir(cwd):
        result = CliRunner().invoke(main, words)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Told(result.exit_code, result.stdout, result.stderr)


def example(command: str, document: Path = GUIDE) -> str:
    """What a document says that a command prints: the indented lines below it."""
    lines = document.read_text().split("\n")
    start = lines.index(f"    $ {command}") + 1
    shown: list[str] = []
    for line in lines[start:]:
        if (line and not line.startswith("    ")) or line.startswith("    $ "):
            break
        shown.append(line.removeprefix("    "))
    return "\n".join(shown).rstrip("\n") + "\n"


def fits(text: str, shown: str) -> bool:
    """Whether a text is as a document shows it, where `…` stands for what may differ."""
    return re.fullmatch(re.escape(shown).replace("…", ".*"), text, flags=re.DOTALL) is not None
