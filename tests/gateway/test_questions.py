"""The doors of gateways without a server: how a request is read, and the bounds of caches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.identity.api_keys import MintedKey
from app.identity.errors import CannotVerify
from tests.gateway.in_process import SECRET, Gateway, Headers

pytestmark = pytest.mark.anyio


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
    assert (await gateway.ask("/open", query="x" * (16_384 - len("/open?"))))[0] == 200
    status, headers = await gateway.ask("/open", query="x" * (16_385 - len("/open?")))
    assert (status, reason(headers)) == (403, "The URI is longer than 16384 bytes.")


@pytest.mark.parametrize(
    ("failure", "why", "wait"),
    [
        (RuntimeError("unforeseen"), "The request could not be decided.", None),
        (CannotVerify("Keys cannot be read now.", 7), "Keys cannot be read now.", b"7"),
    ],
)
async def test_any_failure_is_a_denial(gateway: Gateway, failure: Exception, why: str, wait: bytes | None) -> None:
    key = gateway.key("user_a", "a:read")
    gateway.failing = failure
    with capture_logs() as lines:
        status, headers = await gateway.ask("/open", key=key)
    assert (status, reason(headers), dict(headers).get(b"retry-after")) == (403, why, wait)
    assert [line["event"] for line in lines] == ["a request of a gateway failed; denied"] * (wait is None)
    gateway.failing = None
    assert (await gateway.ask("/open", key=key))[0] == 200


async def is_cached(gateway: Gateway, key: MintedKey) -> Callable[[Headers], bool]:
    """Whether the cached headers of a caller are returned, not created again."""
    _, first = await gateway.ask("/open", key=key)
    return lambda headers: headers is first


@pytest.mark.parametrize(("callers", "remembered"), [(2_000, True), (2_001, False)])
async def test_2000_callers_are_cached(gateway: Gateway, callers: int, remembered: bool) -> None:
    is_first = await is_cached(gateway, gateway.key("user_0", "a:read"))
    first = await gateway.ask("/open", key=(key := gateway.key("user_1", "a:read")))
    for number in range(2, callers):
        assert (await gateway.ask("/open", key=gateway.key(f"user_{number}", "a:read")))[0] == 200
    again = await gateway.ask("/open", key=key)
    assert again == first
    assert not is_first(again[1])
    assert (again[1] is first[1]) is remembered


@pytest.mark.parametrize(
    ("grants", "characters", "remembered"),
    [(200, 8_000, True), (201, 8_000, False), (200, 8_001, False), (199, 7_999, True), (2_000, 100_000, False)],
)
async def test_a_caller_with_very_many_grants_is_not_cached(
    gateway: Gateway, grants: int, characters: int, remembered: bool
) -> None:
    facts = ("anyone", "auth:api_key", "env:live", "key:1")
    scopes = ["a:read", "a:write", *(f"z:{number:05}" for number in range(grants - 6))]
    missing = characters - sum(map(len, (*facts, *scopes)))
    scopes[-1] += "z" * missing
    key = gateway.key("user_many", *scopes)
    is_first = await is_cached(gateway, key)
    status, headers = await gateway.ask("/open", key=key)
    assert (status, dict(headers)[b"x-auth-permissions"]) == (200, b"a:read a:write")
    assert is_first(headers) is remembered


async def test_an_unauthenticated_gateway_is_logged_once_a_minute(
    monkeypatch: pytest.MonkeyPatch, gateway: Gateway
) -> None:
    now = 1_000.0
    monkeypatch.setattr("app.http.door.forward_auth.time.monotonic", lambda: now)
    with capture_logs() as lines:
        for seconds, warnings in ((0, 1), (1, 1), (59.5, 1), (60, 2), (61, 2), (119.5, 2), (120, 3)):
            now = 1_000.0 + seconds
            status, headers = await gateway.ask("/open", secret=SECRET[:-1])
            assert (status, reason(headers)) == (403, "The gateway is not authenticated.")
            assert len(lines) == warnings
    assert {line["peer"] for line in lines} == {"127.0.0.1"}
