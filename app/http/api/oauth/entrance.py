"""The entrances of the endpoints for apps, whose refusals have the shape of RFC 6749 section 5.2."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from app.http.api.oauth import registration
from app.http.api.oauth.errors import TokenError
from app.http.door.anonymous_entrance import AnonymousEntrance
from app.http.door.budgets import TOO_MANY
from app.http.door.enforcement import Entrance
from app.http.door.refusal import FORBIDDEN, Refusal, Refusals, json_refusal
from app.identity.authenticate import Authenticator
from app.identity.errors import HEADER_FAULTS, AuthenticationFault, CannotVerify
from app.policy.engine.decision import Decision
from app.policy.engine.suspended import CannotDecide

# Where an app authenticates, if at all, as a client (RFC 6749 section 2.3).
CLIENT_ENDPOINTS = ("/oauth/par", "/oauth/token", "/oauth/revoke")


class RegistrationEntrance:
    """The entrance where apps register themselves, with an initial access token if rows require one (RFC 7591)."""

    name = "app"

    def __init__(self, authenticator: Authenticator, refusals: Refusals) -> None:
        self.cached = authenticator.cached
        self.verify = authenticator.verify
        self._refusals = refusals

    def unauthenticated(self, fault: AuthenticationFault) -> Refusal:
        """The 401, with the challenge of the API."""
        code = "invalid_request" if fault in HEADER_FAULTS else "invalid_token"
        return _refusal(401, code, fault.value, *_challenges(self._refusals.unauthenticated[fault]))

    def forbidden(self, decision: Decision) -> Refusal:
        """The 403, with the challenge of the API."""
        challenges = _challenges(self._refusals.forbidden(decision.scope))
        return _refusal(403, "insufficient_scope", FORBIDDEN, *challenges)

    def unavailable(self, fault: CannotVerify | CannotDecide) -> Refusal:
        """The 503, with `Retry-After`."""
        return _unavailable(fault)


def too_many(wait: int) -> Refusal:
    """The 429 for a caller with too many bad credentials, with `Retry-After`."""
    return _later(429, TOO_MANY, wait)


# By template: where credentials are verified before the handler.
TOO_MANY_AT: Mapping[str, Callable[[int], Refusal]] = {registration.PATH: too_many}


def app_entrances(authenticator: Authenticator, refusals: Refusals) -> dict[str, Entrance[Any, Refusal]]:
    """The entrances of the endpoints for apps, by template."""
    # A bearer token authenticates no client, whether it is valid or not, so it is not verified.
    client = AnonymousEntrance(_deny, _unavailable)
    entrances: dict[str, Entrance[Any, Refusal]] = dict.fromkeys(CLIENT_ENDPOINTS, client)
    return {**entrances, registration.PATH: RegistrationEntrance(authenticator, refusals)}


def _refusal(status: int, code: str, description: str, *headers: tuple[bytes, bytes]) -> Refusal:
    return json_refusal(status, TokenError(code, description), (b"pragma", b"no-cache"), *headers)


def _deny() -> Refusal:
    # Not `invalid_client`, which would make some apps register again.
    return _refusal(403, "access_denied", "The policy of this deployment does not allow this.")


def _unavailable(fault: CannotVerify | CannotDecide) -> Refusal:
    return _later(503, fault.detail, fault.retry_after)


def _later(status: int, description: str, wait: int) -> Refusal:
    return _refusal(status, "temporarily_unavailable", description, (b"retry-after", str(wait).encode()))


def _challenges(refused: Refusal) -> list[tuple[bytes, bytes]]:
    return [header for header in refused.headers if header[0] == b"www-authenticate"]
