"""Two replicas of one database: what is ended at the first, the second one refuses soon afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from app.oauth.exchange import IssuedTokens
from tests.console.conftest import console_server
from tests.oauth.flows import SCOPES
from tests.oauth.served import ServedApp
from tests.support.issuer import LiveIssuer
from tests.support.server import DATABASE, Server

TEAMS = "/api/v1/teams"
_APPS = "/api/v1/oauth/apps"
_GRANTS = "/api/v1/oauth/grants"
_TOKEN_SECONDS = 24 * 3600  # of the users' tokens, longer than a trial
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Revocation:
    """Something that the second replica accepts. `act` ends it at the first one, `is_obeyed` asks the second one."""

    act: Callable[[], None]
    is_obeyed: Callable[[], bool]


class RevocationTrial:
    """Two servers, and a new revocation of each kind whenever one is prepared."""

    def __init__(self, first: Server, second: Server, issuer: LiveIssuer) -> None:
        self.first, self.second = first, second
        self._issuer = issuer
        self._public_url = first.env["AUTHZ_PUBLIC_URL"]
        self._asking = httpx.Client(base_url=second.url, timeout=20)
        self._acting = httpx.Client(base_url=first.url, timeout=20)
        self._admin = self._signed_in("user_admin", "apps:read", "apps:write", "keys:write")
        self.kinds: Mapping[str, Callable[[], Revocation]] = {
            "consent": self._consent,
            "consents of a user": self._consents,
            "disabled app": self._disabled_app,
            "removed app": self._removed_app,
            "secret of an app": self._secret,
            "blocked person": self._person,
            "key of a blocked person": self._key_of_person,
            "refresh token": self._refresh_token,
        }

    def close(self) -> None:
        """Close the connections to both servers."""
        self._asking.close()
        self._acting.close()

    def _signed_in(self, user: str, *permissions: str) -> dict[str, str]:
        token = self._issuer.token(sub=user, permissions=permissions, exp=int(time.time()) + _TOKEN_SECONDS)
        return {"Authorization": f"Bearer {token}"}

    def _app(self, *, confidential: bool = False) -> tuple[ServedApp, str, IssuedTokens]:
        """A new app, a new user who allowed it, and its tokens, which both replicas know."""
        app, user = ServedApp(self.first, confidential=confidential), f"user_{next(_numbers)}"
        tokens = app.stored_tokens(user, resource=self._public_url)
        assert self._status(tokens.access_token) == 200
        return app, user, tokens

    def _status(self, token: str) -> int:
        """The status of a request at the second replica."""
        return self._asking.get(TEAMS, headers={"Authorization": f"Bearer {token}"}).status_code

    def _refused(self, token: str) -> Callable[[], bool]:
        def is_refused() -> bool:
            status = self._status(token)
            assert status in (200, 401), status
            return status == 401

        return is_refused

    def _request(self, method: str, path: str, headers: Mapping[str, str], **body: Any) -> Callable[[], None]:
        def act() -> None:
            answer = self._acting.request(method, path, headers=headers, **body)
            assert answer.status_code in (200, 201, 204), answer.text

        return act

    def _consent(self) -> Revocation:
        _, user, tokens = self._app()
        headers = self._signed_in(user)
        (grant,) = self._acting.get(_GRANTS, headers=headers).json()
        return Revocation(
            self._request("DELETE", f"{_GRANTS}/{grant['id']}", headers), self._refused(tokens.access_token)
        )

    def _consents(self) -> Revocation:
        _, user, tokens = self._app()
        return Revocation(self._request("DELETE", _GRANTS, self._signed_in(user)), self._refused(tokens.access_token))

    def _disabled_app(self) -> Revocation:
        app, _, tokens = self._app()
        act = self._request("POST", f"{_APPS}/{app.app.id}/disable", self._admin)
        return Revocation(act, self._refused(tokens.access_token))

    def _removed_app(self) -> Revocation:
        app, _, tokens = self._app()
        return Revocation(
            self._request("DELETE", f"{_APPS}/{app.app.id}", self._admin), self._refused(tokens.access_token)
        )

    def _secret(self) -> Revocation:
        app, _, tokens = self._app(confidential=True)
        form = {"client_id": app.client_id, "client_secret": app.secret, "refresh_token": tokens.refresh_token}
        headers = {"X-Forwarded-For": app.address}

        def is_refused() -> bool:
            answer = self._asking.post("/oauth/token", data={**form, "grant_type": "refresh_token"}, headers=headers)
            assert answer.status_code in (200, 401, 429), answer.text  # 429 after ten times
            return answer.status_code != 200

        assert not is_refused()
        rotate = self._request("POST", f"{_APPS}/{app.app.id}/rotate", self._admin, json={"overlap_seconds": 0})
        return Revocation(rotate, is_refused)

    def _block(self, user: str) -> Callable[[], None]:
        return self._request("POST", f"/api/v1/oauth/people/{user}/block", self._admin)

    def _person(self) -> Revocation:
        _, user, tokens = self._app()
        return Revocation(self._block(user), self._refused(tokens.access_token))

    def _key_of_person(self) -> Revocation:
        user = f"user_{next(_numbers)}"
        body = {"name": "trial", "scopes": [SCOPES[0]]}
        made = self._acting.post("/api/v1/api-keys", json=body, headers=self._signed_in(user, SCOPES[0]))
        assert made.status_code == 201, made.text
        key = made.json()["plaintext"]
        assert self._status(key) == 200
        return Revocation(self._block(user), self._refused(key))

    def _refresh_token(self) -> Revocation:
        app, _, tokens = self._app()
        assert tokens.refresh_token is not None
        form = {"client_id": app.client_id, "token": tokens.refresh_token}
        act = self._request("POST", "/oauth/revoke", {"X-Forwarded-For": app.address}, data=form)
        return Revocation(act, self._refused(tokens.access_token))


@contextmanager
def two_replicas(place: Path, issuer: LiveIssuer, url: str | None = None) -> Iterator[RevocationTrial]:
    """Start two servers with the console on the database of a URL, or on a file of SQLite."""
    with ExitStack() as stack:
        servers: list[Server] = []
        for name in ("first", "second"):
            (place / name).mkdir()
            server = console_server(
                issuer,
                place / name,
                trusted_proxies="127.0.0.1",
                access_log="false",
                key_issues_per_minute="0",
                database_url=url or f"sqlite:///{place / 'first' / DATABASE}",
            )
            server.env["AUTHZ_PUBLIC_URL"] = (servers or [server])[0].env["AUTHZ_CONSOLE_URL"]
            servers.append(stack.enter_context(server))
        first, second = servers
        trial = RevocationTrial(first, second, issuer)
        stack.callback(trial.close)
        yield trial
