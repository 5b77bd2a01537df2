"""The command `authz` in this process: its imports take seconds, and tests run it dozens of times.

Tests of the README and of the running server check that the program itself does the same.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from subprocess import CompletedProcess
from unittest.mock import patch

from click.testing import CliRunner

from app.cli import main
from tests.cli.json_output import check_json
from tests.support.server import ROOT


def command(
    *words: str, cwd: Path = ROOT, env: Mapping[str, str] | None = None, given: str = ""
) -> CompletedProcess[str]:
    """Run `authz` with arguments in a directory; `env` replaces the environment, `given` is standard input.

    Its output with --json is checked against its schema.
    """
    with contextlib.chdir(cwd), patch.dict(os.environ, env or {}, clear=env is not None):
        done = CliRunner().invoke(main, list(words), input=given)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    check_json(words, done.stdout)
    return CompletedProcess(["authz", *words], done.exit_code, done.stdout, done.stderr)
