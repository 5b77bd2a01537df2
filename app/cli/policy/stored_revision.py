"""Finds a revision of the history by its first digits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from app.cli.failure import fail
from app.cli.terminal import printable

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from app.db.tables.history import PolicyRevision

# At least four digits, since fewer soon match several revisions.
REVISION = re.compile(r"[0-9a-f]{4,16}")
_MAX_LISTED = 5


async def stored_revision(
    session: AsyncSession, start: str, *, kinds: str = "revision", code: int = 1
) -> PolicyRevision:
    """Find the revision that starts with these digits; exit with `code` if none or several do.

    `kinds` names in the message what was searched.
    """
    from app.db import revisions

    is_start = REVISION.fullmatch(start)
    starting = await revisions.find_by_prefix(session, start, limit=_MAX_LISTED + 1) if is_start else ()
    row = await revisions.find(session, starting[0]) if len(starting) == 1 else None
    if starting and row is None:
        listed = ", ".join(starting[:_MAX_LISTED]) + (" and more" if len(starting) > _MAX_LISTED else "")
        fail(f"`{start}` is the start of more than one revision: {listed}.", code=code)
    if row is None:
        fail(
            f"there is no {kinds} {printable(start)}; `authz policy history` lists the existing ones"
            " in AUTHZ_DATABASE_URL.",
            code=code,
        )
    return row
