"""A sign-in without a browser, at an issuer whose answers are changed."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
from structlog.testing import capture_logs

from app.console.config import Console
from app.console.login_state import LoginState
from app.console.oidc import OpenId, SignedIn, SignInFailed
from app.dev.wire import IssuerRequest, Reply, json_reply
from app.identity.jwks import KeySet
from app.identity.jwt import single_issuer
from tests.console.browsing import changed_answers, changed_tokens
from tests.support.issuer import CONSOLE, LiveIssuer
from tests.support.server import AUDIENCE

URL = "http://127.0.0.1:7"
SKEW = 5


def openid_of(issuer: LiveIssuer, keys: KeySet, api_keys: KeySet | None = None, **changes: Any) -> OpenId:
    console = Console(URL, issuer.url, CONSOLE.id, None, 3600, SKEW)
    return OpenId(replace(console, **changes), keys, single_issuer(api_keys or keys, issuer.url, (AUDIENCE,)))


async def answered(
    openid: OpenId, issuer: LiveIssuer, attempt: LoginState, person: str = "user_alice"
) -> dict[str, str]:
    """The parameters of the issuer's redirect back to the console."""
    asked = dict(parse_qsl(urlsplit(await openid.address(attempt)).query))
    answer = httpx.post(f"{issuer.url}/authorize", data={**asked, "person": person})
    back = urlsplit(answer.headers["location"])
    assert f"{back.scheme}://{back.netloc}{back.path}" == f"{URL}/console/callback"
    return dict(parse_qsl(back.query))


async def signed_in(openid: OpenId, issuer: LiveIssuer, attempt: LoginState) -> SignedIn:
    return await openid.finish(urlencode(await answered(openid, issuer, attempt)), attempt)


async def refused(openid: OpenId, query: str, attempt: LoginState | None) -> tuple[int, str, list[Any]]:
    """The status and text of a failed sign-in, and the reasons that were logged."""
    with capture_logs() as lines, pytest.raises(SignInFailed) as failed:
        await openid.finish(query, attempt)
    return failed.value.status, failed.value.text, [line.get("why", line.get("error")) for line in lines]


async def why(openid: OpenId, issuer: LiveIssuer, attempt: LoginState) -> tuple[int, list[Any]]:
    """The status, and the reasons that were logged, of a sign-in that fails after the issuer's answer."""
    status, _, reasons = await refused(openid, urlencode(await answered(openid, issuer, attempt)), attempt)
    return status, reasons


@contextmanager
def tokens(issuer: LiveIssuer, attempt: LoginState, **changes: Any) -> Iterator[None]:
    """Replace the issuer's tokens by an opaque access token and an ID token with these claims, unless one is given."""
    made: dict[str, Any] = {"sub": "user_alice", "aud": CONSOLE.id, "azp": CONSOLE.id, "nonce": attempt.nonce}
    sent = {"access_token": "opaque"}
    sent |= {name: changes.pop(name) for name in ("id_token", "access_token", "token_type") if name in changes}
    sent = {"id_token": issuer.token(**{**made, **changes}), **sent}
    with changed_answers(issuer, changed_tokens(issuer, lambda plain: {**plain, **sent})):
        yield


def half_digest(token: str, length: int = 16) -> str:
    return urlsafe_b64encode(sha256(token.encode()).digest()[:length]).rstrip(b"=").decode()


def discovered(
    issuer: LiveIssuer, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> Callable[[IssuerRequest, Reply], Reply]:
    """Change the discovery document."""

    def twist(asked: IssuerRequest, reply: Reply) -> Reply:
        return (
            json_reply(200, change(json.loads(reply.body))) if asked.path.startswith("/.well-known/openid") else reply
        )

    return twist
