"""The options of commands that show a page of a list, newest first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])
_BEFORE = click.IntRange(1, 2**63 - 1)  # ids of a database
_LIMIT = click.IntRange(1, 1000)


def page_options(shown: str, *, limit: int = 50) -> Callable[[_Command], _Command]:
    """`--before` and `--limit`; `shown` is what the help says of the rows, such as `Show keys`."""

    def decorate(command: _Command) -> _Command:
        command = click.option("--limit", default=limit, show_default=True, type=_LIMIT, help="How many to show.")(
            command
        )
        return click.option("--before", type=_BEFORE, help=f"{shown} with ids below this one: the next page.")(command)

    return decorate
