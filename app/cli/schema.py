"""`authz schema`: prints the JSON Schema of the output of a command."""

from __future__ import annotations

import rich_click as click

from app.cli.failure import explained
from app.cli.json_documents import DOCUMENTS, json_schema
from app.cli.terminal import show, show_json


@click.command("schema")
@click.argument("command", nargs=-1, metavar="[COMMAND]...")
@explained
def schema_command(command: tuple[str, ...]) -> None:
    """Print the JSON Schema (2020-12) of what a command prints with --json.

    COMMAND are the words of the command, such as `policy check`; without them, list the commands that have a schema.
    A command that prints JSON Lines has the schema of a line. Errors of arguments, settings and the database are
    printed on standard error, and standard output is empty then.

    Example: authz schema policy check > check.schema.json
    """
    words = " ".join(command).removeprefix("authz ")
    if not words:
        show([f"authz schema {name}" for name in DOCUMENTS])
        return
    if words not in DOCUMENTS:
        raise click.UsageError(f"there is no schema of `{words}`; `authz schema` lists the commands that have one.")
    show_json(json_schema(words))
