"""Processes that serve a small policy without an HTTP server, so that a test may start many."""

from __future__ import annotations

from pathlib import Path

from app.audit.actor import Actor
from app.db import revisions
from app.db.session import Sessions
from app.history.follower import Follower
from app.history.publish import PolicyChange, Publisher
from app.history.recovery import settled
from app.policy.engine.live import LivePolicy
from app.policy.language.directory import raw_files
from tests.policy import small
from tests.policy.shipped import write

ME = Actor("me", door="cli")
_CATALOG = ("p, a:read, /x/**, GET, allow", "p, a:write, /x, POST, allow")
_PUBLIC = ("p, anyone, /y, GET, allow",)


def new_directory(directory: Path) -> Path:
    """A new policy directory."""
    catalog, public = small.files(*_CATALOG), small.files(*_PUBLIC)
    texts = {name: data for name, data in catalog.items() if name != "rows.csv"}
    return write(directory, {**texts, "catalog.csv": catalog["rows.csv"], "public.csv": public["rows.csv"]})


def commented(directory: Path, comment: str) -> dict[str, bytes]:
    """The files of a directory with another comment: a new revision with equal decisions."""
    found = raw_files(directory)
    return {**found, "catalog.csv": found["catalog.csv"].replace(b"# end\n", f"# {comment}\n# end\n".encode())}


async def starting_process(sessions: Sessions, directory: Path, *, files_win: bool) -> Follower:
    """A process that has only read its files."""
    async with settled(sessions, directory) as start:
        live = LivePolicy(directory, small.TABLE, start.files)
    return Follower(live, sessions, start.seen, files_win=files_win)


async def publish(follower: Follower, comment: str) -> str:
    """Publish at one process; return the revision."""
    live = follower.live
    files, parent = commented(live.directory, comment), live.active.revision
    return (await Publisher(follower).publish(files, PolicyChange(parent, ME, comment))).revision


async def kinds(sessions: Sessions) -> list[str]:
    """The kind of each entry of the history, oldest first."""
    async with sessions() as session:
        return [entry.kind for entry in await revisions.page(session, before=None, limit=100)][::-1]
