"""Clients that issue and revoke keys and publish policies, and checks of their acknowledged writes."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count, pairwise
from pathlib import Path

import httpx

from tests.console.sessions import Person, sign_in
from tests.history.test_publish import files
from tests.support.breakable import BreakablePostgres
from tests.support.issuer import PARTY, LiveIssuer
from tests.support.server import AUTHZ, Server, eventually, free_port

EVERYTHING = "catalog:read policies:read policies:write decisions:read"
ADMIN = ("keys:read", "keys:write")
_SETTLED_SECONDS = 5.0
_ROUNDS = count(1)


@dataclass
class Ledger:
    """The acknowledged writes. `trying` are keys whose revocation was not answered."""

    keys: dict[int, str] = field(default_factory=dict)  # plaintexts by id
    revoked: set[int] = field(default_factory=set)
    revoked_by_admin: set[int] = field(default_factory=set)
    revisions: list[str] = field(default_factory=list)
    answers: Counter[int] = field(default_factory=Counter)
    unanswered: int = 0


def replica(directory: Path, issuer: LiveIssuer, database: str) -> Server:
    """A server with a console, on a port that it keeps."""
    port = free_port()
    return Server(
        directory,
        jwks_url=issuer.jwks_url,
        issuer=issuer.url,
        authorized_parties=PARTY,
        command=(str(AUTHZ), "serve", "--port", str(port)),
        database_url=database,
        access_log="false",
        key_issues_per_minute="0",
        database_timeout_seconds="2",
        console_client_id="console",
        console_url=f"http://127.0.0.1:{port}",
    )


class Writers:
    """Issues and revokes keys, as owner and as administrator, and publishes, until `stop`."""

    def __init__(self, server: Server, issuer: LiveIssuer, ledger: Ledger) -> None:
        self._server = server
        self._token = issuer.token(sub="user_writer", permissions=EVERYTHING)
        self._ledger = ledger
        self._stop = threading.Event()
        self._admin = sign_in(server, "user_admin", ADMIN)
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._keys, self._policies)]

    def start(self) -> None:
        """Begin to write."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop after the pending answers."""
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def _keys(self) -> None:
        with self._server.client(self._token) as client:
            for number in count():
                if self._stop.is_set():
                    return
                body = {"name": f"trial {number}", "scopes": ["catalog:read"]}
                answer = self._sent(lambda body=body: client.post("/api/v1/api-keys/", json=body))  # type: ignore[misc]
                if answer is None or answer.status_code != 201:
                    continue
                key_id = answer.json()["api_key"]["id"]
                self._ledger.keys[key_id] = answer.json()["plaintext"]
                if number % 3 == 1:
                    path = f"/api/v1/api-keys/{key_id}/revoke/"
                    answer = self._sent(lambda path=path: client.post(path))  # type: ignore[misc]
                    if answer is not None and answer.status_code == 200:
                        self._ledger.revoked.add(key_id)
                elif number % 3 == 2:
                    answer = self._sent(lambda key_id=key_id: _revoke(self._admin, key_id))  # type: ignore[misc]
                    if answer is not None and answer.status_code == 303:
                        self._ledger.revoked_by_admin.add(key_id)

    def _policies(self) -> None:
        with self._server.client(self._token) as client:
            while not self._stop.is_set():
                shown = self._sent(lambda: client.get("/api/v1/policies/"))
                if shown is None or shown.status_code != 200:
                    continue
                try:
                    content = files(self._server)
                except FileNotFoundError:  # it is being written
                    continue
                head = content["catalog.csv"].partition("# round")[0].removesuffix("# end\n")
                content["catalog.csv"] = f"{head}# round {next(_ROUNDS)}\n# end\n"
                body = {"files": content, "parent": shown.json()["revision"], "message": "A trial."}
                answer = self._sent(lambda body=body: client.post("/api/v1/policies/publish/", json=body))  # type: ignore[misc]
                if answer is not None and answer.status_code == 200:
                    self._ledger.revisions.append(answer.json()["revision"])

    def _sent(self, send: Callable[[], httpx.Response]) -> httpx.Response | None:
        try:
            answer = send()
        except httpx.TransportError:
            self._ledger.unanswered += 1
            time.sleep(0.02)
            return None
        self._ledger.answers[answer.status_code] += 1
        return answer


