"""Files that a process read at startup are older than anything that is published before it serves."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from app.audit.actor import Actor
from app.db import revisions
from app.db.session import Sessions
from app.history.acknowledgements import Acknowledgements
from app.history.files import revision_of
from app.history.follower import Follower
from app.history.publish import PolicyChange, Publisher
from app.history.recovery import settled
from app.policy.engine.live import LivePolicy
from app.policy.language.directory import raw_files
from tests.policy.shipped import DIRECTORY, routes

pytestmark = pytest.mark.anyio


def commented(directory: Path, comment: str) -> dict[str, bytes]:
    """The files of a directory with another comment: a new revision with equal decisions."""
    found = dict(raw_files(directory))
    return {**found, "catalog.csv": found["catalog.csv"].replace(b"# end\n", f"# {comment}\n# end\n".encode())}


async def starting_process(sessions: Sessions, directory: Path, *, files_win: bool) -> Follower:
    """A process that has only read its files."""
    async with settled(sessions, directory) as start:
        live = LivePolicy(directory, routes(), start.files)
    return Follower(live, sessions, start.seen, files_win=files_win)


async def publish(follower: Follower, comment: str) -> str:
    """Publish at one process; return the revision."""
    live = follower.live
    files = commented(live.directory, comment)
    parent = live.active.revision
    publisher = Publisher(follower)
    accepted = Acknowledgements(failing_cases="The routes are not the application's.")
    published = await publisher.publish(files, PolicyChange(parent, Actor("me", door="cli"), comment, accepted))
    return published.revision


async def kinds(sessions: Sessions) -> list[str]:
    """The kind of each entry of the history, oldest first."""
    async with sessions() as session:
        return [entry.kind for entry in await revisions.page(session, before=None, limit=100)][::-1]


@pytest.mark.parametrize("files_win", [True, False])
async def test_outdated_files_undo_nothing(sessions: Sessions, tmp_path: Path, files_win: bool) -> None:
    directory = Path(shutil.copytree(DIRECTORY, tmp_path / "policies"))
    first = await starting_process(sessions, directory, files_win=files_win)
    await first.follow()
    second = await starting_process(sessions, directory, files_win=files_win)
    published = await publish(first, "published while the second starts")
    await second.follow()
    await first.follow()
    assert first.live.active.revision == second.live.active.revision == published == revision_of(directory)
    assert await kinds(sessions) == ["files", "publish"]


@pytest.mark.parametrize("files_win", [True, False])
async def test_files_changed_before_are_kept_and_not_applied(
    sessions: Sessions, tmp_path: Path, files_win: bool
) -> None:
    one, other = (Path(shutil.copytree(DIRECTORY, tmp_path / name)) for name in ("one", "other"))
    first = await starting_process(sessions, one, files_win=files_win)
    await first.follow()
    (other / "catalog.csv").write_bytes(commented(other, "changed")["catalog.csv"])
    changed = revision_of(other)
    second = await starting_process(sessions, other, files_win=files_win)
    published = await publish(first, "published while the second starts")
    await second.follow()
    await first.follow()
    assert first.live.active.revision == second.live.active.revision == published
    assert (revision_of(one), revision_of(other)) == (published, changed)
    assert second.behind
    assert await kinds(sessions) == ["files", "publish"]


async def test_files_changed_while_no_process_ran_are_a_change(sessions: Sessions, tmp_path: Path) -> None:
    directory = Path(shutil.copytree(DIRECTORY, tmp_path / "policies"))
    await (await starting_process(sessions, directory, files_win=False)).follow()
    (directory / "catalog.csv").write_bytes(commented(directory, "changed")["catalog.csv"])
    again = await starting_process(sessions, directory, files_win=False)
    await again.follow()
    assert again.live.active.revision == revision_of(directory)
    assert await kinds(sessions) == ["files", "files"]
