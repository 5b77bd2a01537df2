"""Authenticates users of the console, only by the cookie of their session.

The API never reads the cookie, and pages never read an `Authorization` header: a page of another site cannot make a
browser call the API, and a leaked key opens no page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from litestar.types import Receive, Scope, Send
from sqlalchemy.exc import SQLAlchemyError

from app.console import cookies
from app.console.authorization_entrance import unavailable_page
from app.console.config import Console
from app.console.page import plain_page
from app.db import console_sessions
from app.db.availability import RETRY_AFTER_SECONDS
from app.db.session import Sessions, read
from app.http.door.refusal import Refusal
from app.http.wire.scope_types import HTTP
from app.identity.errors import AuthenticationFault, CannotVerify
from app.identity.organization import from_json
from app.identity.principal import ANONYMOUS, Principal, user_principal
from app.policy.engine.decision import Decision
from app.policy.engine.suspended import CannotDecide

SIGN_IN = "/console/sign-in"


class ConsoleEntrance:
    """The entrance of the console. Without a console, every caller is anonymous.

    `is_reserved` says whether a subject is that of another issuer's user, who never signs in here: a session may have
    begun before that issuer was trusted.
    """

    name = "console"

    def __init__(self, console: Console | None, sessions: Sessions, is_reserved: Callable[[str], bool]) -> None:
        self._console = console
        self._sessions = sessions
        self._is_reserved = is_reserved

    def cached(self, headers: Iterable[tuple[bytes, bytes]]) -> Principal | str:
        """ANONYMOUS without a session, else the token of the session: sessions are in the database alone."""
        token = cookies.session_token(headers, secure=self._console.secure) if self._console else None
        return ANONYMOUS if token is None else token

    async def verify(self, token: str) -> Principal:
        """The user of a session; ANONYMOUS when it has ended. Raises CannotVerify if the database does not answer."""
        try:
            digest, now = cookies.digest(token), datetime.now(UTC)
            found = await read(self._sessions, lambda session: console_sessions.find(session, digest, now))
        except (SQLAlchemyError, OSError):
            raise CannotVerify("Sessions cannot be read now.", RETRY_AFTER_SECONDS) from None
        if found is None or self._is_reserved(found.subject):
            return ANONYMOUS
        return user_principal(
            found.subject,
            found.permissions,
            {"name": found.name, **({"act": found.act} if found.act else {})},
            session_id=found.id,
            organization=from_json(found.organization, found.org_permissions),
        )

    def unauthenticated(self, fault: AuthenticationFault) -> SignInRedirect:
        """Ask the caller to sign in, whatever the fault."""
        return SignInRedirect()

    def forbidden(self, decision: Decision) -> Refusal:
        """A page with the missing permissions."""
        return plain_page(
            403,
            "You may not open this page",
            "Your permissions are not sufficient. Ask your administrator if you need it.",
            facts={"Missing": " ".join(decision.missing)} if decision.missing else {},
        )

    def unavailable(self, fault: CannotVerify | CannotDecide) -> Refusal:
        """A page that says when to try again."""
        return unavailable_page(fault)


@dataclass(frozen=True, slots=True)
class SignInRedirect:
    """Redirect to the sign-in, which leads back here; a form is not sent again."""

    async def send(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == HTTP and scope["method"] in ("GET", "HEAD"):
            query = scope["query_string"].decode("latin-1")
            here = quote(scope["path"], safe="/-._~{}") + (f"?{query}" if query else "")
            headers = [
                (b"location", f"{SIGN_IN}?{urlencode({'to': here})}".encode()),
                (b"cache-control", b"no-store"),
                (b"content-length", b"0"),
            ]
            await Refusal(303, tuple(headers), b"").send(scope, receive, send)
            return
        page = plain_page(
            401,
            "Your session has ended",
            "Nothing was changed. Sign in again, then go back to the previous page and send the form again.",
            link=(SIGN_IN, "Sign in"),
        )
        await page.send(scope, receive, send)
