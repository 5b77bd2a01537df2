"""`authz lsp`: a language server for the files of a policy."""

from __future__ import annotations

import logging
import os
import sys

import rich_click as click

from app.cli.failure import explained, fail
from app.extras import missing_extra


@click.command("lsp")
@click.option("--stdio", is_flag=True, help="Accepted, since editors add it: there is no other transport.")
@explained
def lsp_command(*, stdio: bool) -> None:
    """Serve an editor over standard input and output, by the Language Server Protocol.

    Shows faults and findings as `authz policy check` prints them, with fixes, while you write. Completes grants,
    routes, methods and conditions, explains the word at the cursor, and renames roles. Policy directories are found in
    the workspace of the editor. The routes are those of AUTHZ_ROUTES and AUTHZ_SAMPLE_API, as for the other commands,
    but AUTHZ_ROUTES must be in the environment: `.env` is a file of the folder that the editor opens. Logs go to
    standard error.

    Example: authz lsp --stdio
    """
    if missing := missing_extra("lsp"):
        fail(f"{missing}.")
    from app.cli.lsp.server import create_server
    from app.cli.policy.directory import issuer_faults
    from app.cli.routes import route_table
    from app.settings import load_local
    from app.settings_variables import ENV_FILE, file_settings

    if "AUTHZ_ROUTES" in file_settings():
        fail(
            f"`{ENV_FILE}` has AUTHZ_ROUTES, so opening this folder in an editor would run a module that the folder"
            " names: set AUTHZ_ROUTES in the environment of the editor instead.",
            code=2,
        )
    # Only messages of the protocol may go to standard output. What imported routes print goes to standard error.
    messages = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="authz lsp: %(message)s")
    server = create_server(route_table(), issuer_faults, proxies_stated=load_local().trusted_proxies is not None)
    server.start_io(sys.stdin.buffer, messages)
