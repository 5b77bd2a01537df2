"""The entrance of the authorization endpoint, to which an app sends a browser."""

from __future__ import annotations

from app.console.page import plain_page
from app.http.door.anonymous_entrance import AnonymousEntrance
from app.http.door.refusal import Refusal
from app.identity.errors import CannotVerify
from app.policy.engine.suspended import CannotDecide

PATH = "/oauth/authorize"


def unavailable_page(fault: CannotVerify | CannotDecide) -> Refusal:
    """A page that says when to try again, with `Retry-After`."""
    page = plain_page(503, "Not available now", f"{fault.detail} Try again in a moment.")
    return Refusal(page.status, (*page.headers, (b"retry-after", str(fault.retry_after).encode())), page.body)


def authorization_entrance() -> AnonymousEntrance:
    """The entrance where a browser has not signed in yet. As on the pages of the console, a refusal is a page."""
    return AnonymousEntrance(_deny, unavailable_page)


def _deny() -> Refusal:
    return plain_page(403, "Apps cannot ask for access here", "The policy of this deployment does not allow it.")
