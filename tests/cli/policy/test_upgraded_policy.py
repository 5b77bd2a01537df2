"""The steps of the changelog, on the policy that the latest version shipped: `released/<version>` has its rows."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from app import __version__
from tests.cli.command import command
from tests.support.server import ROOT

pytestmark = pytest.mark.filterwarnings("ignore::litestar.exceptions.LitestarDeprecationWarning")
SHIPPED = ROOT / "policies"


def steps() -> list[tuple[list[str], list[str]]]:
    """The files of each step, and the resources or permissions whose rows it takes; none for all of a file."""
    unreleased = (ROOT / "CHANGELOG.md").read_text().split("\n## ")[1]
    found = re.findall(r"^\| (`[^|]+) \| ([^|]+) \|$", unreleased, flags=re.MULTILINE)
    return [(re.findall(r"`(\w+\.\w+)`", files), re.findall(r"`([^`*]{3,}(?:/\*\*)?)`", what)) for files, what in found]


def take(policies: Path, files: list[str], names: list[str]) -> None:
    """Add files to a policy, or the rows of a file that have one of these names. Its former name follows a file."""
    if not names:
        for file in files:
            shutil.copy(SHIPPED / file, policies)
        return
    shipped, to = (SHIPPED / files[0]).read_text(), policies / files[-1]
    if to.suffix == ".csv":
        taken = [row for row in shipped.splitlines() if not row.startswith("#") and any(name in row for name in names)]
        replaced = [name.removesuffix("/**") + "," for name in names]
        kept = [row for row in to.read_text().splitlines() if not any(name in row for name in replaced)]
    else:
        taken = [table for table in re.split(r"\n(?=\[)", shipped) if any(f'["{name}"]' in table for name in names)]
        kept = [to.read_text()]
    to.write_text("\n".join([*kept, *taken]).replace("# end", "") + "\n# end\n")


def test_the_steps_of_the_changelog_make_the_shipped_policy(tmp_path: Path) -> None:
    policies = tmp_path / "policies"
    shutil.copytree(Path(__file__).parent / "released" / __version__, policies)
    for files, names in steps():
        take(policies, files, names)
    compared = command("policy", "diff", str(policies), str(SHIPPED))
    assert compared.stdout.endswith("\nNothing changes: both policies decide alike.\n"), (
        compared.stdout + compared.stderr
    )
