"""The doors of gateways, asked in this process: how a question is read, and the bounds of what is remembered of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from litestar.types import Scope
from structlog.testing import capture_logs

from app.audit.batch import Batch
from app.audit.log import DecisionLog
from app.gateway.profiles import MAX_URI_BYTES, PROFILES, NotPlain
from app.gateway.proof import Proof
from app.gateway.proxies import TrustedProxies
from app.http import forward_auth
from app.http.budgets import Budgets
from app.http.forward_auth import ForwardAuth
from app.http.refusal import Refusals
from app.identity.api_keys import KeyRecord, NewKey, mint
from app.identity.authenticate import Authenticator
from app.identity.errors import CannotVerify
from app.identity.jwks import KeySet
from app.identity.jwt import JwtVerifier
from app.identity.key_verifier import ApiKeyVerifier
from app.policy.live import LivePolicy
from app.policy.routes import Route, RouteTable
from tests.policy.small import files

pytestmark = pytest.mark.anyio

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


class Gateway:
    """A door with a policy of a few rows, and keys that are all good."""

    def __init__(self, directory: Path, rows: Iterable[str] = ROWS, trusted: str = "10.9.9.9") -> None:
        self._ids: dict[bytes, KeyRecord] = {}
        self.failing: Exception | None = None
        proxies = TrustedProxies([ip_network(trusted)])
        keys = ApiKeyVerifier(self._find, environments=("live",), cache_seconds=60, seen=lambda _: None)
        jwt = JwtVerifier(KeySet("http://127.0.0.1:9/"), "https://issuer.example", ())
        self.live = LivePolicy(directory, TABLE, files(*rows))
        self._door = ForwardAuth(
            self.live,
            Authenticator(jwt, keys),
            Refusals(),
            Proof([SECRET], ()),
            DecisionLog(self._write),
            proxies=proxies,
            budgets=Budgets(proxies),
        )

    def key(self, subject: str, *scopes: str) -> NewKey:
        """A key of an owner."""
        key = mint("live")
        self._ids[key.digest] = KeyRecord(
            len(self._ids) + 1, subject, "live", frozenset(scopes), key.digest, None, None
        )
        return key

    async def ask(
        self, path: str, *headers: tuple[str, str], secret: str = SECRET, query: str = "", key: NewKey | None = None
    ) -> tuple[int, Headers]:
        """The status and the headers of the answer to Envoy's question about a GET."""
        sent: list[dict[str, Any]] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            raise AssertionError("a question has no body")

        said = [("x-gateway-secret", secret), *headers]
        if key is not None:
            said.append(("authorization", f"Bearer {key.plaintext}"))
        scope: Any = {
            "type": "http",
            "method": "GET",
            "raw_path": f"/gateway/envoy{path}".encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in said],
            "client": ("127.0.0.1", 4321),
        }
        question: Scope = scope
        await self._door(question, receive, send)
        found: Headers = sent[0]["headers"]
        return sent[0]["status"], found

    async def _find(self, digest: bytes) -> KeyRecord | None:
        if self.failing:
            raise self.failing
        return self._ids.get(digest)

    async def _write(self, batch: Batch) -> None:
        """Decisions are kept nowhere."""


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    return Gateway(tmp_path)


def reason(headers: Headers) -> str:
    return dict(headers).get(b"x-auth-reason", b"").decode()


@pytest.mark.parametrize(("path", "status"), [("%C3%A9", 200), ("e", 401), ("%C3%A8", 401), ("%C3%A9%C3%A9", 401)])
async def test_a_condition_reads_the_path_and_its_parameters_decoded(gateway: Gateway, path: str, status: int) -> None:
    assert (await gateway.ask(f"/named/{path}"))[0] == status
    assert (await gateway.ask(f"/by/{path}"))[0] == status


@pytest.mark.parametrize(
    ("address", "lines", "status"),
    [
        ("10.0.0.1", [], 200),
        ("8.8.8.8", [], 401),
        ("8.8.8.8", ["10.0.0.1"], 401),
        ("10.9.9.9", ["8.8.8.8, 10.0.0.1"], 200),
        ("10.9.9.9", ["10.0.0.1, 8.8.8.8"], 401),
        ("10.9.9.9", ["10.0.0.1", "8.8.8.8"], 401),
        ("10.9.9.9", ["8.8.8.8", "10.0.0.1"], 200),
        ("10.9.9.9", ["10.0.0.1, 8.8.8.8, 10.9.9.9"], 401),
        ("10.9.9.9", [], 401),
    ],
)
async def test_the_client_is_the_last_hop_that_is_no_trusted_proxy(
    gateway: Gateway, address: str, lines: list[str], status: int
) -> None:
    headers = [("x-envoy-external-address", address), *(("x-forwarded-for", line) for line in lines)]
    assert (await gateway.ask("/near", *headers))[0] == status


