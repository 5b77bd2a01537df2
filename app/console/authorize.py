"""The authorization endpoint (RFC 6749 section 3.1): takes an app's request, and leads the browser to the consent."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime

from litestar import Response, get
from sqlalchemy.ext.asyncio import AsyncSession

from app.console import cookies
from app.console.authorization_entrance import PATH
from app.console.config import Console
from app.console.consent_headers import CONSENT, POPUP_HEADERS
from app.console.page import page_for_app, see_other
from app.http.api.oauth.form import AppForm, kept_request, read_parameters, server_of
from app.http.door.budgets import AUTHORIZATIONS
from app.http.wire.handlers import RequestSession
from app.oauth.authorization import NoRedirect, redirect_of
from app.oauth.client_document import is_document_id
from app.oauth.clients import find_client
from app.oauth.consent import NO_APP
from app.oauth.errors import OAuthError
from app.oauth.fair_share import origin_of
from app.oauth.lifetimes import REQUEST
from app.oauth.requests import OpenRequest, open_request, take_pushed_request
from app.services import AnyRequest, services_of

COOKIE = "authz-consent"
_MAX_QUERY = 6_000  # a longer request can be pushed
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


@get(PATH)
async def authorize(request: AnyRequest, session: RequestSession) -> Response[str] | Response[None]:
    """Keep a request, bind it to this browser, and redirect to its consent.

    Only after the sign-in is anything redirected to an app: here a mistake gets a page of our own.
    """
    server_of(request)
    services = services_of(request.app)
    console = services.console
    assert console is not None
    services.budgets.check_request(AUTHORIZATIONS, request.scope)
    services.disk.require_space()
    now = datetime.now(UTC)
    try:
        query = request.scope["query_string"].decode("latin-1")
        if len(query) > _MAX_QUERY:
            raise OAuthError(
                "invalid_request",
                f"The request has more than {_MAX_QUERY} characters: the app can push it to /oauth/par.",
            )
        asked = await _read(session, read_parameters(query), now)
        await _check(session, asked, now)
        await session.rollback()  # on SQLite a transaction that has read may fail at once when it writes
        browser = browser_of(request, console) or secrets.token_urlsafe(32)
        origin = origin_of(services.budgets.address_of(request.scope))
        name = await open_request(session, asked, origin, browser, now)
    except OAuthError as refused:
        return refusal_page(request, refused.description)
    except NoRedirect as refused:
        return refusal_page(request, str(refused))
    await session.commit()
    seconds = int(REQUEST.total_seconds())
    kept = cookies.cookie(browser, secure=console.secure, max_age=seconds, name=COOKIE)
    return see_other(f"{CONSENT}{name}", kept, headers=POPUP_HEADERS)


def browser_of(request: AnyRequest, console: Console) -> str | None:
    """The cookie by which a browser is recognised that began a request."""
    value = cookies.read(request.scope["headers"], secure=console.secure, name=COOKIE)
    return value if value is not None and _TOKEN.fullmatch(value) else None


def refusal_page(request: AnyRequest, text: str) -> Response[str]:
    """The page of a request that gets no answer."""
    return page_for_app(request, "consent_refused.html", POPUP_HEADERS, status=400, text=text)


async def _read(session: AsyncSession, form: AppForm, now: datetime) -> OpenRequest:
    given: Mapping[str, str] = form.parameters
    client_id = given.get("client_id")
    if client_id is None:
        raise OAuthError("invalid_request", "The app sent no `client_id`.")
    if (pushed := given.get("request_uri")) is not None:
        taken = await take_pushed_request(session, pushed, client_id, now)
        await session.commit()
        return taken
    return kept_request(client_id, form)


async def _check(session: AsyncSession, asked: OpenRequest, now: datetime) -> None:
    """Check the app and the redirect, as far as they are known before the sign-in. Raises OAuthError and NoRedirect."""
    if is_document_id(asked.client_id):  # its document is fetched only for a user who has signed in
        return
    client = await find_client(session, asked.client_id, now)
    if client is None:
        raise OAuthError("invalid_request", NO_APP)
    redirect_of(client, asked)
