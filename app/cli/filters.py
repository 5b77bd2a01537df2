"""The options by which commands filter a log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TypeVar

import rich_click as click

from app.audit.filter_values import BadFilter

_Command = Callable[..., None]
_Filter = TypeVar("_Filter")


def filter_options(described: Mapping[str, str]) -> Callable[[_Command], _Command]:
    """Decorate a command with an option for each filter."""

    def decorate(command: _Command) -> _Command:
        for name, description in reversed(tuple(described.items())):
            text = f"{description[0].upper()}{description[1:]}."
            command = click.option(f"--{name.replace('_', '-')}", name, metavar="TEXT", help=text)(command)
        return command

    return decorate


def read_filters(read: Callable[[Mapping[str, str], datetime], _Filter], given: Mapping[str, str | None]) -> _Filter:
    """The filters as `read` has them now. Raises UsageError."""
    try:
        return read({name: text for name, text in given.items() if text is not None}, datetime.now(UTC))
    except BadFilter as bad:
        errors = "; ".join(f"--{name.replace('_', '-')} {message}" for name, message in bad.errors.items())
        raise click.UsageError(errors) from None
