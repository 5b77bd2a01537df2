"""Groups that list their commands without importing them, so that `--help` is quick."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module

import rich_click as click

from app import __version__

# Name → where the command is, as `module:attribute`, and its line in the help.
Members = Mapping[str, tuple[str, str]]


class _Lazy(click.RichGroup):
    members: Members

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.members)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A stand-in, with the name and its line of help."""
        if cmd_name not in self.members:
            return None
        return click.RichCommand(name=cmd_name, help=self.members[cmd_name][1])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command itself, for a call or for completion."""
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None and name is not None:
            module, _, attribute = self.members[name][0].partition(":")
            command = getattr(import_module(module), attribute)
        return name, command, rest


def group(name: str, text: str, members: Members, *, version: bool = False) -> click.RichGroup:
    """A group of commands that are imported when they are called."""
    made = _Lazy(name=name, help=inspect.cleandoc(text), context_settings={"help_option_names": ["-h", "--help"]})
    made.members = members
    return click.version_option(__version__)(made) if version else made
