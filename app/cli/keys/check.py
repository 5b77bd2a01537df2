"""`authz keys check`: finds keys that hold more than their owner does now."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from app.cli.database import with_sessions
from app.cli.failure import explained
from app.cli.keys.owner_options import ORG, owner_of
from app.cli.policy.directory import policy_directory, sound_snapshot
from app.cli.terminal import Line, plural, quoted, rfc3339, show, show_view

if TYPE_CHECKING:
    from app.db.session import Sessions
    from app.keys.beyond_owners import KeyBeyondOwner


@click.command("check")
@click.option("--owner", help="Only keys of this owner.")
@ORG
@click.option("--dir", "directory", type=click.Path(path_type=Path), help="The policy directory.")
@click.option("--json", "as_json", is_flag=True, help="Print a document for programs.")
@explained
def check_command(*, owner: str | None, org: str | None, directory: Path | None, as_json: bool) -> None:
    """Show the active keys with scopes that their owner does not hold now.

    An owner holds what role rows give, and what its token stated when the decision log last saw one. Scopes that a
    token stated at the issue count until the key ends; those that came from role rows end with them. An organization
    holds what role rows give, and what a token stated of it when the key was issued. Exits with 1 when a key has scopes
    beyond its owner that count.

    Example: authz keys check
    """
    owner = owner_of(owner, org)
    snapshot = sound_snapshot(policy_directory(directory), as_json=as_json)

    async def find(sessions: Sessions) -> list[KeyBeyondOwner]:
        from app.identity.token_format import ENVIRONMENTS
        from app.keys.beyond_owners import of_all

        now = datetime.now(UTC)
        found = of_all(sessions, snapshot, environments=ENVIRONMENTS, now=now, owner=owner)
        return [each async for each in found]

    found = with_sessions(find)
    counting = sum(bool(each.counting) for each in found)
    if as_json:
        from app.cli.keys.view import KeysBeyondOwners

        show_view(KeysBeyondOwners(snapshot.revision, found))
    else:
        show([line for each in found for line in _lines(each)])
        count = plural(counting, "key") if counting else "No key"
        have = "have scopes in force that their" if counting > 1 else "has scopes in force that its"
        show([f"{count} {have} owner does not hold."])
    if counting:
        raise SystemExit(1)


def _lines(each: KeyBeyondOwner) -> list[Line]:
    seen = (
        f"last token of the owner: {rfc3339(each.token_seen)}"
        if each.token_seen
        else "no token of the owner is in the log"
    )
    lines: list[Line] = []
    if each.counting:
        lines.append(
            [
                f"key {each.id} of {quoted(each.owner)}: ",
                (" ".join(map(quoted, each.counting)), "yellow"),
                f"  ({seen})",
            ]
        )
    if each.lost:
        lost = " ".join(map(quoted, each.lost))
        lines.append(f"key {each.id} of {quoted(each.owner)}: {lost}  (not in force: no role gives it any more)")
    return lines
