"""Reloads of a served policy by an edited file, a signal or a request: atomic, and only to a valid one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.issuer import PARTY, LiveIssuer
from tests.support.server import Server, eventually

RELOAD = "/api/v1/policies/reload/"
READ_TEAMS = "p, catalog:read, /api/v1/teams/**, GET|HEAD, allow"
STRICTER = "p, catalog:read policies:read, /api/v1/teams/**, GET|HEAD, allow"


@pytest.fixture(scope="module")
def shared(issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose policy the tests of this module edit."""
    directory = tmp_path_factory.mktemp("reloads")
    with Server(directory, jwks_url=issuer.jwks_url, issuer=issuer.url, authorized_parties=PARTY) as started:
        yield started


@pytest.fixture
def edited(shared: Server, issuer: LiveIssuer) -> Iterator[Server]:
    """That server, whose policy is the shipped one again after the test."""
    file = shared.policy_dir / "catalog.csv"
    text = file.read_text()
    with shared.client(issuer.token(permissions=["policies:read", "policies:write"])) as admin:
        before = admin.get("/api/v1/policies/").json()["revision"]
        yield shared
        file.write_text(text)
        assert admin.post(RELOAD).json()["revision"] == before


@pytest.fixture
def reader(issuer: LiveIssuer) -> str:
    return issuer.token(permissions=["catalog:read"])


def status(server: Server, token: str, path: str = "/api/v1/teams/") -> int:
    with server.client(token) as client:
        return client.get(path).status_code


def edit(file: Path, old: str, new: str, *, atomic: bool = False) -> None:
    text = file.read_text()
    assert old in text
    if atomic:
        aside = file.with_name(f".{file.name}.new")
        aside.write_text(text.replace(old, new))
        aside.replace(file)
    else:
        file.write_text(text.replace(old, new))


@pytest.mark.parametrize("atomic", [False, True], ids=["in place", "by atomic rename"])
def test_an_edited_row_applies_without_a_restart(edited: Server, reader: str, atomic: bool) -> None:
    file = edited.policy_dir / "catalog.csv"
    assert status(edited, reader) == 200
    edit(file, READ_TEAMS, STRICTER, atomic=atomic)
    assert eventually(lambda: status(edited, reader) == 403, 2)
    edit(file, STRICTER, READ_TEAMS, atomic=atomic)
    assert eventually(lambda: status(edited, reader) == 200, 2)


def test_a_swapped_directory_link_applies(issuer: LiveIssuer, reader: str, tmp_path: Path) -> None:
    server = Server(tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url)
    one, two = tmp_path / "one", tmp_path / "two"
    server.policy_dir.rename(one)
    shutil.copytree(one, two)
    edit(two / "catalog.csv", READ_TEAMS, STRICTER)
    server.policy_dir.symlink_to(one)
    with server:
        assert status(server, reader) == 200
        for target, expected in ((two, 403), (one, 200), (two, 403)):
            aside = tmp_path / "aside"
            aside.symlink_to(target)
            aside.replace(server.policy_dir)
            assert eventually(lambda wanted=expected: status(server, reader) == wanted, 4)  # type: ignore[misc]


def test_a_swapped_configmap_applies(issuer: LiveIssuer, reader: str, tmp_path: Path) -> None:
    server = Server(tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url)
    flat = tmp_path / "flat"
    flat.mkdir()
    for version in ("..one", "..two"):
        shutil.copytree(server.policy_dir, flat / version)
    edit(flat / "..two" / "catalog.csv", READ_TEAMS, STRICTER)
    (flat / "..data").symlink_to("..one")
    for file in (flat / "..one").iterdir():
        if file.is_file():
            (flat / file.name).symlink_to(f"..data/{file.name}")
    server.env["AUTHZ_POLICY_DIR"] = str(flat)
    with server:
        assert status(server, reader) == 200
        (flat / "..aside").symlink_to("..two")
        (flat / "..aside").replace(flat / "..data")
        assert eventually(lambda: status(server, reader) == 403, 4)


def test_sighup_reloads(edited: Server, reader: str) -> None:
    edit(edited.policy_dir / "catalog.csv", READ_TEAMS, STRICTER)
    edited.signal(signal.SIGHUP)
    assert eventually(lambda: status(edited, reader) == 403, 2)


def test_an_admin_reloads_and_reads_what_changed(edited: Server, issuer: LiveIssuer, reader: str) -> None:
    with edited.client(issuer.token(permissions=["policies:read", "policies:write"])) as admin:
        before = admin.get("/api/v1/policies/").json()
        assert admin.post(RELOAD).json() == {"revision": before["revision"], "outcome": "unchanged", "changed": []}
        # The watcher may have reloaded before this request: the policy is new in either case.
        edit(edited.policy_dir / "catalog.csv", READ_TEAMS, STRICTER)
        answer = admin.post(RELOAD)
        assert answer.status_code == 200
        after = admin.get("/api/v1/policies/").json()
    assert answer.json()["revision"] == after["revision"] != before["revision"]
    assert status(edited, reader) == 403
    if answer.json()["outcome"] == "swapped":
        kinds = {(change["kind"], change["row"]) for change in answer.json()["changed"]}
        assert kinds == {
            ("removed", READ_TEAMS),
            ("added", "p, catalog:read policies:read, /api/v1/teams/**, GET|HEAD, allow"),
        }
    assert {file["name"] for file in after["files"]} >= {"model.conf", "permissions.toml", "catalog.csv", "roles.csv"}
    assert after["since"] > before["since"]
    assert after["last_fault"] is None