def _revoke(person: Person, key_id: int) -> httpx.Response:
    return person.post(f"/console/all-keys/{key_id}/revoke")


def faults(
    server: Server, issuer: LiveIssuer, postgres: BreakablePostgres, ledger: Ledger, new: set[int]
) -> Iterator[str]:
    """Yield faults of the acknowledged writes; the keys in `new` are also used."""
    with server.client(issuer.token(sub="user_writer", permissions=EVERYTHING)) as client:
        if not eventually(lambda: client.get("/readyz").json()["status"] == "ready", _SETTLED_SECONDS):
            yield f"not ready {_SETTLED_SECONDS} s after the recovery: {client.get('/readyz').text}"
            return
        if not eventually(lambda: _settled(server, client, postgres), _SETTLED_SECONDS):
            head = postgres.psql("SELECT revision FROM policy_revisions ORDER BY id DESC LIMIT 1")
            active = client.get("/api/v1/policies/").json()["revision"]
            yield f"{head} is the newest revision, {active} is active, and the files are neither or unfinished"
    rows = _rows(postgres, "SELECT id, encode(digest, 'hex'), revoked_at IS NOT NULL FROM api_keys")
    keys = {int(key_id): (digest, revoked == "t") for key_id, digest, revoked in rows}
    for key_id, plaintext in ledger.keys.items():
        if keys.get(key_id, ("", False))[0] != hashlib.sha256(plaintext.encode()).hexdigest():
            yield f"key {key_id} was issued and is lost"
    for key_id in ledger.revoked | ledger.revoked_by_admin:
        if not keys[key_id][1]:
            yield f"the revocation of key {key_id} is lost"
    history = _rows(postgres, "SELECT id, coalesce(parent_id, 0), revision, kind FROM policy_revisions ORDER BY id")
    for (before, *_), (_, parent, revision, _kind) in pairwise(history):
        if parent != before:
            yield f"revision {revision} follows {parent} and not {before}"
    stored = Counter(revision for _, _, revision, kind in history if kind == "publish")
    for revision in ledger.revisions:
        if not stored[revision]:
            yield f"revision {revision} was published and is lost"
    actions = _rows(postgres, "SELECT action, target FROM admin_actions")
    audited = Counter(target for action, target in actions if action == "policy.publish")
    if audited != stored:
        yield f"audit rows without their revision: {audited - stored}; revisions without theirs: {stored - audited}"
    told = Counter(int(target.removeprefix("key:")) for action, target in actions if action == "key.revoke")
    for key_id, times in told.items():
        if times != 1 or not keys[key_id][1]:
            yield f"the log has {times} entries that key {key_id} was revoked, which is {keys[key_id][1]}"
    for key_id in (ledger.revoked | ledger.revoked_by_admin) - told.keys():
        yield f"key {key_id} was revoked without an entry in the log"
    for key_id in sorted(new):
        with server.client(ledger.keys[key_id]) as program:
            status = program.get("/api/v1/teams/").status_code
        if status != (401 if keys[key_id][1] else 200):
            yield f"key {key_id} gets {status}, and it is {'' if keys[key_id][1] else 'not '}revoked"


def _settled(server: Server, client: httpx.Client, postgres: BreakablePostgres) -> bool:
    """Whether the newest revision is active and in the files."""
    head = postgres.psql("SELECT revision FROM policy_revisions ORDER BY id DESC LIMIT 1")
    if (server.policy_dir / ".publishing").exists() or client.get("/api/v1/policies/").json()["revision"] != head:
        return False
    stored = client.get(f"/api/v1/policies/history/{head}/")
    return stored.status_code == 200 and bool(stored.json()["files"] == files(server))


def _rows(postgres: BreakablePostgres, query: str) -> list[list[str]]:
    return [line.split("|") for line in postgres.psql(query).splitlines()]
