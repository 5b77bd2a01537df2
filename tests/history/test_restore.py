"""A restored database: ids of the history are reused, and lost revisions are not served."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from app.db import revisions
from app.db.engine import is_embedded
from app.db.session import Sessions
from app.db.tables.replicas import Replica
from app.history.entry import HistoryEntry, newest
from app.history.files import revision_of
from app.history.fleet import fleet, until_served
from app.history.follower import Follower
from app.history.publish import PolicyChange, Publisher
from app.history.refusals import StaleParent
from app.history.stamp import read_stamp
from app.policy.language import write
from app.policy.language.directory import raw_files
from tests.cli.command import command
from tests.history.processes import ME, commented, kinds, new_directory, publish, starting_process
from tests.history.replicas import another, served
from tests.history.replicas import publish as http_publish
from tests.support.issuer import LiveIssuer
from tests.support.server import DATABASE, Server, eventually

pytestmark = pytest.mark.anyio
on_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


async def restore(sessions: Sessions, url: str, entry_id: int) -> None:
    """Reset the history to the state after an entry, with its counter, like a restored backup."""
    if is_embedded(url):
        counter = f"UPDATE sqlite_sequence SET seq = {entry_id} WHERE name = 'policy_revisions'"
    else:
        counter = f"SELECT setval(pg_get_serial_sequence('policy_revisions', 'id'), {max(entry_id, 1)}, {entry_id > 0})"
    async with sessions() as session:
        await session.execute(text(f"DELETE FROM policy_revisions WHERE id > {entry_id}"))
        await session.execute(text(counter))
        await session.commit()


async def head_of(sessions: Sessions) -> HistoryEntry:
    found = await newest(sessions)
    assert found is not None
    return found


async def two_of(sessions: Sessions, tmp_path: Path) -> tuple[Follower, Follower]:
    """Two processes with their own directories, both at the second entry."""
    one, other = (new_directory(tmp_path / name) for name in ("one", "other"))
    first = await starting_process(sessions, one, files_win=False)
    await first.follow()
    second = await starting_process(sessions, other, files_win=False)
    await publish(first, "before the backup")
    await second.follow()
    return first, second


async def test_a_reused_id_names_another_policy(sessions: Sessions, url: str, tmp_path: Path) -> None:
    first, second = await two_of(sessions, tmp_path)
    lost = await publish(first, "after the backup")
    await second.follow()
    lost_entry = await head_of(sessions)
    assert second.live.active.revision == lost
    await restore(sessions, url, lost_entry.id - 1)
    await first.follow()
    now = await publish(first, "after the restore")
    entry = await head_of(sessions)
    assert (entry.id, entry.revision == lost) == (lost_entry.id, False)
    assert second.is_due(entry)
    await second.follow()
    assert (second.live.active.revision, second.at, second.head) == (now, entry, entry)
    assert (first.losses, second.losses) == (1, 1)
    # The last copies of the lost revision are kept, and are no change, even after a restart.
    assert revision_of(second.live.directory) == lost
    assert "which the database lost" in second.behind
    for files_win in (False, True):
        again = await starting_process(sessions, second.live.directory, files_win=files_win)
        await again.follow()
        assert again.live.active.revision == now
    assert await kinds(sessions) == ["files", "publish", "publish"]
    # It can be published again from there.
    parent, files = again.live.active.revision, raw_files(second.live.directory)
    done = await Publisher(again).publish(files, PolicyChange(parent, ME, "again"))
    assert (done.revision, done.files_lag) == (lost, None)
    last = await starting_process(sessions, second.live.directory, files_win=is_embedded(url))
    await last.follow()
    assert (last.live.active.revision, last.behind) == (lost, "")


@on_sqlite
async def test_an_older_head_is_followed(sessions: Sessions, url: str, tmp_path: Path) -> None:
    first, second = await two_of(sessions, tmp_path)
    kept = await head_of(sessions)
    for number in range(3):
        await publish(first, f"after the backup {number}")
    await second.follow()
    await restore(sessions, url, kept.id)
    for each in (first, second):
        assert each.is_due(kept)
        await each.follow()
        assert (each.live.active.revision, each.at) == (kept.revision, kept)
        assert each.behind
    assert await kinds(sessions) == ["files", "publish"]


@on_sqlite
async def test_nothing_is_published_on_a_lost_entry(sessions: Sessions, url: str, tmp_path: Path) -> None:
    first, second = await two_of(sessions, tmp_path)
    lost = await publish(first, "after the backup")
    await second.follow()
    await restore(sessions, url, (await head_of(sessions)).id - 1)
    third = await starting_process(sessions, new_directory(tmp_path / "third"), files_win=False)
    await third.follow()
    now = await publish(third, "after the restore")
    with pytest.raises(StaleParent) as stale:
        await Publisher(second).publish(commented(second.live.directory, "more"), PolicyChange(lost, ME, "m"))
    assert stale.value.active == now == second.live.active.revision


async def test_files_of_a_lost_revision_are_no_change_at_startup(sessions: Sessions, url: str, tmp_path: Path) -> None:
    """Except on SQLite, where the directory takes precedence at startup."""
    first, _ = await two_of(sessions, tmp_path)
    kept = await head_of(sessions)
    lost = await publish(first, "after the backup")
    await restore(sessions, url, kept.id)
    again = await starting_process(sessions, first.live.directory, files_win=is_embedded(url))
    await again.follow()
    assert revision_of(first.live.directory) == lost
    if is_embedded(url):
        assert again.live.active.revision == lost
        return
    assert again.live.active.revision == kept.revision
    assert again.losses == 1
    assert "which the database lost" in again.behind
    assert await kinds(sessions) == ["files", "publish"]


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
@pytest.mark.parametrize("edited", [True, False])
async def test_files_of_another_history_and_edited_ones_are_a_change(
    sessions: Sessions, tmp_path: Path, edited: bool
) -> None:
    """The note is copied with a directory, and does not refer to another database."""
    first, _ = await two_of(sessions, tmp_path)
    elsewhere = Path(shutil.copytree(first.live.directory, tmp_path / "elsewhere"))
    (elsewhere / "catalog.csv").write_bytes(commented(elsewhere, "never published here")["catalog.csv"])
    stamp = (elsewhere / ".served").read_text()
    assert stamp
    if not edited:
        made = str(revision_of(elsewhere))
        (elsewhere / ".served").write_text(f'{{"history": "another", "entry": 2, "revision": "{made}"}}')
    process = await starting_process(sessions, elsewhere, files_win=False)
    await process.follow()
    assert process.live.active.revision == revision_of(elsewhere) == (await head_of(sessions)).revision
    assert process.losses == 0


@pytest.mark.parametrize("note", [b"", b"{", b"[]", b"[" * 100_000, b'{"history": 1, "entry": 2, "revision": 3}'])
def test_an_unreadable_note_is_ignored(tmp_path: Path, note: bytes) -> None:
    (tmp_path / ".served").write_bytes(note)
    assert read_stamp(tmp_path) is None


@on_sqlite
async def test_an_empty_history_is_not_written_before_a_publish(sessions: Sessions, url: str, tmp_path: Path) -> None:
    """A restore may be about to fill it, and would conflict with an entry of a process."""
    first, second = await two_of(sessions, tmp_path)
    before = second.live.active.revision
    await restore(sessions, url, 0)
    for each in (first, second, second):
        await each.follow()
        assert (each.live.active.revision, each.head, each.losses) == (before, None, 1)
    assert await kinds(sessions) == []
    now = await publish(first, "after the restore")
    await second.follow()
    assert second.live.active.revision == now
    assert await kinds(sessions) == ["files", "publish"]


@on_sqlite
async def test_half_written_files_of_a_lost_revision_are_no_change(
    sessions: Sessions, url: str, tmp_path: Path
) -> None:
    first, _ = await two_of(sessions, tmp_path)
    kept = await head_of(sessions)
    directory = first.live.directory
    lost = await publish(first, "after the backup")
    write.begin(directory, lost)
    (directory / "public.csv").write_text("# half of it\n" + (directory / "public.csv").read_text())
    await restore(sessions, url, kept.id)
    for files_win in (False, True):
        again = await starting_process(sessions, directory, files_win=files_win)
        await again.follow()
        assert again.live.active.revision == kept.revision
    assert await kinds(sessions) == ["files", "publish"]


async def test_a_lost_entry_is_not_served_by_a_process_that_has_its_id(sessions: Sessions, tmp_path: Path) -> None:
    first, _ = await two_of(sessions, tmp_path)
    entry = await head_of(sessions)
    now = datetime.now(UTC)
    places = {1: (entry.id, entry.revision), 2: (entry.id, "0" * 16), 3: (entry.id + 7, "1" * 16), 4: (None, "2" * 16)}
    async with sessions() as session:
        for pid, (entry_id, revision) in places.items():
            session.add(
                Replica(
                    host="h",
                    pid=pid,
                    version="1",
                    revision=revision,
                    entry_id=entry_id,
                    started_at=now,
                    seen_at=now,
                    refused="",
                    files="",
                )
            )
        await session.commit()
        assert await revisions.holds(session, entry.id, entry.revision)
        assert not await revisions.holds(session, entry.id, "0" * 16)
    found = {each.pid: each for each in (await fleet(sessions, 60)).results}
    assert [(pid, each.lost, each.lag_revisions) for pid, each in found.items()] == [
        (1, False, 0),
        (2, True, 1),
        (3, True, 1),
        (4, False, 2),
    ]
    waited = await until_served(sessions, entry, 0, 60)
    assert (waited.serving, [each.pid for each in waited.behind]) == (1, [2, 3, 4])
    assert first.at == entry


def test_a_database_file_replaced_under_a_server_is_noticed(
    own_server: Server, issuer: LiveIssuer, tmp_path: Path
) -> None:
    """The runbook stops the server first; one that keeps running must not serve a deleted file."""
    with own_server.client(issuer.token(permissions=["catalog:read"])) as owner:
        key = owner.post("/api/v1/api-keys/", json={"name": "k", "scopes": ["catalog:read"]}).json()
    kept = served(own_server)
    auditor = own_server.client(issuer.token(sub="user_auditor", permissions=["decisions:read"]))

    def logged() -> list[list[str]]:
        found = auditor.get("/api/v1/decisions/", params={"subject": "user_auditor"}).json()["results"]
        return [entry["held"] for entry in found]

    backup = tmp_path / "backup.db"
    assert command("db", "backup", str(backup), env=own_server.env).returncode == 0
    assert http_publish(own_server, issuer, another(own_server))["revision"] != kept
    assert eventually(lambda: logged() != [])
    file = own_server.directory / DATABASE
    (tmp_path / "before").mkdir()
    for each in tmp_path.glob(f"{DATABASE}*"):
        each.rename(tmp_path / "before" / each.name)
    shutil.copy(backup, file)
    assert command("keys", "revoke", str(key["api_key"]["id"]), env=own_server.env).returncode == 0
    with own_server.client(key["plaintext"]) as program:
        assert eventually(lambda: program.get("/api/v1/teams/").status_code == 401, 8)
    assert eventually(lambda: served(own_server) == kept)
    own_server.wait_for_log(lambda entry: entry.get("error") == "FileReplaced")
    assert eventually(lambda: logged() != [])
    assert all("decisions:read" in held for held in logged())
    auditor.close()
    own_server.wait_for_log(lambda entry: "the database was restored" in str(entry.get("event")))
