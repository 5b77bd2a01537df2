"""The account page: the user, their permissions and their sessions."""

from __future__ import annotations

from datetime import UTC, datetime

from litestar import Response

from app.console import cookies
from app.console.page import page
from app.db import console_sessions
from app.http.wire.handlers import RequestSession, get_or_head
from app.policy.analysis.publishers import root_permissions
from app.services import AnyRequest, services_of


@get_or_head("/console/account")
async def show_account(request: AnyRequest, session: RequestSession) -> Response[str]:
    """Show the permissions in effect, with their titles from the catalogue, and the sessions of the user."""
    services = services_of(request.app)
    snapshot = services.live.active
    effective = snapshot.effective(request.user.held)
    token = (
        cookies.session_token(request.scope["headers"], secure=services.console.secure) if services.console else None
    )
    sessions = await console_sessions.list_for(session, request.user.subject, datetime.now(UTC))
    return page(
        request,
        "account.html",
        may=[permission for name, permission in snapshot.policy.catalog.items() if name in effective],
        root=root_permissions(snapshot, effective & snapshot.policy.catalog.keys()),
        roles=sorted(grant for grant in effective if grant.startswith("role:")),
        sessions=sessions,
        this_digest=cookies.digest(token) if token else b"",
    )


ROUTES = (show_account,)
