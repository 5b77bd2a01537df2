"""Processes that serve a small policy: without a server around them, so that a test may start many."""

from __future__ import annotations

from pathlib import Path

from app.audit.actor import Actor
from app.db import revisions
from app.db.session import Sessions
from app.history.follower import Follower
from app.history.publish import Publisher
from app.history.recovery import settled
from app.policy.engine.live import LivePolicy
from app.policy.language.directory import raw_files
from tests.policy import small
from tests.policy.shipped import write

ME = Actor("me", door="cli")
_CATALOG = ("p, a:read, /x/**, GET, allow", "p, a:write, /x, POST, allow")
_PUBLIC = ("p, anyone, /y, GET, allow",)


def written(directory: Path) -> Path:
    """A new policy directory."""
    catalog, public = small.files(*_CATALOG), small.files(*_PUBLIC)
    texts = {name: data for name, data in catalog.items() if name != "rows.csv"}
    return write(directory, {**texts, "catalog.csv": catalog["rows.csv"], "public.csv": public["rows.csv"]})


def commented(directory: Path, comment: str) -> dict[str, bytes]:
    """The files of a directory as another revision, which decides alike."""
    found = raw_files(directory)
    return {**found, "catalog.csv": found["catalog.csv"].replace(b"# end\n", f"# {comment}\n# end\n".encode())}


async def begun(sessions: Sessions, directory: Path, *, files_win: bool) -> Follower:
    """A process that has read its files and has come no further."""
    async with settled(sessions, directory) as start:
        live = LivePolicy(directory, small.TABLE, start.files)
    return Follower(live, sessions, start.seen, files_win=files_win)


async def publish(follower: Follower, comment: str) -> str:
    """Publish at one process. Returns the revision."""
    live = follower.live
    files, parent = commented(live.directory, comment), live.active.revision
    return (await Publisher(follower).publish(files, parent=parent, author=ME, message=comment)).revision


async def kinds(sessions: Sessions) -> list[str]:
    """How each policy came, the oldest first."""
    async with sessions() as session:
        return [entry.kind for entry in await revisions.page(session, before=None, limit=100)][::-1]
