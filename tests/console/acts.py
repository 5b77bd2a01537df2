"""Every administrative act through every door: how to perform it, and its entry in the admin log."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from app.policy.language.fault import PolicyRefused
from app.policy.language.load import load
from tests.cli.command import command
from tests.console.admins import EVERYTHING, file, officer, publish, send
from tests.console.browsing import Browser
from tests.console.sessions import Person
from tests.support.issuer import LiveIssuer
from tests.support.server import Server, eventually

LOG = "/api/v1/admin-actions/"
KEYS = "/api/v1/api-keys/"
APPS = "/api/v1/oauth/apps/"
APP = {"name": "<i>Scores</i>", "redirect_uris": ["https://app.example/cb"], "confidential": True}
POLICIES = "/api/v1/policies"
# Whether the act succeeded, by the status of the answer or the exit code of the command.
Done = bool


@dataclass(frozen=True, slots=True)
class Act:
    """An act. `door` and `actor` are those of its log entry; `target` is a pattern."""

    action: str
    door: str
    actor: str
    target: str
    do: Callable[[], Done]


def rows(server: Server, issuer: LiveIssuer, **filters: str) -> list[dict[str, Any]]:
    """The first page of the admin log, newest first, as an auditor reads it."""
    with server.client(issuer.token(sub="user_auditor", permissions=["audit:read"])) as client:
        answer = client.get(LOG, params=filters)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


class Administrators:
    """Administrators of a server, with tokens, sessions and commands. Each act on a key has its own key."""

    def __init__(self, server: Server, issuer: LiveIssuer, directory: Path) -> None:
        self._server = server
        self._directory = directory
        self._token = issuer.token(sub="user_admin", permissions=list(EVERYTHING), exp=2**33)
        self._browser = Browser(server)
        self._issuer = issuer
        # An earlier policy to roll back to.
        self.earlier = self.active()
        assert self._publish()

    def close(self) -> None:
        """Close the browser's connections."""
        self._browser.http.close()

    @contextmanager
    def api(self) -> Iterator[httpx.Client]:
        """A client of the API."""
        with self._server.client(self._token) as client:
            yield client

    def active(self) -> str:
        """The active revision."""
        with self.api() as client:
            return str(client.get(POLICIES).json()["revision"])

    def issue(self, owner: Person | None = None) -> int:
        """Issue a key: over the API for the administrator, or on a page for a user."""
        if owner is None:
            with self.api() as client:
                return int(client.post(KEYS, json={"name": "k", "scopes": []}).json()["api_key"]["id"])
        assert self._issue_by_form(owner)
        found = re.findall(r'href="/console/keys/(\d+)"', owner.get("/console/keys").text)
        return max(map(int, found))

    def register(self, *, disabled: bool = False) -> tuple[int, str]:
        """Register a confidential app: its id, and the target of acts on it."""
        with self.api() as client:
            app = client.post(APPS, json=APP).json()["app"]
            if disabled:
                assert client.post(f"{APPS}{app['id']}/disable").is_success
        return int(app["id"]), f"app:{app['client_id']}"

    def by_api(self) -> list[Act]:
        """The acts over the API, in an order in which each can succeed."""

        def act(action: str, target: str, method: str, path: str, body: Any = None) -> Act:
            def do() -> Done:
                with self.api() as client:
                    return client.request(method, path, json=body).is_success

            return Act(action, "api", "user_admin", target, do)

        rotated, revoked = self.issue(), self.issue()
        (app, client), (disabled, disabled_client) = self.register(), self.register(disabled=True)
        candidate, person = {"files": self._files(), "message": "Try it."}, f"user_{secrets.token_hex(4)}"
        return [
            act("key.issue", r"key:\d+", "POST", KEYS, {"name": "<i>k</i>", "scopes": ["catalog:read"]}),
            act("key.rotate", f"key:{rotated}", "POST", f"{KEYS}{rotated}/rotate/", {"grace_seconds": 60}),
            act("key.revoke", f"key:{revoked}", "POST", f"{KEYS}{revoked}/revoke/"),
            act("policy.shadow", r"[0-9a-f]{16}", "PUT", f"{POLICIES}/shadow/", candidate),
            act("policy.shadow.withdraw", r"[0-9a-f]{16}", "DELETE", f"{POLICIES}/shadow/"),
            act("policy.reload", r"[0-9a-f]{16}", "POST", f"{POLICIES}/reload"),
            Act("policy.publish", "api", "user_admin", r"[0-9a-f]{16}", self._publish),
            Act("policy.rollback", "api", "user_admin", self.earlier, self._roll_back),
            act("app.register", "app:app_[0-9a-f]{24}", "POST", APPS, APP),
            act("app.change", client, "PATCH", f"{APPS}{app}", {"name": f"Results {secrets.token_hex(4)}"}),
            act("app.rotate", client, "POST", f"{APPS}{app}/rotate", {"overlap_seconds": 0}),
            act("app.disable", client, "POST", f"{APPS}{app}/disable"),
            act("app.enable", disabled_client, "POST", f"{APPS}{disabled}/enable"),
            act("app.remove", client, "DELETE", f"{APPS}{app}"),
            act("person.block", f"user:{person}", "POST", f"/api/v1/oauth/people/{person}/block/"),
        ]

    def by_page(self) -> list[Act]:
        """The acts in the console."""
        person = officer(self._server)
        rotated, revoked = self.issue(person), self.issue(person)
        others = self.issue()
        (app, client), (disabled, disabled_client) = self.register(), self.register(disabled=True)
        removed, removed_client = self.register(disabled=True)

        def act(action: str, target: str, do: Callable[[], httpx.Response], actor: str = "user_officer") -> Act:
            return Act(action, "console", actor, target, lambda: do().status_code in (200, 201, 303))

        def sign_out(path: str) -> httpx.Response:
            csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', self._browser.get("/console/account").text)
            headers = {"Origin": self._server.url}
            return self._browser.http.post(path, data={"csrf": csrf[1] if csrf else ""}, headers=headers)

        keys, policy, apps = "/console/keys", "/console/policy", "/console/registered-apps"
        form_id = secrets.token_hex(16)
        return [
            Act("key.issue", "console", "user_officer", r"key:\d+", lambda: self._issue_by_form(person)),
            act(
                "key.rotate",
                f"key:{rotated}",
                lambda: person.post(f"{keys}/{rotated}/rotate", grace="0", form_id=form_id),
            ),
            act("key.revoke", f"key:{revoked}", lambda: person.post(f"{keys}/{revoked}/revoke")),
            act("key.revoke", f"key:{others}", lambda: person.post(f"/console/all-keys/{others}/revoke")),
            act(
                "policy.shadow",
                r"[0-9a-f]{16}",
                lambda: send(person, "/shadow", message="Try it.", **self._draft()),
            ),
            act("policy.shadow.withdraw", r"[0-9a-f]{16}", lambda: person.post(f"{policy}/shadow/withdraw")),
            act(
                "policy.publish",
                r"[0-9a-f]{16}",
                lambda: publish(person, self._draft()),
            ),
            act(
                "policy.rollback",
                self.earlier,
                lambda: person.post(f"{policy}/history/{self.earlier}/rollback", parent=self.active()),
            ),
            act("app.register", "app:app_[0-9a-f]{24}", lambda: self._register_by_form(person)),
            act(
                "app.change",
                client,
                lambda: person.post(
                    f"{apps}/{app}/edit", name=f"Results {secrets.token_hex(4)}", redirects="http://[::1]"
                ),
            ),
            act(
                "app.rotate",
                client,
                lambda: person.post(f"{apps}/{app}/rotate", overlap="0", form_id=secrets.token_hex(16)),
            ),
            act("app.disable", client, lambda: person.post(f"{apps}/{app}/disable")),
            act("app.enable", disabled_client, lambda: person.post(f"{apps}/{disabled}/enable")),
            act("app.remove", removed_client, lambda: person.post(f"{apps}/{removed}/remove")),
            act("session.start", r"session:\d+", lambda: self._browser.sign_in(self._issuer), "user_alice"),
            act("session.end", r"session:\d+", lambda: sign_out("/console/sign-out"), "user_alice"),
            act("session.end_all", "user:user_officer", lambda: person.post("/console/sign-out/everywhere")),
        ]

    def by_command(self, account: str) -> list[Act]:
        """The acts on the command line."""

        def act(action: str, target: str, *words: str, given: str = "") -> Act:
            def do() -> Done:
                done = command(*words, env=self._server.env, cwd=self._directory, given=given)
                return done.returncode == 0

            return Act(action, "cli", account, target, do)

        candidate = self._directory / "candidate"
        for name, text in self._files().items():
            (candidate / name).parent.mkdir(parents=True, exist_ok=True)
            (candidate / name).write_text(text)
        revoked = self.issue()
        with self._server.client(self._issuer.token(sub="user_leaves", permissions="catalog:read")) as client:
            left = client.post(KEYS, json={"name": "left"}).json()["api_key"]["id"]
            read = client.post(KEYS, json={"name": "found"}).json()
        (_, app), (_, disabled) = self.register(), self.register(disabled=True)
        why, person = ("-m", "Because."), f"user_{secrets.token_hex(4)}"
        return [
            act("key.revoke", f"key:{revoked}", "keys", "revoke", str(revoked)),
            act("key.revoke", f"key:{read['api_key']['id']}", "keys", "revoke", "-", given=read["plaintext"]),
            act("key.revoke", f"key:{left}", "keys", "revoke", "--owner", "user_leaves", "--yes"),
            act("policy.publish", r"[0-9a-f]{16}", "policy", "publish", str(candidate), *why),
            act("policy.rollback", self.earlier, "policy", "rollback", self.earlier, *why),
            act("app.register", "app:app_[0-9a-f]{24}", "apps", "add", "<i>Scores</i>", "--redirect", "http://[::1]"),
            act("app.rotate", app, "apps", "rotate", app.removeprefix("app:")),
            act("app.disable", app, "apps", "disable", app.removeprefix("app:")),
            act("app.enable", disabled, "apps", "enable", disabled.removeprefix("app:")),
            act("app.remove", app, "apps", "remove", app.removeprefix("app:"), "--yes"),
            act("person.block", f"user:{person}", "people", "block", person),
        ]

    def edit(self) -> Act:
        """An edit of a policy file in place."""
        edited = self._server.policy_dir / "catalog.csv"

        def do() -> Done:
            # While the server still writes what another process published, the files are outdated.
            assert eventually(self._has_newest, 10)
            edited.write_text(self._comment() + edited.read_text())
            return True

        return Act("policy.files", "files", "", r"[0-9a-f]{16}", do)

    def _has_newest(self) -> bool:
        """Whether the policy directory of the server holds the newest revision; not while it is written."""
        try:
            return load(self._server.policy_dir).revision == self._newest()
        except PolicyRefused:
            return False

    def _newest(self) -> str:
        """The newest revision of the history, which the server may not serve yet."""
        with self.api() as client:
            found: str = client.get("/api/v1/policies/history").json()["results"][0]["revision"]
        return found

    @staticmethod
    def _comment() -> str:
        """A line that changes the revision of a policy, but no access."""
        return f"# {secrets.token_hex(8)}\n"

    def _files(self) -> dict[str, str]:
        with self.api() as client:
            files: dict[str, str] = client.get(f"{POLICIES}/history/{self.active()}").json()["files"]
        return {**files, "catalog.csv": self._comment() + files["catalog.csv"]}

    def _draft(self) -> dict[str, str]:
        """The fields of the editor's form."""
        return {"file": "catalog.csv", "text": self._comment() + file(self._server, "catalog.csv")}

    def _publish(self) -> Done:
        body = {"files": self._files(), "parent": self.active(), "message": "Because."}
        with self.api() as client:
            return client.post(f"{POLICIES}/publish", json=body).is_success

    def _roll_back(self) -> Done:
        body = {"revision": self.earlier, "parent": self.active(), "message": "Back."}
        with self.api() as client:
            return client.post(f"{POLICIES}/rollback", json=body).is_success

    @staticmethod
    def _register_by_form(person: Person) -> httpx.Response:
        form = {"name": "<i>Scores</i>", "redirects": "https://app.example/cb", "runs": "server"}
        return person.post("/console/registered-apps/new", **form, form_id=secrets.token_hex(16))

    @staticmethod
    def _issue_by_form(owner: Person) -> Done:
        form: dict[str, str | list[str]] = {
            "name": "CI",
            "scopes": ["catalog:read"],
            "lives": "90",
            "environment": "live",
        }
        return owner.post("/console/keys/new", **form, form_id=secrets.token_hex(16)).status_code == 201