async def test_the_query_counts_for_the_length_of_an_address(gateway: Gateway) -> None:
    assert (await gateway.ask("/open", query="x" * (MAX_URI_BYTES - len("/open?"))))[0] == 200
    status, headers = await gateway.ask("/open", query="x" * (MAX_URI_BYTES - len("/open?") + 1))
    assert (status, reason(headers)) == (403, f"The address is longer than {MAX_URI_BYTES} bytes.")


@pytest.mark.parametrize("name", [name for name, profile in PROFILES.items() if profile.uri])
def test_an_address_in_a_header_is_bounded_with_its_query(name: str) -> None:
    profile = PROFILES[name]
    assert profile.method and profile.uri

    def read(uri: bytes) -> str:
        whole = b"https://a.example" + uri if profile.absolute else uri
        return profile.read([(profile.method or b"", b"GET"), (profile.uri or b"", whole)], b"GET", b"").path

    assert read(b"/open?".ljust(MAX_URI_BYTES, b"x")) == "/open"
    with pytest.raises(NotPlain, match="longer than"):
        read(b"/open?".ljust(MAX_URI_BYTES + 1, b"x"))


@pytest.mark.parametrize(
    ("failure", "why", "wait"),
    [
        (RuntimeError("nobody foresaw it"), "The request could not be decided.", None),
        (CannotVerify("Keys cannot be read now.", 7), "Keys cannot be read now.", b"7"),
    ],
)
async def test_whatever_fails_is_a_denial(gateway: Gateway, failure: Exception, why: str, wait: bytes | None) -> None:
    key = gateway.key("user_a", "a:read")
    gateway.failing = failure
    with capture_logs() as lines:
        status, headers = await gateway.ask("/open", key=key)
    assert (status, reason(headers), dict(headers).get(b"retry-after")) == (403, why, wait)
    assert [line["event"] for line in lines] == ["a gateway's question failed; denied"] * (wait is None)
    gateway.failing = None
    assert (await gateway.ask("/open", key=key))[0] == 200


async def told_again(gateway: Gateway, key: NewKey) -> Callable[[Headers], bool]:
    """Whether headers are those that were told of a caller now, remembered and not made again."""
    _, first = await gateway.ask("/open", key=key)
    return lambda headers: headers is first


@pytest.mark.parametrize(("most", "remembered"), [(3, True), (2, False)])
async def test_so_many_callers_are_remembered_and_no_more(
    monkeypatch: pytest.MonkeyPatch, gateway: Gateway, most: int, remembered: bool
) -> None:
    monkeypatch.setattr(forward_auth, "_MAX_REMEMBERED", most)
    keys = [gateway.key(f"user_{number}", "a:read") for number in range(3)]
    is_first = await told_again(gateway, keys[0])
    for key in keys[1:]:
        assert (await gateway.ask("/open", key=key))[0] == 200
    assert is_first((await gateway.ask("/open", key=keys[0]))[1]) is remembered


@pytest.mark.parametrize("limit", ["_MAX_GRANTS", "_MAX_CHARACTERS"])
@pytest.mark.parametrize("over", [0, 1])
async def test_a_caller_who_holds_very_much_is_told_and_not_remembered(
    monkeypatch: pytest.MonkeyPatch, gateway: Gateway, limit: str, over: int
) -> None:
    key = gateway.key("user_many", "a:read", "a:write")
    held = {"anyone", "auth:api_key", "env:live", "key:1", "a:read", "a:write"}
    size = len(held) if limit == "_MAX_GRANTS" else sum(map(len, held))
    monkeypatch.setattr(forward_auth, limit, size - over)
    is_first = await told_again(gateway, key)
    status, headers = await gateway.ask("/open", key=key)
    assert (status, dict(headers)[b"x-auth-permissions"]) == (200, b"a:read a:write")
    assert is_first(headers) is not bool(over)


async def test_an_unproven_gateway_is_warned_about_once_a_minute(
    monkeypatch: pytest.MonkeyPatch, gateway: Gateway
) -> None:
    now = 1_000.0
    monkeypatch.setattr("app.http.forward_auth.time.monotonic", lambda: now)
    with capture_logs() as lines:
        for seconds, warnings in ((0, 1), (1, 1), (59.5, 1), (60, 2), (61, 2), (119.5, 2), (120, 3)):
            now = 1_000.0 + seconds
            status, headers = await gateway.ask("/open", secret=SECRET[:-1])
            assert (status, reason(headers)) == (403, "This gateway has not proven itself.")
            assert len(lines) == warnings
    assert {line["peer"] for line in lines} == {"127.0.0.1"}
