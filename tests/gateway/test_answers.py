"""The complete answers to gateways without a server, and their log entries."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from app.gateway.profiles import PROFILES, Profile
from app.http.door import forward_auth
from app.identity.errors import CannotVerify
from app.identity.key_verifier import ApiKeyVerifier
from app.policy.engine.snapshot import Snapshot
from app.policy.language.upstreams import Upstream
from app.policy.routing.routes import Route, RouteTable
from tests.gateway.in_process import Answer, Gateway, challenge, denial
from tests.policy.small import snapshot

pytestmark = pytest.mark.anyio

TABLE = RouteTable(
    [
        *(Route("/open", method) for method in ("GET", "POST")),
        *(Route(path, "GET") for path in ("/read", "/shut", "/fact")),
        Route("orders:/v1/orders/{id}", "GET"),
    ],
    closed=("orders:/v1/pairs/{a}",),
)
PLACES = RouteTable([Route("/at/{place}", "GET"), Route("orders:/v1/orders/{id}", "GET")])
ROWS = (
    "p, anyone, /open, GET|POST, allow",
    "p, a:read b:read, /read, GET, allow",
    "p, a:read, orders:/v1/orders/{id}, GET, allow",
    "p, auth:jwt, /fact, GET, allow",
    "p, anyone, /shut, GET, allow",
    "p, anyone, /shut, GET, deny",
)
WHERE = (
    "p, anyone, /at/{place}, GET, allow, \"params.place == 'ip' && ip_in(request.ip, '192.0.2.0/24')\"",
    "p, anyone, /at/{place}, GET, allow, \"params.place == 'method' && request.method == 'GET'\"",
    "p, anyone, /at/{place}, GET, allow, \"params.place == 'kind' && resource.type == 'route'\"",
    "p, anyone, /at/{place}, GET, allow, \"params.place == 'year' && request.time > timestamp('2025-01-01T00:00:00Z')"
    '"',
    "p, anyone, orders:/v1/orders/{id}, GET, allow, \"params.id == 'é' && request.path == '/v1/orders/é'\"",
)
NOT_PROVIDED = "Authentication credentials were not provided."
FORBIDDEN = "Token is missing one or more required permissions."
NOT_HELD = "missing grants"
NO_ROUTE = "no route matches it"


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    return Gateway(tmp_path, ROWS, table=TABLE)


@pytest.mark.parametrize("text", ["".join(map(chr, range(0x20, 0x80))) + "é€", "user_7", " ", "%41"])
async def test_the_service_receives_the_caller(gateway: Gateway, text: str) -> None:
    answer = await gateway.answer_to("envoy/open", key=gateway.key(text, "b:read", "a:read", "no:such"))
    plain = "!\"#$&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"
    subject = "".join(
        character if character in plain else "".join(f"%{byte:02X}" for byte in character.encode())
        for character in text
    )
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers == (
        (b"x-auth-subject", subject.encode()),
        (b"x-auth-method", b"api_key"),
        (b"x-auth-permissions", b"a:read b:read"),
        (b"x-auth-revision", gateway.live.active.revision.encode()),
        (b"x-auth-key-id", b"1"),
        (b"cache-control", b"no-store"),
        (b"content-length", b"0"),
    )


async def test_an_anonymous_caller_has_no_subject_and_no_key(gateway: Gateway) -> None:
    answer = await gateway.answer_to("envoy/open")
    assert (answer.status, answer.header("x-auth-subject"), answer.header("x-auth-method")) == (200, "", "anonymous")
    assert (answer.header("x-auth-permissions"), answer.header("x-auth-key-id"), answer.reason) == ("", None, None)


async def test_the_headers_about_a_caller_follow_the_active_policy(gateway: Gateway) -> None:
    one, other = gateway.key("user_a", "a:read"), gateway.key("user_a", "b:read")
    told = [await gateway.answer_to("envoy/open", key=key) for key in (one, other, one)]
    assert [each.header("x-auth-permissions") for each in told] == ["a:read", "b:read", "a:read"]
    assert [each.header("x-auth-key-id") for each in told] == ["1", "2", "1"]
    assert told[0].headers is told[2].headers
    gateway.live.take(snapshot(*ROWS, "g, a:read, c:read", table=TABLE), ())
    again = await gateway.answer_to("envoy/open", key=one)
    assert again.header("x-auth-permissions") == "a:read c:read"
    assert again.header("x-auth-revision") == gateway.live.active.revision != told[0].header("x-auth-revision")


@pytest.mark.parametrize(
    ("question", "scopes", "status", "reason", "headers"),
    [
        ("GET /read", None, 401, NOT_HELD, {"www_authenticate": "Bearer"}),
        ("GET /nowhere", None, 401, NO_ROUTE, {"www_authenticate": "Bearer"}),
        ("GET /read", "a:read", 403, NOT_HELD, {"scope": "b:read"}),
        ("GET /read", "", 403, NOT_HELD, {"scope": "a:read b:read"}),
        ("GET /fact", "a:read", 403, NOT_HELD, {}),  # a token cannot state the missing grant
        ("GET /shut", "a:read", 403, "a rule denies it", {}),
        ("POST /read", "a:read b:read", 403, "no rule covers it", {}),
        ("GET /nowhere", "a:read", 403, NO_ROUTE, {}),
        ("GET /V1/orders", "a:read", 403, NO_ROUTE, {}),
    ],
)
async def test_a_denial_of_the_policy(
    gateway: Gateway, *, question: str, scopes: str | None, status: int, reason: str, headers: dict[str, str]
) -> None:
    key = None if scopes is None else gateway.key("user_a", *scopes.split())
    method, path = question.split()
    answer = await gateway.answer_to(f"envoy{path}", key=key, method=method)
    detail = NOT_PROVIDED if scopes is None else FORBIDDEN
    expected = headers
    if scopes is not None:
        shown = challenge(error="insufficient_scope", error_description=FORBIDDEN, **headers)
        expected = {"www_authenticate": shown}
    assert (answer.status, answer.headers, answer.body) == (
        status,
        *denial(detail, NOT_PROVIDED if key is None else reason, **expected),  # existing paths are not revealed
    )
    (record,) = await gateway.logged()
    assert (record.key.door, record.key.action) == ("envoy", method)
    assert record.key.resource == ("" if path in {"/nowhere", "/V1/orders"} else path)
    assert (record.key.allowed, record.key.reason) == (False, reason)
    assert (record.key.subject, record.key.method) == (("", "anonymous") if key is None else ("user_a", "api_key"))


@pytest.mark.parametrize(
    ("service", "path", "status", "reason"),
    [
        ("orders", "/v1/orders/7", 200, None),
        ("orders", "/v1/orders", 403, "the policy has no service of this name"),
        ("orders", "/v1/pairs/7", 403, "the policy has no service of this name"),
        ("", "/v1/orders/7", 403, NO_ROUTE),
        ("", "/v1/pairs/7", 403, NO_ROUTE),
        ("other", "/v1/orders/7", 403, "the policy has no service of this name"),
    ],
)
async def test_a_service_has_its_own_routes(
    gateway: Gateway, service: str, path: str, status: int, reason: str | None
) -> None:
    key = gateway.key("user_a", "a:read")
    headers = [("x-gateway-service", service)] if service else []
    answer = await gateway.answer_to(f"envoy{path}", *headers, key=key)
    assert (answer.status, answer.reason) == (status, reason)
    assert answer.scope["state"]["asked"] == f"GET {service + ':' if service else ''}{path}"
    assert answer.scope["path_template"] == "/gateway/{profile}"
    assert answer.scope["user"].subject == "user_a"


async def test_without_a_public_url_a_challenge_for_a_service_names_no_metadata(tmp_path: Path) -> None:
    document = "openapi: 3.2.0\nservers: [{url: https://orders.example/v1}]\npaths: {/orders: {get: {}}}\n"
    rows = (*ROWS[:2], "p, a:read, orders:/v1/orders, GET, allow")
    table = RouteTable([*(Route("/open", method) for method in ("GET", "POST")), Route("/read", "GET")])
    gateway = Gateway(tmp_path, rows, table=table, documents={"upstreams/orders.openapi.yaml": document})
    answer = await gateway.answer_to("envoy/v1/orders", ("x-gateway-service", "orders"))
    assert (answer.status, json.loads(answer.body)) == (401, {"detail": NOT_PROVIDED})
    assert answer.header("www-authenticate") == challenge()


async def test_only_gateways_that_drop_bodies_get_the_body_in_a_header(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    second = Profile("second", (b"x-original-method", b"x-original-uri"), b"x-real-ip", drops_bodies=True)
    monkeypatch.setattr(forward_auth, "PROFILES", {**PROFILES, "second": second})
    gateway = Gateway(tmp_path, ROWS, table=TABLE)
    for profile in (*PROFILES.values(), second):

        async def ask(path: str, profile: Profile = profile) -> Answer:
            if profile.request_headers is None:
                return await gateway.answer_to(f"{profile.name}{path}")
            method, uri = (name.decode() for name in profile.request_headers)
            stated = (method, "GET"), (uri, f"https://o{path}" if profile.absolute else path)
            return await gateway.answer_to(profile.name, *stated, method="POST")

        allowed, denied = await ask("/open"), await ask("/read")
        assert (allowed.status, allowed.body, allowed.header("x-auth-body")) == (200, b"", None)
        assert (denied.status, json.loads(denied.body)) == (401, {"detail": NOT_PROVIDED})
        assert denied.header("x-auth-body") == (denied.body.decode() if profile.drops_bodies else None)
    assert PROFILES["nginx"].drops_bodies


@pytest.mark.parametrize(
    ("service", "path", "reason"),
    [
        ("orders", "/v1/orders/7", None),
        ("orders", "/v1/orders", NO_ROUTE),
        ("orders", "/v1/pairs/7", "its OpenAPI document is ambiguous about it"),
        ("other", "/v1/orders/7", NO_ROUTE),
        ("other", "/v1/pairs/7", NO_ROUTE),
        ("third", "/v1/orders/7", "the policy has no service of this name"),
        ("", "/v1/pairs/7", NO_ROUTE),
    ],
)
async def test_a_path_without_a_rule_is_denied_with_a_reason(
    gateway: Gateway, service: str, path: str, reason: str | None
) -> None:
    services = (Upstream("orders", "orders.json"), Upstream("other", "other.json"))
    gateway.live.take(Snapshot(replace(gateway.live.active.policy, services=services), TABLE), ())
    headers = [("x-gateway-service", service)] if service else []
    answer = await gateway.answer_to(f"envoy{path}", *headers, key=gateway.key("user_a", "a:read"))
    assert (answer.status, answer.reason) == (403 if reason else 200, reason)
    (record,) = await gateway.logged()
    assert (record.key.reason, record.key.resource) == (
        (reason, "") if reason else ("a rule allows it", "orders:/v1/orders/{id}")
    )


async def test_an_ambiguous_question_is_denied_with_its_fault(gateway: Gateway) -> None:
    fault = "The path has an ambiguous spelling."
    answer = await gateway.answer_to("envoy//open")
    shown = challenge(error="invalid_request", error_description=fault)
    assert (answer.status, answer.headers, answer.body) == (403, *denial(fault, fault, www_authenticate=shown))
    assert "asked" not in answer.scope.get("state", {})
    assert not await gateway.logged()


@pytest.mark.parametrize(
    ("authorization", "detail", "error"),
    [
        ("Bearer grd_live_x", "Malformed API key.", "invalid_token"),
        (f"Bearer grd_live_{'0' * 48}", "Invalid API key.", "invalid_token"),
        ("Bearer abc", "Invalid token.", "invalid_token"),
        ("Bearer", "Invalid Authorization header: no credentials provided.", "invalid_request"),
    ],
)
@pytest.mark.parametrize("path", ["/open", "/nowhere"])
async def test_bad_credentials_are_401_on_every_path(
    gateway: Gateway, path: str, authorization: str, detail: str, error: str
) -> None:
    answer = await gateway.answer_to(f"envoy{path}", ("authorization", authorization))
    shown = challenge(error=error, error_description=detail)
    assert (answer.status, answer.headers, answer.body) == (401, *denial(detail, detail, www_authenticate=shown))
    (record,) = await gateway.logged()
    assert (record.key.door, record.key.resource, record.key.action) == (
        "envoy",
        "/open" if path == "/open" else "",
        "GET",
    )
    assert (record.key.allowed, record.key.subject, record.key.method) == (False, "", None)
    assert record.key.reason.startswith(detail)
    assert record.key.revision == gateway.live.active.revision


async def test_bad_credentials_are_counted_for_the_client_and_not_for_the_gateway(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, ROWS, table=TABLE, bad_credentials=2, trusted="10.9.9.9")
    bad = ("authorization", "Bearer grd_live_x")

    async def statuses(*headers: tuple[str, str]) -> list[int]:
        return [(await gateway.answer_to("envoy/open", bad, *headers)).status for _ in range(3)]

    for address in ("192.0.2.1", "192.0.2.2"):
        assert await statuses(("x-envoy-external-address", address)) == [401, 401, 403]
    assert await statuses(("x-envoy-external-address", "10.9.9.9"), ("x-forwarded-for", "192.0.2.3")) == [401, 401, 403]
    assert await statuses() == [401] * 3, "clients with unknown addresses do not share a budget"
    assert sum(record.times for record in await gateway.logged()) == 9
    beyond = await gateway.answer_to("envoy/open", bad, ("x-envoy-external-address", "192.0.2.1"))
    wait = beyond.header("retry-after")
    assert wait and 1 <= int(wait) <= 60
    many = "Too many requests."
    assert (beyond.status, beyond.headers, beyond.body) == (403, *denial(many, many, retry_after=wait))
    assert not await gateway.logged()
    key = gateway.key("user_a", "a:read")
    assert (await gateway.answer_to("envoy/open", ("x-envoy-external-address", "192.0.2.1"), key=key)).status == 200


async def test_every_question_is_denied_while_the_policy_may_be_stale(gateway: Gateway) -> None:
    gateway.live.suspend()
    for path, key in (("/open", None), ("/nowhere", None), ("/open", gateway.key("user_a", "a:read"))):
        answer = await gateway.answer_to(f"envoy{path}", key=key)
        detail = "The policy may be out of date."
        assert (answer.status, answer.headers, answer.body) == (403, *denial(detail, detail, retry_after="5"))
    records = await gateway.logged()
    logged = Counter[tuple[str, str]]()  # equal denials within a second are one record
    for record in records:
        logged[record.key.resource, record.key.reason] += record.times
    assert logged == {("/open", detail): 2, ("", detail): 1}
    gateway.live.resume()
    assert (await gateway.answer_to("envoy/open")).status == 200


async def test_conditions_read_the_original_request(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, WHERE, table=PLACES)
    address = ("x-envoy-external-address", "192.0.2.1")
    for place in ("method", "kind", "year"):
        assert (await gateway.answer_to(f"envoy/at/{place}")).status == 200, place
    assert (await gateway.answer_to("envoy/at/other", address)).status == 401
    assert (await gateway.answer_to("envoy/at/ip", address)).status == 200
    assert (await gateway.answer_to("envoy/at/ip")).status == 401, "an unknown address opens nothing"
    assert (await gateway.answer_to("envoy/at/ip", ("x-envoy-external-address", "198.51.100.1"))).status == 401
    order = "envoy/v1/orders/%C3%A9"
    assert (await gateway.answer_to(order, ("x-gateway-service", "orders"))).status == 200
    assert (await gateway.answer_to(order)).status == 401
    assert [record.key.reason for record in await gateway.logged()].count("a rule allows it") == 5


async def test_a_cached_caller_needs_no_await(monkeypatch: pytest.MonkeyPatch, gateway: Gateway) -> None:
    async def wait(*_: object) -> None:
        raise CannotVerify("It was waited for.", 1)

    monkeypatch.setattr(ApiKeyVerifier, "look_up", wait)
    assert (await gateway.answer_to("envoy/open")).status == 200
    assert (await gateway.answer_to("envoy/open", key=gateway.key("user_a"))).reason == "It was waited for."