def test_a_bad_policy_never_replaces_a_good_one(edited: Server, issuer: LiveIssuer, reader: str) -> None:
    file = edited.policy_dir / "catalog.csv"
    with edited.client(issuer.token(permissions=["policies:read", "policies:write"])) as admin:
        good = admin.get("/api/v1/policies/").json()["revision"]
        edit(file, "/api/v1/teams/**, GET|HEAD, allow", "/api/v1/teams/**, GET|HEAD, alow")
        refused = admin.post(RELOAD)
        shown = admin.get("/api/v1/policies/").json()
        ready = admin.get("/readyz").json()
        assert status(edited, reader) == 200
        edit(file, "alow", "allow")
        assert admin.post(RELOAD).status_code == 200
        fixed = admin.get("/api/v1/policies/").json()
    assert refused.status_code == 422
    body = refused.json()
    assert body["revision"] == shown["revision"] == fixed["revision"] == good
    (fault,) = body["faults"]
    assert (fault["code"], fault["file"], fault["line"]) == ("effect", "catalog.csv", 7)
    assert "did you mean `allow`?" in fault["hint"]
    assert shown["last_fault"]["faults"] == body["faults"]
    assert ready["checks"]["policy"]["last_reload_refused"] is True
    assert fixed["last_fault"] is None


def test_reload_needs_its_permission(edited: Server, issuer: LiveIssuer) -> None:
    with edited.client(issuer.token(permissions=["policies:read"])) as client:
        answer = client.post(RELOAD)
        assert answer.status_code == 403
        assert 'scope="policies:write"' in answer.headers["www-authenticate"]


def test_no_request_under_load_sees_a_mix_of_two_policies(edited: Server, issuer: LiveIssuer) -> None:
    """Two clients at full speed while reloads alternate two policies, each of which opens one of two endpoints."""
    reloads = int(os.environ.get("RELOADS", "10"))
    token = issuer.token(permissions=["catalog:read"])
    other = "p, catalog:read, /api/v1/venues/**, GET|HEAD, allow"
    file = edited.policy_dir / "catalog.csv"
    shared = file.read_text()
    versions = [
        shared.replace(READ_TEAMS, STRICTER),
        shared.replace(other, other.replace("catalog:read", "catalog:read policies:read")),
    ]
    edit(file, shared, versions[0])
    assert eventually(lambda: status(edited, token) == 403, 2)
    seen: Counter[tuple[str, int]] = Counter()
    stop = threading.Event()

    def ask(path: str) -> None:
        with edited.client(token) as client:
            while not stop.is_set():
                seen[path, client.get(path).status_code] += 1

    clients = [threading.Thread(target=ask, args=(f"/api/v1/{name}/",)) for name in ("teams", "venues")]
    for client in clients:
        client.start()
    with edited.client(issuer.token(permissions=["policies:write"])) as admin:
        for number in range(reloads):
            file.write_text(versions[(number + 1) % 2])
            assert admin.post(RELOAD).status_code == 200
            time.sleep(0.02)
    stop.set()
    for client in clients:
        client.join()
    assert {code for _, code in seen} == {200, 403}
    assert set(seen) == {(path, code) for path in ("/api/v1/teams/", "/api/v1/venues/") for code in (200, 403)}
    with httpx.Client(base_url=edited.url) as stranger:
        assert stranger.get("/healthz").status_code == 200


def test_the_log_line_of_a_reload_is_bounded(edited: Server, issuer: LiveIssuer) -> None:
    path = edited.policy_dir / "catalog.csv"
    good = path.read_text()
    rows = "".join(f"p, user:u{number}, /api/v1/teams, POST, deny\n" for number in range(200))
    with edited.client(issuer.token(permissions=["policies:read", "policies:write"])) as admin:
        path.write_text(good.replace("# end", rows + "# end"))
        assert admin.post(RELOAD).status_code == 200
        swapped = edited.wait_for_log(lambda entry: entry.get("added") == 200)
        assert (swapped["event"], swapped["removed"], len(swapped["changed"])) == ("policy swapped", 0, 10)
        assert len(json.dumps(swapped)) < 4_000
        path.write_text(good.replace("# end", rows.replace("deny", "dony")[:3_000].rpartition("\n")[0] + "\n# end"))
        refused = admin.post(RELOAD)
        assert len(refused.json()["faults"]) > 50, "the answer has all of them"
        # The watcher may have read a partly written file, and found one fault.
        many = len(refused.json()["faults"])
        line = edited.wait_for_log(lambda entry: entry.get("count") == many)
        assert len(line["faults"]) == 10
        assert len(json.dumps(line)) < 8_000
