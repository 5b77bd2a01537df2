"""Signs users in and out. The policy decides for each page what they may do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated
from urllib.parse import quote, urlsplit

from litestar import Response, get, post
from litestar.params import QueryParameter

from app import logs
from app.audit.actor import Actor
from app.console import cookies, login_state
from app.console.config import Console
from app.console.consent_headers import CONSENT, POPUP_HEADERS
from app.console.oidc import OpenId, SignInFailed
from app.console.page import page, page_for_app, see_other
from app.db import admin_actions, console_sessions
from app.http.api.actors import requesting_actor
from app.http.door.budgets import SIGN_INS
from app.http.wire.handlers import RequestSession, get_or_head
from app.http.wire.problems import Problem
from app.oauth.people import PersonBlocked, note_sign_in, require_unblocked
from app.services import AnyRequest, services_of

_To = Annotated[str, QueryParameter(max_length=4000)]
_SIGN_IN = "/console/sign-in"


@get_or_head(_SIGN_IN)
async def show_sign_in(request: AnyRequest, to: _To = login_state.HOME) -> Response[str] | Response[None]:
    """Show the link to the issuer; redirect a signed-in user."""
    console, _ = _configured(request)
    to = login_state.local_path(to)
    if request.user.method != "anonymous":
        return see_other(to)
    begin = f"{_SIGN_IN}/start?to={quote(to, safe='')}"
    issuer, headers = urlsplit(console.issuer).netloc, _in_popup(to)
    return page_for_app(request, "sign_in.html", headers, begin=begin, issuer=issuer, for_app=bool(headers))


@get(f"{_SIGN_IN}/start")
async def start_sign_in(request: AnyRequest, to: _To = login_state.HOME) -> Response[str] | Response[None]:
    """Redirect to the issuer, and keep the state of the sign-in in a cookie."""
    console, openid = _configured(request)
    begun = login_state.begin(to)
    try:
        address = await openid.address(begun)
    except SignInFailed as failed:
        return _failed(request, failed)
    kept = cookies.cookie(begun.cookie(), secure=console.secure, max_age=login_state.SECONDS, name=login_state.COOKIE)
    return see_other(address, kept, headers=_in_popup(begun.to))


@get("/console/callback")
async def finish_sign_in(request: AnyRequest, session: RequestSession) -> Response[str] | Response[None]:
    """Handle the issuer's answer. A valid one begins a session, and ends the previous one of this browser."""
    console, openid = _configured(request)
    headers, budgets = request.scope["headers"], services_of(request.app).budgets
    # Anyone can begin a sign-in and invent its code, about which the issuer is asked.
    budgets.check_request(SIGN_INS, request.scope)
    begun = login_state.read(cookies.read(headers, secure=console.secure, name=login_state.COOKIE))
    try:
        user = await openid.finish(request.scope["query_string"].decode("latin-1"), begun)
    except SignInFailed as failed:
        return _failed(request, failed)
    budgets.refund_request(SIGN_INS, request.scope)
    now = datetime.now(UTC)
    try:
        if user.act is None:
            await note_sign_in(session, user.subject, user.permissions, now, user.organization)
        else:  # the user's apps go by the user's own sign-ins alone
            await require_unblocked(session, user.subject)
    except PersonBlocked:
        return _failed(request, SignInFailed("An administrator has blocked you, so you were not signed in.", 403))
    # An attacker may have set the previous token of this browser (session fixation).
    replaced = None
    if (before := cookies.session_token(headers, secure=console.secure)) is not None:
        replaced = await console_sessions.end(session, cookies.digest(before))
    token = cookies.new_token()
    row = await console_sessions.insert(
        session,
        digest=cookies.digest(token),
        subject=user.subject,
        name=user.name,
        permissions=user.permissions,
        organization=user.organization,
        act=user.act,
        now=now,
        expires_at=now + timedelta(seconds=console.session_seconds),
    )
    # The caller of this request is still anonymous.
    by = Actor(
        user.subject,
        request_id=logs.request_id.get(),
        door="console",
        method="jwt",
        session_id=row.id,
        revision=request.auth.revision,
        impersonator=user.act["sub"] if user.act else None,
    )
    admin_actions.record(
        session,
        by,
        "session.start",
        f"session:{row.id}",
        now=now,
        details={
            "permissions": list(user.permissions),
            "replaces": None if replaced is None else f"session:{replaced}",
        },
    )
    await session.commit()
    to = begun.to if begun else login_state.HOME
    kept = (
        cookies.cookie(token, secure=console.secure, max_age=console.session_seconds),
        cookies.cookie("", secure=console.secure, max_age=0, name=login_state.COOKIE),
    )
    if _in_popup(to) and _is_navigation(request):
        # The consent may redirect to the app at once. Were it a redirect of the form that the user sent at the issuer,
        # Chrome would block it by the `form-action` of that page, and the issuer knows this console alone.
        return page_for_app(request, "signed_in.html", _in_popup(to), cookies=kept, to=to)
    return see_other(to, *kept, headers=_in_popup(to))


@post("/console/sign-out")
async def sign_out(request: AnyRequest, session: RequestSession) -> Response[None]:
    """End this session."""
    console, _ = _configured(request)
    token = cookies.session_token(request.scope["headers"], secure=console.secure)
    assert token is not None  # without one the form was refused
    ended = await console_sessions.end(session, cookies.digest(token))
    if ended is not None:
        if request.user.session_id == ended:  # and it had not expired
            by = requesting_actor(request)
            admin_actions.record(session, by, "session.end", f"session:{ended}", now=datetime.now(UTC))
        await session.commit()
    return _out(console)


@post("/console/sign-out/everywhere")
async def sign_out_everywhere(request: AnyRequest, session: RequestSession) -> Response[None]:
    """End every session of the user, in all browsers."""
    console, _ = _configured(request)
    subject = request.user.subject
    ended = await console_sessions.end_all(session, subject)
    admin_actions.record(
        session,
        requesting_actor(request),
        "session.end_all",
        f"user:{subject}",
        now=datetime.now(UTC),
        details={"sessions": ended},
    )
    await session.commit()
    return _out(console)


@get_or_head("/console/signed-out")
async def show_signed_out(request: AnyRequest) -> Response[str]:
    """Confirm the sign-out, with a link to sign out at the issuer too."""
    console, openid = _configured(request)
    issuer = urlsplit(console.issuer).netloc
    return page(request, "signed_out.html", at_issuer=await openid.sign_out_address(), issuer=issuer)


ROUTES = (show_sign_in, start_sign_in, finish_sign_in, sign_out, sign_out_everywhere, show_signed_out)


def _configured(request: AnyRequest) -> tuple[Console, OpenId]:
    services = services_of(request.app)
    if services.console is None:
        raise Problem(404, "This deployment has no console: AUTHZ_CONSOLE_CLIENT_ID is not set.")
    assert services.openid is not None
    return services.console, services.openid


def _in_popup(to: str) -> dict[str, str]:
    """The headers of a sign-in that leads to a consent: the window of the app keeps its connection to the pop-up."""
    return dict(POPUP_HEADERS) if to.startswith(CONSENT) else {}


def _is_navigation(request: AnyRequest) -> bool:
    """Whether a browser says that it opens a page (Fetch Metadata)."""
    return request.headers.get("sec-fetch-mode") == "navigate"


def _out(console: Console) -> Response[None]:
    return see_other("/console/signed-out", cookies.cookie("", secure=console.secure, max_age=0))


def _failed(request: AnyRequest, failed: SignInFailed) -> Response[str]:
    return page(request, "sign_in_failed.html", status=failed.status, text=failed.text, again=_SIGN_IN)
