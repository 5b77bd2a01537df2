"""A real issuer that a test controls: it mints any token, serves any key set over HTTP, and signs users in."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from app.dev.issuer import JWKS_PATH, Issuer
from app.dev.provider import Provider
from app.dev.wire import IssuerRequest, RelyingParty, Reply
from tests.support.server import AUDIENCE

PARTY = "https://app.griddy.example"
# A loopback client may come from any port.
CONSOLE = RelyingParty(
    "griddy-console", ("http://127.0.0.1/console/callback",), ("http://127.0.0.1/console/signed-out",)
)
_ABSENT = object()
_free: deque[rsa.RSAPrivateKey] = deque()  # keys of issuers that ended, for later ones: it takes long to make a key


class LiveIssuer:
    """Serves a key set, signs tokens, and signs in the users of `provider`.

    A test may replace `answer` to change the key set, and `twist` to change all other answers.
    """

    def __init__(self) -> None:
        self._used: list[rsa.RSAPrivateKey] = []
        self.key = self._new_key()
        self.kid = Issuer(self.key).kid
        self.answer: Callable[[], tuple[int, bytes]] = self.publish
        self.fetches = 0
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                path, _, query = self.path.partition("?")
                if path == JWKS_PATH:
                    issuer.fetches += 1
                    status, body = issuer.answer()
                    self._send(Reply(status, (("Content-Type", "application/json"),), body))
                    return
                sent = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                asked = IssuerRequest(self.command, path, query, sent, self.headers.get("Authorization"))
                self._send(issuer.twist(asked, issuer.provider.answer(asked)))

            def _send(self, reply: Reply) -> None:
                self.send_response(reply.status)
                for name, value in reply.headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

            def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
                """Write nothing to standard error."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self.jwks_url = self.url + JWKS_PATH
        self.provider = Provider(Issuer(self.key), self.url, AUDIENCE, [CONSOLE])
        self.twist: Callable[[IssuerRequest, Reply], Reply] = lambda _, reply: reply

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        _free.extend(self._used)
        self._used.clear()

    def publish(self) -> tuple[int, bytes]:
        """The status and body of the valid key set."""
        return 200, json.dumps(Issuer(self.key).jwks()).encode()

    def rotate(self) -> None:
        """Sign with a new key, and publish only that."""
        self.key = self._new_key()
        self.kid = Issuer(self.key).kid
        self.provider.issuer = Issuer(self.key)

    def _new_key(self) -> rsa.RSAPrivateKey:
        """A key that no issuer has that still runs."""
        try:
            key = _free.popleft()
        except IndexError:
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._used.append(key)
        return key

    def token(self, *, permissions: Any = _ABSENT, algorithm: str = "RS256", kid: Any = _ABSENT, **claims: Any) -> str:
        """A valid token with the given changes; a claim that is None is left out."""
        now = int(time.time())
        payload: dict[str, Any] = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "user_test",
            "iat": now,
            "exp": now + 300,
            "azp": PARTY,
            **claims,
        }
        payload = {name: value for name, value in payload.items() if value is not None}
        if permissions is not _ABSENT:
            payload["permissions"] = permissions
        headers = {"kid": self.kid if kid is _ABSENT else kid}
        return jwt.encode(payload, self._signing_key(algorithm), algorithm=algorithm, headers=headers)

    def _signing_key(self, algorithm: str) -> Any:
        if algorithm == "none":
            return None
        if algorithm.startswith("HS"):
            # Algorithm confusion: the public key as the secret of an HMAC.
            return Issuer(self.key).jwks()["keys"][0]["n"]
        return self.key
