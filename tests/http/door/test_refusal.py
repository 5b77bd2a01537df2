"""The complete refusals: status, headers and body."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.http.door.refusal import FORBIDDEN, Refusal, Refusals, refusal, unavailable
from app.identity.errors import AuthenticationFault, CannotVerify
from app.policy.engine.suspended import CannotDecide

pytestmark = pytest.mark.anyio

HEADER_FAULTS = {AuthenticationFault.NO_CREDENTIALS, AuthenticationFault.SPACES, AuthenticationFault.SENT_TWICE}
METADATA = "https://authz.example/.well-known/oauth-protected-resource"


def headers_of(found: Refusal) -> dict[str, str]:
    """The headers, none of which may be repeated."""
    headers = {name.decode(): value.decode() for name, value in found.headers}
    assert len(headers) == len(found.headers)
    return headers


async def sent(found: Refusal, **scope: Any) -> list[dict[str, Any]]:
    """The messages of an answer."""
    messages: list[dict[str, Any]] = []
    received: list[str] = []

    async def send(message: Any) -> None:
        messages.append(message)

    async def receive() -> Any:
        received.append("websocket.connect")
        return {"type": received[-1]}

    asked: Any = {"type": "http", "method": "GET", **scope}
    await found.send(asked, receive, send)
    assert received == (["websocket.connect"] if asked["type"] == "websocket" else [])
    return messages


def test_a_refusal_has_a_detail_and_is_not_stored() -> None:
    found = refusal(403, 'Not "now".', (b"x-more", b"1"))
    assert (found.status, json.loads(found.body)) == (403, {"detail": 'Not "now".'})
    assert found.headers == (
        (b"content-type", b"application/json"),
        (b"cache-control", b"no-store"),
        (b"content-length", str(len(found.body)).encode()),
        (b"x-more", b"1"),
    )


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
async def test_a_head_request_gets_no_body(method: str) -> None:
    found = refusal(401, "Who?")
    assert await sent(found, method=method) == [
        {"type": "http.response.start", "status": 401, "headers": found.headers},
        {"type": "http.response.body", "body": b"" if method == "HEAD" else found.body, "more_body": False},
    ]


async def test_a_websocket_is_refused_with_the_same_response_if_the_server_can() -> None:
    found = refusal(401, "Who?")
    assert await sent(found, type="websocket", extensions={"websocket.http.response": {}}) == [
        {"type": "websocket.http.response.start", "status": 401, "headers": found.headers},
        {"type": "websocket.http.response.body", "body": found.body, "more_body": False},
    ]
    close = [{"type": "websocket.close", "code": 1008, "reason": ""}]
    assert await sent(found, type="websocket") == close
    others: list[Any] = [None, {}, {"tls": {}}]
    for extensions in others:
        assert await sent(found, type="websocket", extensions=extensions) == close


@pytest.mark.parametrize("fault", [CannotVerify("Signing keys are unavailable.", 7), CannotDecide("Too old.", 7)])
def test_an_unavailable_verdict_has_retry_after(fault: CannotVerify | CannotDecide) -> None:
    found = unavailable(fault)
    assert (found.status, json.loads(found.body)) == (503, {"detail": fault.detail})
    assert headers_of(found)["retry-after"] == "7"


@pytest.mark.parametrize("metadata", [None, METADATA])
@pytest.mark.parametrize("fault", AuthenticationFault)
def test_each_fault_of_credentials_has_its_challenge(fault: AuthenticationFault, metadata: str | None) -> None:
    found = Refusals(metadata).unauthenticated[fault]
    assert (found.status, json.loads(found.body)) == (401, {"detail": fault.value})
    error = "invalid_request" if fault in HEADER_FAULTS else "invalid_token"
    stated = (
        [] if fault is AuthenticationFault.NOT_PROVIDED else [f'error="{error}"', f'error_description="{fault.value}"']
    )
    stated += [f'resource_metadata="{metadata}"'] if metadata else []
    assert headers_of(found)["www-authenticate"] == f"Bearer {', '.join(stated)}".strip()


@pytest.mark.parametrize("metadata", [None, METADATA])
@pytest.mark.parametrize(
    ("missing", "scope"),
    [
        ((), ""),
        (("a:read",), "a:read"),
        (("a:read", "b:write"), "a:read b:write"),
        # Holding these too would not suffice, or they cannot be requested.
        (("auth:jwt",), ""),
        (("a:read", "env:live"), ""),
        (("anyone", "a:read"), ""),
    ],
)
def test_a_403_names_the_missing_scope_if_it_would_suffice(
    missing: tuple[str, ...], scope: str, metadata: str | None
) -> None:
    found = Refusals(metadata).forbidden(missing)
    assert (found.status, json.loads(found.body)) == (403, {"detail": FORBIDDEN})
    stated = ['error="insufficient_scope"', f'error_description="{FORBIDDEN}"']
    stated += [f'scope="{scope}"'] if scope else []
    stated += [f'resource_metadata="{metadata}"'] if metadata else []
    assert headers_of(found)["www-authenticate"] == f"Bearer {', '.join(stated)}"


@pytest.mark.parametrize(("others", "is_remembered"), [(1_023, True), (1_024, False)])
def test_1024_denials_are_cached(others: int, is_remembered: bool) -> None:
    """However many permissions a policy has."""
    refusals = Refusals()
    first = refusals.forbidden(("a:read",))
    for number in range(others):
        refusals.forbidden((f"other:{number}",))
    assert (refusals.forbidden(("a:read",)) is first) is is_remembered


def test_an_ambiguous_gateway_request_is_an_invalid_request() -> None:
    found = Refusals().ambiguous("The address has a fragment.")
    assert (found.status, json.loads(found.body)) == (403, {"detail": "The address has a fragment."})
    assert headers_of(found)["www-authenticate"] == (
        'Bearer error="invalid_request", error_description="The address has a fragment."'
    )


def test_each_resource_of_a_deployment_has_refusals_with_its_own_metadata() -> None:
    refusals, other = Refusals(METADATA), f"{METADATA}/orders"
    refusals.state_scopes(("b:read", "a:read"))
    found = refusals.with_metadata(other)
    assert refusals.with_metadata(other) is found
    fault = AuthenticationFault.NOT_PROVIDED
    for each, metadata in ((refusals, METADATA), (found, other)):
        challenge = headers_of(each.unauthenticated[fault])["www-authenticate"]
        assert challenge == f'Bearer scope="a:read b:read", resource_metadata="{metadata}"'
        assert headers_of(each.forbidden(("a:read",)))["www-authenticate"].endswith(f'resource_metadata="{metadata}"')
    refusals.state_scopes(("c:read",))
    challenge = headers_of(refusals.with_metadata(other).unauthenticated[fault])["www-authenticate"]
    assert challenge == f'Bearer scope="c:read", resource_metadata="{other}"'
    refusals.state_scopes(())
    challenge = headers_of(refusals.with_metadata(other).unauthenticated[fault])["www-authenticate"]
    assert challenge == f'Bearer resource_metadata="{other}"'


def test_the_refusals_of_1000_resources_are_cached() -> None:
    """However many servers the policies of a process name one after the other."""
    refusals = Refusals(METADATA)
    first = refusals.with_metadata(f"{METADATA}/first")
    for number in range(999):
        refusals.with_metadata(f"{METADATA}/{number}")
    assert refusals.with_metadata(f"{METADATA}/first") is first
    refusals.with_metadata(f"{METADATA}/999")
    assert refusals.with_metadata(f"{METADATA}/first") is not first
