"""`authz policy check`: what is wrong with a policy, and where."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from app.cli.policy_dir import policy_directory, sound_snapshot
from app.cli.terminal import plural, show, show_json


@click.command("check")
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print a document for programs.")
def check_command(directory: Path | None, as_json: bool) -> None:
    """Say what is wrong with a policy, and where.

    Reads the files as the server does and holds them against the application's own routes. DIR is the policy
    directory; without it AUTHZ_POLICY_DIR, else `policies`. Exits with 0 when there is no fault, with 1 when there
    is one, with 2 when there is no such directory.

    Example: authz policy check policies
    """
    chosen = policy_directory(directory)
    snapshot = sound_snapshot(chosen, as_json=as_json)
    policy, routes = snapshot.policy, snapshot.table.routes
    if as_json:
        show_json(
            {
                "ok": True,
                "directory": str(chosen),
                "revision": policy.revision,
                "files": list(policy.source.files),
                "rules": len(policy.rules),
                "memberships": len(policy.memberships),
                "cases": len(policy.cases),
                "endpoints": len(routes),
                "faults": [],
            }
        )
        return
    show(
        [
            [("No fault", "bold green"), f" in {chosen}, revision {policy.revision}."],
            ", ".join(
                [
                    plural(len(policy.source.files), "file"),
                    plural(len(policy.rules), "rule"),
                    plural(len(policy.memberships), "role row"),
                    plural(len(policy.cases), "case") + " for `authz policy test`",
                ]
            )
            + f"; all {plural(len(routes), 'endpoint')} ruled.",
        ]
    )
