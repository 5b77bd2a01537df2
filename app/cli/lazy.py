"""Command groups that import a command only when it is called, so that `--help` is fast."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import rich_click as click

from app import __version__
from app.cli.usage_errors import printable_usage_errors

# Name → where the command is, as `module:attribute`, and its line in the help.
Members = Mapping[str, tuple[str, str]]


class _LazyGroup(click.RichGroup):
    members: Members

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        with printable_usage_errors():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> object:
        with printable_usage_errors():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.members)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A placeholder with the name and the line of help."""
        if cmd_name not in self.members:
            return None
        return click.RichCommand(name=cmd_name, help=self.members[cmd_name][1])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The imported command, for a call or for completion."""
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None and name is not None:
            module, _, attribute = self.members[name][0].partition(":")
            command = getattr(import_module(module), attribute)
        return name, command, rest


def group(name: str, text: str, members: Members, *, version: bool = False) -> click.RichGroup:
    """Create a group of commands that are imported when they are called."""
    lazy = _LazyGroup(name=name, help=inspect.cleandoc(text), context_settings={"help_option_names": ["-h", "--help"]})
    lazy.members = members
    return click.version_option(__version__)(lazy) if version else lazy
