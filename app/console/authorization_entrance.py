"""The entrance of the authorization endpoint, to which an app sends a browser."""

from __future__ import annotations

from collections.abc import Iterable

from app.console.page import plain_page
from app.http.door.refusal import Refusal
from app.identity.errors import AuthenticationFault, CannotVerify
from app.identity.principal import ANONYMOUS, Principal
from app.policy.engine.decision import Decision
from app.policy.engine.suspended import CannotDecide

PATH = "/oauth/authorize"


class AuthorizationEntrance:
    """The entrance where a browser has not signed in yet: to the policy every caller is anonymous.

    As on the pages of the console, an `Authorization` header means nothing, and a refusal is a page.
    """

    name = "app"

    def cached(self, headers: Iterable[tuple[bytes, bytes]]) -> Principal:
        """The anonymous caller."""
        return ANONYMOUS

    async def verify(self, credential: object) -> Principal:
        """The anonymous caller."""
        return ANONYMOUS

    def unauthenticated(self, fault: AuthenticationFault) -> Refusal:
        """A 403: to sign in would not help."""
        return _refusal()

    def forbidden(self, decision: Decision) -> Refusal:
        """As for every caller."""
        return _refusal()

    def unavailable(self, fault: CannotVerify | CannotDecide) -> Refusal:
        """The 503, with `Retry-After`."""
        return unavailable_page(fault)


def unavailable_page(fault: CannotVerify | CannotDecide) -> Refusal:
    """A page that says when to try again, with `Retry-After`."""
    page = plain_page(503, "Not available now", f"{fault.detail} Try again in a moment.")
    return Refusal(page.status, (*page.headers, (b"retry-after", str(fault.retry_after).encode())), page.body)


def _refusal() -> Refusal:
    return plain_page(403, "Apps cannot ask for access here", "The policy of this deployment does not allow it.")
