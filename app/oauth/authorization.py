"""Checks an authorization request (RFC 6749 section 4.1.1, OAuth 2.1): what it asks for, and where its answer goes."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from urllib.parse import urlencode

from app.oauth.client import Client
from app.oauth.errors import ErrorCode, OAuthError
from app.oauth.pkce import is_challenge
from app.oauth.requests import OpenRequest
from app.oauth.scope import scopes_of
from app.policy.engine.app_scopes import may_ask, scopes_for
from app.policy.engine.snapshot import Snapshot


class NoRedirect(Exception):
    """The app or its redirect is not known, or the app is disabled, so no answer is sent anywhere.

    The message is for the user's page.
    """


@dataclass(frozen=True, slots=True)
class CheckedRequest:
    """A request that may be shown to the user."""

    redirect_uri: str
    scopes: tuple[str, ...]
    resource: str
    challenge: str


def redirect_of(client: Client, request: OpenRequest) -> str:
    """The redirect of a request. Raises NoRedirect.

    A disabled app gets no user: a link to it through this server would still lead to its site.
    """
    if not client.enabled:
        raise NoRedirect("An administrator has disabled this app, so it gets no answer.")
    stated = request.parameters.get("redirect_uri")
    if stated is None:
        if len(client.redirect_uris) != 1:
            raise NoRedirect("The app has several addresses for the answer, and its request names none of them.")
        return client.redirect_uris[0]
    if not client.accepts_redirect(stated):
        raise NoRedirect(
            "The address for the answer (`redirect_uri`) is not one that is registered for this app: its developer "
            "must send one exactly as it is registered."
        )
    return stated


def check_request(
    client: Client,
    request: OpenRequest,
    redirect_uri: str,
    snapshot: Snapshot,
    resource_of: Callable[[Collection[str]], str],
) -> CheckedRequest:
    """Check all of a request but its redirect. Raises OAuthError, which is sent to the redirect.

    Without a `scope` it asks for all that the app may ask for under the policy.
    """
    given = request.parameters
    if "request" in given:
        raise OAuthError("request_not_supported", "Send the parameters themselves, or push them.")
    if (kind := given.get("response_type")) != "code":
        code: ErrorCode = "invalid_request" if kind is None else "unsupported_response_type"
        raise OAuthError(code, "The `response_type` is code.")
    if given.get("response_mode", "query") != "query":
        raise OAuthError("invalid_request", "The `response_mode` is query.")
    challenge = given.get("code_challenge", "")
    if given.get("code_challenge_method") != "S256" or not is_challenge(challenge):
        raise OAuthError("invalid_request", "Send a `code_challenge` with the `code_challenge_method` S256.")
    resource = resource_of(given["resource"].split(" ") if "resource" in given else ())
    scopes = scopes_of(given.get("scope"), lambda scope: may_ask(snapshot, client, scope))
    if scopes is None:
        scopes = tuple(sorted(scopes_for(snapshot, client)))
    if not scopes:
        raise OAuthError("invalid_scope", "There is no permission that this app may ask for.")
    return CheckedRequest(redirect_uri, scopes, resource, challenge)


def answer_to(redirect_uri: str, issuer: str, state: str | None, **answer: str) -> str:
    """The address to which the browser is sent, with `iss` (RFC 9207) and the state of the request."""
    query = {**answer, **({} if state is None else {"state": state}), "iss": issuer}
    return f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{urlencode(query)}"
