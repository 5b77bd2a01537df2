"""A policy as an argument of a command: a directory, a revision of the history, or the policy of a server."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from app.cli.database import with_session
from app.cli.failure import fail
from app.cli.policy.directory import fault_of_path, show_faults
from app.cli.policy.server_policy import fetch
from app.cli.policy.stored_revision import REVISION, stored_revision
from app.cli.terminal import printable
from app.policy.language.directory import read
from app.policy.language.fault import PolicyRefused
from app.policy.language.source import PolicySource, from_bytes

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from app.policy.engine.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class PolicyArgument:
    """A policy and its origin. `place` is the prefix of the names of its files."""

    kind: Literal["directory", "revision", "server"]
    name: str
    place: Path
    files: Mapping[str, bytes] | None = None  # None: they are in the directory

    @property
    def view(self) -> dict[str, str]:
        """The origin for a JSON document: `{"directory": …}` or `{"server": …}`; empty for a revision."""
        return {} if self.kind == "revision" else {self.kind: self.name}

    def source(self) -> PolicySource:
        """The files. Raises PolicyRefused."""
        return read(self.place) if self.files is None else from_bytes(self.files)


def find(name: str) -> PolicyArgument:
    """Find the policy of that name; exit with 2 if there is none, or it cannot be read.

    A directory takes precedence over a revision of the same name.
    """
    if re.match(r"https?://", name, re.IGNORECASE):
        served = fetch(name)
        return PolicyArgument("server", served.url, Path(served.revision), served.files)
    path = Path(name)
    what = fault_of_path(path)
    if what is None:
        return PolicyArgument("directory", name, path)
    if not REVISION.fullmatch(name):
        fail(
            f"`{printable(name)}` {what}, and is neither a revision (4 to 16 of 0-9 and a-f, as"
            " `authz policy history` shows them) nor the address of a server (https://…).",
            code=2,
        )
    return with_session(lambda session: _stored(session, name))


def snapshot_of(argument: PolicyArgument, *, is_old: bool = False, as_json: bool) -> Snapshot:
    """Build the policy for the routes of the application; if it has faults, print them and exit with 1.

    An old one may lack rows for endpoints that are newer than it.
    """
    from app.cli.routes import route_table
    from app.policy.engine.live import build
    from app.policy.engine.snapshot import Snapshot
    from app.policy.language.load import parse

    try:
        policy = parse(argument.source())
        return Snapshot(policy, route_table()) if is_old else build(policy, route_table())
    except PolicyRefused as refused:
        show_faults(refused.faults, argument.place, as_json=as_json)
        raise SystemExit(1) from None


async def _stored(session: AsyncSession, start: str) -> PolicyArgument:
    from app.history.files import bytes_of

    row = await stored_revision(session, start, kinds="directory and no revision", code=2)
    return PolicyArgument("revision", row.revision, Path(row.revision), bytes_of(row))
