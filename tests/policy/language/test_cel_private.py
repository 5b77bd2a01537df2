"""What is private of CEL's package: that it imports its command line."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import sys
from app.policy.language.when.condition import Condition, compile_condition

assert "cel" not in sys.modules
assert isinstance(compile_condition("subject.id == 'u'"), Condition)
foreign = {name.partition(".")[0] for name in sys.modules} & {"typer", "prompt_toolkit"}
assert not foreign, foreign

import cel.cli

assert "typer" in sys.modules, "the stand-in for the command line is no longer needed"
assert cel.cli.app and cel.evaluate("1 + 1") == 2
"""


def test_the_command_line_of_cel_is_not_imported_with_it_and_still_can_be() -> None:
    subprocess.run([sys.executable, "-c", _PROGRAM], check=True)


def test_conditions_work_if_the_whole_package_was_imported_before() -> None:
    program = "import cel\nfrom app.policy.language.when.condition import compile_condition as c\nc('true')\ncel.cli"
    subprocess.run([sys.executable, "-c", program], check=True)
