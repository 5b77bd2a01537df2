"""The account page: the user, their permissions and their sessions."""

from __future__ import annotations

from datetime import UTC, datetime

from litestar import Response, route
from litestar.di import NamedDependency
from litestar.enums import HttpMethod
from sqlalchemy.ext.asyncio import AsyncSession

from app.console import cookies
from app.console.page import page
from app.db import console_sessions
from app.policy.analysis.publishers import root_permissions
from app.services import AnyRequest, services_of


@route("/console/account", http_method=[HttpMethod.GET, HttpMethod.HEAD], include_in_schema=False)
async def show_account(request: AnyRequest, session: NamedDependency[AsyncSession]) -> Response[str]:
    """Show the permissions in effect, with their titles from the catalogue, and the sessions of the user."""
    services = services_of(request.app)
    live = services.live
    snapshot = live.active
    effective = snapshot.effective(request.user.held)
    console = services.console
    token = cookies.session_token(request.scope["headers"], secure=console.secure) if console else None
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
