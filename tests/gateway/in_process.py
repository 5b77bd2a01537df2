"""The doors of gateways without a server, with a small policy and valid keys."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from litestar.types import Scope

from app.audit.batch import Batch
from app.audit.log import DecisionLog
from app.audit.record import Record
from app.gateway.authentication import GatewayAuthenticator
from app.gateway.proxies import TrustedProxies
from app.http.api.metadata import url_of
from app.http.door.budgets import Budgets
from app.http.door.forward_auth import ForwardAuth
from app.http.door.refusal import Refusals
from app.identity.api_keys import KeyRecord, MintedKey, mint
from app.identity.authenticate import Authenticator
from app.identity.jwks import KeySet
from app.identity.jwt import single_issuer
from app.identity.key_verifier import ApiKeyVerifier
from app.policy.engine.live import LivePolicy
from app.policy.routing.routes import Route, RouteTable
from tests.policy.small import files
from tests.support.app_tokens import NO_APPS

SECRET = "a secret of a gateway that is long enough"
TABLE = RouteTable(
    [Route("/open", "GET"), Route("/near", "GET"), Route("/named/{name}", "GET"), Route("/by/{x}", "GET")]
)
ROWS = (
    "p, anyone, /open, GET, allow",
    "p, anyone, /near, GET, allow, \"ip_in(request.ip, '10.0.0.0/8')\"",
    "p, anyone, /named/{name}, GET, allow, request.path == '/named/é'",
    "p, anyone, /by/{x}, GET, allow, params.x == 'é' && resource.id == '/by/{x}' && action.name == 'GET'",
    "p, anyone, /by/{x}, GET, deny, subject.method != 'anonymous' || !('anyone' in subject.permissions)",
)
Headers = tuple[tuple[bytes, bytes], ...]
NGINX = (("x-original-method", "GET"), ("x-original-uri", "/open"))
PEER = ("127.0.0.1", 4321)


@dataclass(frozen=True)
class Answer:
    """The answer to a gateway, and what the door stored in the scope of its request."""

    status: int
    headers: Headers
    body: bytes
    scope: Any

    def header(self, name: str) -> str | None:
        """The value of a header that is not repeated."""
        found = [value.decode() for each, value in self.headers if each == name.encode()]
        assert len(found) < 2, found
        return found[0] if found else None

    @property
    def reason(self) -> str | None:
        """The reason of the denial."""
        return self.header("x-auth-reason")


class Gateway:
    """A gateway whose requests are answered in this process."""

    def __init__(
        self,
        directory: Path,
        rows: Iterable[str] = ROWS,
        trusted: str = "10.9.9.9",
        *,
        table: RouteTable = TABLE,
        networks: Iterable[str] = (),
        bad_credentials: int = 0,
        documents: Mapping[str, str] | None = None,
    ) -> None:
        self._ids: dict[bytes, KeyRecord] = {}
        self.failing: Exception | None = None
        self._written: list[Record] = []
        proxies = TrustedProxies([ip_network(trusted)])
        keys = ApiKeyVerifier(self._find, environments=("live",), cache_seconds=60, on_accepted=lambda _: None)
        jwt = single_issuer(KeySet("http://127.0.0.1:9/"), "https://issuer.example", ())
        self.live = LivePolicy(
            directory, table, files(*rows) | {name: text.encode() for name, text in (documents or {}).items()}
        )
        self._log = DecisionLog(self._write)
        self.door = ForwardAuth(
            self.live,
            Authenticator(jwt, keys, NO_APPS),
            Refusals(),
            GatewayAuthenticator([SECRET], [ip_network(network) for network in networks]),
            self._log,
            proxies=proxies,
            budgets=Budgets(proxies, bad_credentials=bad_credentials),
            public_url=None,
            metadata_url=url_of,
        )

    def key(self, subject: str, *scopes: str) -> MintedKey:
        """A key of an owner."""
        key = mint("live")
        self._ids[key.digest] = KeyRecord(
            len(self._ids) + 1, subject, "live", frozenset(scopes), key.digest, None, None
        )
        return key

    async def ask(
        self, path: str, *headers: tuple[str, str], secret: str = SECRET, query: str = "", key: MintedKey | None = None
    ) -> tuple[int, Headers]:
        """The status and headers of the answer to Envoy about a GET."""
        answer = await self.answer_to(f"envoy{path}", *headers, secret=secret, query=query, key=key)
        return answer.status, answer.headers

    async def answer_to(
        self,
        path: str,
        *headers: tuple[str, str],
        secret: str | None = SECRET,
        query: str = "",
        key: MintedKey | None = None,
        **scope: Any,
    ) -> Answer:
        """The answer to a request below `/gateway/`; `scope` replaces parts of a GET."""
        sent: list[dict[str, Any]] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            if scope.get("type") == "websocket":
                return {"type": "websocket.connect"}
            raise AssertionError("a question has no body")

        said = [*([] if secret is None else [("x-gateway-secret", secret)]), *headers]
        if key is not None:
            said.append(("authorization", f"Bearer {key.plaintext}"))
        question: Any = {
            "type": "http",
            "method": "GET",
            "raw_path": f"/gateway/{path}".encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in said],
            "client": PEER,
            **scope,
        }
        asked: Scope = question
        await self.door(asked, receive, send)
        start, body = sent
        return Answer(start["status"], start["headers"], body["body"], question)

    async def logged(self) -> list[Record]:
        """The decisions that were logged since the last call."""
        async with self._log:
            """What waits is written on leaving."""
        found, self._written = self._written, []
        return found

    async def _find(self, digest: bytes) -> KeyRecord | None:
        if self.failing:
            raise self.failing
        return self._ids.get(digest)

    async def _write(self, batch: Batch) -> None:
        self._written += batch.records()


def challenge(**parameters: str) -> str:
    """A challenge of RFC 6750."""
    return ("Bearer " + ", ".join(f'{name}="{value}"' for name, value in parameters.items())).strip()


def denial(detail: str, reason: str, **headers: str) -> tuple[tuple[tuple[bytes, bytes], ...], bytes]:
    """The headers and the body of a denial."""
    body = json.dumps({"detail": detail}, separators=(",", ":")).encode()
    shown = {
        "content-type": "application/json",
        "cache-control": "no-store",
        "content-length": str(len(body)),
        **{name.replace("_", "-"): value for name, value in headers.items()},
        "x-auth-reason": reason,
    }
    return tuple((name.encode(), value.encode()) for name, value in shown.items()), body
