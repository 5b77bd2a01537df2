"""The consent page: a user allows an app, or denies it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal
from urllib.parse import urlsplit

from litestar import Response, get, post
from litestar.params import FromPath
from pydantic import BaseModel, Field

from app.console.authorize import browser_of, refusal_page
from app.console.consent_headers import CONSENT, POPUP_HEADERS, consent_headers
from app.console.forms import read_form
from app.console.page import page_for_app, see_other
from app.http.api.actors import requesting_actor
from app.http.api.oauth.form import server_of
from app.http.wire.handlers import RequestSession
from app.oauth.consent import ConsentPage, ConsentRefused, ConsentVisit, DepartureNotice
from app.services import AnyRequest, services_of

_PATH = f"{CONSENT}{{name:str}}"
# The name of a request, and an address with a code, are sent to no further page.
_TO_APP_HEADERS = {**POPUP_HEADERS, "Referrer-Policy": "no-referrer"}


class ConsentAnswer(BaseModel):
    """The answer of a user, and what the page showed. Of two answers none counts."""

    decision: Annotated[list[Literal["allow", "deny"]], Field(min_length=1, max_length=1)]
    scopes: list[Annotated[str, Field(max_length=200)]] = Field(default_factory=list, max_length=500)
    version: Annotated[str, Field(max_length=32)] = ""


@get(_PATH)  # without HEAD, since it may answer the app
async def show_consent(
    name: FromPath[str], request: AnyRequest, session: RequestSession
) -> Response[str] | Response[None]:
    """Show what an app asks for."""
    consents = server_of(request).consents
    try:
        found = await consents.show(session, _visit(request, name))
    except ConsentRefused as refused:
        return refusal_page(request, str(refused))
    if isinstance(found, str):
        return _to_app(found)
    if isinstance(found, DepartureNotice):
        return _departure_page(request, found)
    return _page(request, found)


@post(_PATH)
async def answer_consent(
    name: FromPath[str], request: AnyRequest, session: RequestSession
) -> Response[str] | Response[None]:
    """Take the answer to the app. A form of another session was refused before."""
    consents = server_of(request).consents
    form = await read_form(request, ConsentAnswer)
    if form.value is None:
        return refusal_page(request, "This form is incomplete, so nothing was done. Go back and send it again.")
    given = form.value
    allowed = given.scopes if given.decision == ["allow"] else None
    try:
        return _to_app(await consents.answer(session, _visit(request, name), allowed=allowed, version=given.version))
    except ConsentRefused as refused:
        return refusal_page(request, str(refused))


ROUTES = (show_consent, answer_consent)


def _visit(request: AnyRequest, name: str) -> ConsentVisit:
    console = services_of(request.app).console
    assert console is not None
    return ConsentVisit(name, browser_of(request, console), request.user, requesting_actor(request), datetime.now(UTC))


def _page(request: AnyRequest, found: ConsentPage) -> Response[str]:
    server = server_of(request)
    return page_for_app(
        request,
        "consent.html",
        consent_headers(found.asked.redirect_uri),
        app=found.client,
        scopes=found.scopes,
        held=found.held,
        is_again=found.is_again,
        has_new=any(scope.is_new and scope.is_held for scope in found.scopes),
        redirect_host=_host_of(found.asked.redirect_uri),
        on_device=_is_on_device(found.asked.redirect_uri),
        resource=None if found.asked.resource == server.issuer else found.asked.resource,
    )


def _departure_page(request: AnyRequest, found: DepartureNotice) -> Response[str]:
    return page_for_app(
        request,
        "consent_departure.html",
        _TO_APP_HEADERS,
        status=400,
        app=found.client,
        reason=found.error.description,
        address=found.address,
        redirect_host=_host_of(found.redirect_uri),
        on_device=_is_on_device(found.redirect_uri),
    )


def _host_of(redirect_uri: str) -> str:
    """What a page says of where an answer goes."""
    redirect = urlsplit(redirect_uri)
    # The scheme of an app on a device has no host.
    return redirect.netloc if redirect.scheme in ("https", "http") else f"{redirect.scheme}:"


def _is_on_device(redirect_uri: str) -> bool:
    return urlsplit(redirect_uri).hostname in ("127.0.0.1", "::1", "localhost")


def _to_app(address: str) -> Response[None]:
    return see_other(address, headers=_TO_APP_HEADERS)
