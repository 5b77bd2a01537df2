"""Escapes usage errors, which quote arguments."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import rich_click as click
from click.exceptions import NoArgsIsHelpError


@contextmanager
def printable_usage_errors() -> Iterator[None]:
    """Escape the characters of usage errors that a terminal would interpret: they quote arguments."""
    try:
        yield
    except (click.MissingParameter, NoArgsIsHelpError):  # quotes none, and has lines of its own
        raise
    except click.ClickException as error:
        from app.cli.terminal import printable  # its imports take longer than `--help`

        text = error.format_message()
        if text.isprintable():
            raise
        if isinstance(error, click.UsageError):
            raise click.UsageError(printable(text), error.ctx) from None
        raise click.ClickException(printable(text)) from None
