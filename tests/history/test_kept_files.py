"""A publish keeps what only the policy directory holds: edits that are not active, and refused files."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.db.engine import is_embedded
from app.db.session import Sessions
from app.history import directory as policy_directory
from app.history.acknowledgements import Acknowledgements
from app.history.files import revision_of
from app.history.publish import PolicyChange, Publisher
from app.history.refusals import StaleParent
from app.policy.language import write
from tests.history.processes import ME, commented, kinds, new_directory, publish, starting_process
from tests.history.test_publish import PUBLISH, active, admin, body, files, history
from tests.history.test_unwritable import on_sqlite
from tests.support.issuer import LiveIssuer
from tests.support.server import Server, eventually

pytestmark = pytest.mark.anyio
STRAY = b"p, anyone, /x, GET, deny\n# end\n"


@pytest.mark.parametrize(
    "found", [("deny.CSV", "stray-file"), ("entities/e.yml", "stray-file"), ("deny.csv", "unreadable")]
)
async def test_a_policy_is_served_from_memory_if_its_directory_has_refused_files(
    sessions: Sessions, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: tuple[str, str]
) -> None:
    directory = new_directory(tmp_path / "policies")
    name, code = found
    first = await starting_process(sessions, directory, files_win=is_embedded(url))
    await first.follow()
    candidate = commented(directory, "new")
    stray = directory / name
    stray.parent.mkdir(exist_ok=True)
    stray.mkdir() if code == "unreadable" else stray.write_bytes(STRAY)
    assert (await first.live.reload()).faults[0].code == code
    parent = first.live.active.revision
    done = await Publisher(first).publish(candidate, PolicyChange(parent, ME, "m"))
    assert first.live.active.revision == done.revision != parent
    assert name in (done.files_lag or "")
    assert first.behind == done.files_lag
    assert (write.unfinished(directory), first.is_unsettled, await kinds(sessions)) == (
        None,
        False,
        ["files", "publish"],
    )
    assert (await first.live.reload()).faults[0].file == name
    await first.follow()
    # Another process on the same files keeps following, too.
    newer = await Publisher(first).publish(commented_like(candidate), PolicyChange(done.revision, ME, "m"))
    await first.follow()
    assert (first.live.active.revision, first.is_unsettled) == (newer.revision, False)
    # Without it the files follow, and are no change at startup.
    stray.rmdir() if code == "unreadable" else stray.unlink()
    assert revision_of(directory) == parent
    again = await starting_process(sessions, directory, files_win=is_embedded(url))
    await again.follow()
    assert again.live.active.revision == newer.revision
    monkeypatch.setattr(policy_directory, "RETRY_SECONDS", 0.0)
    await first.follow()
    assert (first.behind, revision_of(directory)) == ("", newer.revision)


def commented_like(candidate: dict[str, bytes]) -> dict[str, bytes]:
    """Another revision."""
    return {**candidate, "public.csv": b"# once more\n" + candidate["public.csv"]}


@on_sqlite
async def test_an_unfinished_change_is_completed_after_a_stray_file_is_removed(
    sessions: Sessions, tmp_path: Path
) -> None:
    directory = new_directory(tmp_path / "policies")
    first = await starting_process(sessions, directory, files_win=True)
    await first.follow()
    newest = await publish(first, "new")
    write.begin(directory, newest)
    (directory / "public.csv").write_text("# half of it\n" + (directory / "public.csv").read_text())
    (directory / "deny.CSV").write_bytes(STRAY)
    first.note_failed_change()
    await first.follow()
    assert first.is_unsettled
    again = await starting_process(sessions, directory, files_win=True)
    await again.follow()
    assert again.live.active.revision == newest
    (directory / "deny.CSV").unlink()
    await first.follow()
    assert (first.is_unsettled, revision_of(directory)) == (False, newest)


@pytest.mark.parametrize("is_read", [True, False], ids=["refused before", "not read yet"])
@pytest.mark.parametrize("goes_back", [False, True])
async def test_a_refused_edit_is_kept(
    sessions: Sessions, url: str, tmp_path: Path, is_read: bool, goes_back: bool
) -> None:
    directory = new_directory(tmp_path / "policies")
    first = await starting_process(sessions, directory, files_win=is_embedded(url))
    await first.follow()
    candidate, parent = commented(directory, "new"), first.live.active.revision
    edited = (directory / "catalog.csv").read_text().replace("# end", "p, anyone, /x, POST, dney\n# end")
    (directory / "catalog.csv").write_text(edited)
    if is_read:
        assert (await first.live.reload()).outcome == "refused"
    done = await Publisher(first).publish(candidate, PolicyChange(parent, ME, "m"))
    assert "edited here" in (done.files_lag or "")
    if goes_back:
        back = await Publisher(first).rollback(parent, PolicyChange(done.revision, ME, ""))
        assert (back.revision, bool(back.files_lag)) == (parent, True)
    await first.follow()
    assert (directory / "catalog.csv").read_text() == edited
    # When corrected, it is based on another policy than the active one.
    (directory / "catalog.csv").write_text(edited.replace("dney", "deny"))
    assert (await first.live.reload()).faults[0].code == "outdated-files"
    await first.follow()
    again = await starting_process(sessions, directory, files_win=is_embedded(url))
    await again.follow()
    assert again.live.active.revision == first.live.active.revision
    corrected = {**candidate, "catalog.csv": (directory / "catalog.csv").read_bytes()}
    meant = await Publisher(first).publish(
        corrected, PolicyChange(first.live.active.revision, ME, "m", Acknowledgements(widening=True))
    )
    assert (meant.files_lag, revision_of(directory)) == (None, meant.revision)


async def test_an_unnoticed_edit_is_applied_before_a_publish(sessions: Sessions, url: str, tmp_path: Path) -> None:
    directory = new_directory(tmp_path / "policies")
    first = await starting_process(sessions, directory, files_win=is_embedded(url))
    await first.follow()
    candidate, parent = commented(directory, "new"), first.live.active.revision
    (directory / "catalog.csv").write_bytes(commented(directory, "edited")["catalog.csv"])
    edited = revision_of(directory)
    with pytest.raises(StaleParent) as stale:
        await Publisher(first).publish(candidate, PolicyChange(parent, ME, "m"))
    assert stale.value.active == first.live.active.revision == revision_of(directory) == edited
    assert await kinds(sessions) == ["files", "files"]
    done = await Publisher(first).publish(candidate, PolicyChange(str(edited), ME, "m"))
    assert (done.files_lag, revision_of(directory)) == (None, done.revision)


def test_a_server_keeps_files_that_are_not_active(own_server: Server, issuer: LiveIssuer) -> None:
    file = own_server.policy_dir / "catalog.csv"
    good = file.read_text()
    with admin(own_server, issuer) as client:
        before = len(history(client))
        request = body(client, {**files(own_server), "public.csv": "# new\n" + files(own_server)["public.csv"]})
        file.write_text(good.replace("# end", "p, user:bob, /api/v1/teams/**, GET|HEAD, deny\n# end"))
        assert client.post(PUBLISH, json=request).status_code == 409
        assert "user:bob" in file.read_text()
        assert eventually(lambda: len(history(client)) == before + 1)
        (own_server.policy_dir / "deny.CSV").write_bytes(STRAY)
        answer = client.post(PUBLISH, json={**request, "parent": active(client), "acknowledge_widening": True})
        assert (answer.status_code, active(client)) == (200, answer.json()["revision"])
        assert "deny.CSV" in answer.json()["files_lag"]
        assert not (own_server.policy_dir / ".publishing").exists()
