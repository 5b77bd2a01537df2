"""An unwritable policy directory, such as a ConfigMap: the policy is stored in the database and served from memory."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from app.db.engine import is_embedded
from app.db.session import Sessions
from app.history import directory as policy_directory
from app.history.files import revision_of
from app.history.publish import PolicyChange, Publisher
from app.policy.language import write
from app.policy.language.directory import raw_files
from app.policy.language.fault import PolicyRefused
from tests.cli.command import command
from tests.history.processes import ME, commented, kinds, new_directory, publish, starting_process
from tests.history.replicas import another
from tests.history.test_publish import PUBLISH, admin, body, files
from tests.support.issuer import LiveIssuer
from tests.support.server import Server

pytestmark = pytest.mark.anyio
on_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


def unwritable(directory: Path) -> Path:
    """Make the files of a directory unwritable for every user; return the obstacle."""
    obstacle = directory / "..publishing.new"
    obstacle.mkdir()
    return obstacle


async def test_a_published_policy_is_served_after_a_restart(sessions: Sessions, url: str, tmp_path: Path) -> None:
    directory = new_directory(tmp_path / "policies")
    files_win = is_embedded(url)
    first = await starting_process(sessions, directory, files_win=files_win)
    await first.follow()
    mounted = first.live.active.revision
    unwritable(directory)
    publisher = Publisher(first)
    done = await publisher.publish(commented(directory, "new"), PolicyChange(mounted, ME, "m"))
    assert first.live.active.revision == done.revision != mounted == revision_of(directory)
    assert "cannot be written" in (done.files_lag or "")
    assert first.behind == done.files_lag
    again = await starting_process(sessions, directory, files_win=files_win)
    await again.follow()
    assert again.live.active.revision == done.revision
    assert "cannot be written" in again.behind
    assert await kinds(sessions) == ["files", "publish"]
    # After a rollback to the files of the directory nothing lags.
    back = await Publisher(again).rollback(mounted, PolicyChange(done.revision, ME, ""))
    assert (back.revision, back.files_lag, again.behind) == (mounted, None, "")


@on_sqlite
async def test_an_edit_applies_if_the_directory_holds_the_active_policy(sessions: Sessions, tmp_path: Path) -> None:
    directory = new_directory(tmp_path / "policies")
    first = await starting_process(sessions, directory, files_win=True)
    await first.follow()
    mounted = dict(raw_files(directory))
    unwritable(directory)

    def mount(content: dict[str, bytes]) -> str:
        (directory / "catalog.csv").write_bytes(content["catalog.csv"])
        return str(revision_of(directory))

    edited = mount(commented(directory, "edited"))
    assert (await first.live.reload()).outcome == "swapped"
    await first.follow()
    assert first.live.active.revision == edited
    done = await Publisher(first).publish(commented(directory, "published"), PolicyChange(edited, ME, "m"))
    mount(commented(directory, "edited once more"))
    (fault,) = (await first.live.reload()).faults
    assert (fault.code, fault.place) == ("outdated-files", ".")
    await first.follow()
    for _ in range(2):
        again = await starting_process(sessions, directory, files_win=True)
        await again.follow()
        assert again.live.active.revision == done.revision
    # The directory now holds neither of both, and lags behind each.
    back = await Publisher(again).rollback(edited, PolicyChange(done.revision, ME, ""))
    assert "they were changed here" in (back.files_lag or "")
    done = await Publisher(again).rollback(done.revision, PolicyChange(edited, ME, ""))
    published = {name: text.encode() for name, text in again.live.active.policy.source.files.items()}
    assert mount(published) == done.revision
    assert (await again.live.reload()).outcome == "unchanged"
    await again.follow()
    assert again.behind == ""
    assert mount(mounted) != done.revision
    assert (await again.live.reload()).outcome == "swapped"
    await again.follow()
    # The record about these files ended when the directory held the active policy.
    last = await starting_process(sessions, directory, files_win=True)
    await last.follow()
    assert last.live.active.revision == revision_of(directory) != done.revision


@on_sqlite
async def test_files_are_written_when_the_directory_becomes_writable(
    sessions: Sessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy_directory, "RETRY_SECONDS", 0.0)
    directory = new_directory(tmp_path / "policies")
    first = await starting_process(sessions, directory, files_win=True)
    await first.follow()
    obstacle = unwritable(directory)
    parent = first.live.active.revision
    done = await Publisher(first).publish(commented(directory, "new"), PolicyChange(parent, ME, "m"))
    assert first.is_due(first.at)
    await first.follow()
    assert first.behind
    obstacle.rmdir()
    await first.follow()
    assert (first.behind, revision_of(directory), first.is_due(first.at)) == ("", done.revision, False)
    # Then an edit is a change again, even one to the previous files while no process runs.
    new_directory(directory)
    again = await starting_process(sessions, directory, files_win=True)
    await again.follow()
    assert again.live.active.revision == parent


@pytest.mark.parametrize("fails", [True, False], ids=["not writable still", "writable again"])
@on_sqlite
async def test_half_written_files_do_not_prevent_a_start(
    sessions: Sessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """As after a disk became full while a policy was written."""
    monkeypatch.setattr(policy_directory, "RETRY_SECONDS", 0.0)
    directory = new_directory(tmp_path / "policies")
    first = await starting_process(sessions, directory, files_win=True)
    await first.follow()
    newest = await publish(first, "new")
    write.begin(directory, newest)
    public = (directory / "public.csv").read_text()
    (directory / "public.csv").write_text("# half of it\n" + public)
    obstacle = directory / "..publishing.new"
    (directory / ".catalog.csv.new").mkdir()
    again = await starting_process(sessions, directory, files_win=True)
    await again.follow()
    assert again.live.active.revision == newest
    assert again.behind
    assert (await again.live.reload()).outcome == "refused"
    assert not obstacle.exists()
    if fails:
        done = await Publisher(again).publish(
            raw_files(new_directory(tmp_path / "other")), PolicyChange(newest, ME, "m")
        )
        assert (again.live.active.revision, bool(done.files_lag)) == (done.revision, True)
    else:
        (directory / ".catalog.csv.new").rmdir()
        await again.follow()
        assert (again.behind, revision_of(directory), (directory / ".publishing").exists()) == ("", newest, False)


@on_sqlite
async def test_a_policy_with_faults_is_refused_there_too(sessions: Sessions, tmp_path: Path) -> None:
    directory = new_directory(tmp_path / "policies")
    first = await starting_process(sessions, directory, files_win=True)
    await first.follow()
    unwritable(directory)
    parent = first.live.active.revision
    bad = {**raw_files(directory), "catalog.csv": b"p, catalog:read, /x, GET, denny\n# end\n"}
    with pytest.raises(PolicyRefused):
        await Publisher(first).publish(bad, PolicyChange(parent, ME, "m"))
    assert await kinds(sessions) == ["files"]


def test_an_unwritable_directory_is_reported_at_every_door(
    own_server: Server, issuer: LiveIssuer, tmp_path: Path
) -> None:
    unwritable(own_server.policy_dir)
    old = files(own_server)
    with admin(own_server, issuer) as client:
        answer = client.post(PUBLISH, json=body(client, another(own_server))).json()
        assert "cannot be written" in answer["files_lag"]
        candidate = Path(shutil.copytree(own_server.policy_dir, tmp_path / "candidate"))
        (candidate / "..publishing.new").rmdir()
        (candidate / "catalog.csv").write_text(another(own_server)["catalog.csv"])
        words = ("policy", "publish", str(candidate), "-m", "m", "--wait", "10")
        plain = command(*words, env=own_server.env)
        assert plain.returncode == 0, plain.stdout + plain.stderr
        assert "It is served from the database: the policy directory" in plain.stdout
        back = command("policy", "rollback", answer["revision"], "--wait", "10", "--json", env=own_server.env)
        told = json.loads(back.stdout)
        assert (told["revision"], told["replicas"]["serving"]) == (answer["revision"], 1)
        assert "cannot be written" in told["files_lag"]
        assert client.get("/api/v1/policies").json()["revision"] == answer["revision"]
        (one,) = client.get("/api/v1/replicas/").json()["results"]
        assert "cannot be written" in one["files_lag"]
        assert client.get("/readyz").json()["checks"]["policy"]["files_lag"] is True
    own_server.wait_for_log(lambda entry: "served from memory" in str(entry.get("event")))
    assert files(own_server) == old
    own_server.stop()
    own_server.lines.clear()
    own_server.start()
    with admin(own_server, issuer) as client:
        assert client.get("/api/v1/policies").json()["revision"] == answer["revision"]
