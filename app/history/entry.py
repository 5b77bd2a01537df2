"""A place in the history of policies."""

from __future__ import annotations

from dataclasses import dataclass

from app.db import revisions
from app.db.session import Sessions


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the history: the same revision can be in it more than once."""

    id: int
    revision: str


async def newest(sessions: Sessions) -> Entry | None:
    """The newest entry of the history; None before the first. Raises what the database does."""
    async with sessions() as session:
        head = await revisions.head(session)
    return Entry(head.id, head.revision) if head else None
