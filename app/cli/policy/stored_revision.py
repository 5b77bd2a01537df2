"""A revision of the history that a command gets by its first digits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from app.cli.failure import fail
from app.cli.terminal import printable

if TYPE_CHECKING:
    from app.db.session import Sessions
    from app.db.tables.history import PolicyRevision

# Four digits at least: fewer soon name several.
REVISION = re.compile(r"[0-9a-f]{4,16}")
_MOST_NAMED = 5


async def stored_revision(sessions: Sessions, start: str, *, kinds: str = "revision", code: int = 1) -> PolicyRevision:
    """The one revision that starts with these digits; the command ends with `code` when none or several do.

    `kinds` says in the message what was looked for.
    """
    from app.db import revisions

    async with sessions() as session:
        is_start = REVISION.fullmatch(start)
        starting = await revisions.find_by_prefix(session, start, limit=_MOST_NAMED + 1) if is_start else ()
        row = await revisions.find(session, starting[0]) if len(starting) == 1 else None
    if starting and row is None:
        named = ", ".join(starting[:_MOST_NAMED]) + (" and more" if len(starting) > _MOST_NAMED else "")
        fail(f"`{start}` is the start of more than one revision: {named}.", code=code)
    if row is None:
        fail(
            f"there is no {kinds} {printable(start)}; `authz policy history` shows those that there are"
            " in AUTHZ_DATABASE_URL.",
            code=code,
        )
    return row
