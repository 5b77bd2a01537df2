"""The refusals of the door at the endpoints for apps, also under a policy that does not open them to everyone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.console.authorization_entrance import authorization_entrance
from app.http.api.oauth.entrance import CLIENT_ENDPOINTS, TOO_MANY_AT, app_entrances
from app.http.door.enforcement import Entrance
from app.http.door.refusal import Refusal, Refusals
from app.identity.authenticate import Authenticator
from app.identity.errors import AuthenticationFault, CannotVerify
from app.identity.jwks import KeySet
from app.identity.jwt import single_issuer
from app.identity.key_verifier import ApiKeyVerifier
from app.identity.principal import ANONYMOUS
from tests.policy.small import snapshot
from tests.support.app_tokens import NO_APPS

REGISTER = "/oauth/register"
DENIED = snapshot("p, a:read, /x, GET, allow").decide(frozenset({"anyone"}), "/x", "GET")


@pytest.fixture(scope="module")
def entrances() -> dict[str, Entrance[Any, Refusal]]:
    async def find(_: bytes) -> None:
        return None

    keys = ApiKeyVerifier(find, environments=("live",), cache_seconds=60, on_accepted=lambda _: None)
    jwt = single_issuer(KeySet("http://127.0.0.1:9/"), "https://issuer.example", ())
    return app_entrances(Authenticator(jwt, keys, NO_APPS), Refusals())


def read(refused: Refusal) -> tuple[int, str, set[bytes]]:
    """The status, the error, and which headers there are besides those that all have."""
    body = json.loads(refused.body)
    assert set(body) == {"error", "error_description"}
    assert body["error_description"]
    headers = dict(refused.headers)
    assert headers.pop(b"content-type") == b"application/json"
    assert (headers.pop(b"cache-control"), headers.pop(b"pragma")) == (b"no-store", b"no-cache")
    assert headers.pop(b"content-length") == str(len(refused.body)).encode()
    return refused.status, body["error"], set(headers)


@pytest.mark.parametrize("path", CLIENT_ENDPOINTS)
def test_a_client_is_anonymous_whatever_it_sends(entrances: dict[str, Entrance[Any, Refusal]], path: str) -> None:
    entrance = entrances[path]
    for headers in ([], [(b"authorization", b"Bearer x")], [(b"authorization", b"Bearer x")] * 2):
        assert entrance.cached(headers) is ANONYMOUS
    assert read(entrance.unauthenticated(AuthenticationFault.NOT_PROVIDED)) == (403, "access_denied", set())
    assert read(entrance.forbidden(DENIED)) == (403, "access_denied", set())


def test_a_browser_is_refused_with_a_page() -> None:
    entrance = authorization_entrance()
    assert entrance.cached([(b"authorization", b"Bearer x")]) is ANONYMOUS
    unavailable = entrance.unavailable(CannotVerify("The database does not answer now.", 7))
    for refused, status, text in (
        (entrance.forbidden(DENIED), 403, "Apps cannot ask for access here"),
        (entrance.unauthenticated(AuthenticationFault.NOT_PROVIDED), 403, "Apps cannot ask for access here"),
        (unavailable, 503, "The database does not answer now. Try again in a moment."),
    ):
        assert (refused.status, text in refused.body.decode()) == (status, True)
        assert dict(refused.headers)[b"content-type"] == b"text/html; charset=utf-8"
        assert dict(refused.headers)[b"cache-control"] == b"no-store"
    assert dict(unavailable.headers)[b"retry-after"] == b"7"


def test_a_registration_may_need_a_token(entrances: dict[str, Entrance[Any, Refusal]]) -> None:
    entrance, challenge = entrances[REGISTER], {b"www-authenticate"}
    for fault in AuthenticationFault:
        code = "invalid_request" if "Authorization header" in fault else "invalid_token"
        assert read(entrance.unauthenticated(fault)) == (401, code, challenge)
    refused = entrance.forbidden(DENIED)
    assert read(refused) == (403, "insufficient_scope", challenge)
    assert b'scope="a:read"' in dict(refused.headers)[b"www-authenticate"]
    assert read(TOO_MANY_AT[REGISTER](7)) == (429, "temporarily_unavailable", {b"retry-after"})


def test_what_is_unavailable_is_tried_again_later(entrances: dict[str, Entrance[Any, Refusal]]) -> None:
    for entrance in entrances.values():
        refused = entrance.unavailable(CannotVerify("Signing keys are unavailable.", 5))
        assert read(refused) == (503, "temporarily_unavailable", {b"retry-after"})
        assert dict(refused.headers)[b"retry-after"] == b"5"
