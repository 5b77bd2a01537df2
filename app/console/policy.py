"""The page of the active policy: its origin, its health, the decision log and the policy in shadow."""

from __future__ import annotations

from litestar import Response, post

from app.audit.shadow_view import shadow_view
from app.console.page import may_open, page, see_other
from app.db import revisions
from app.history import shadow_changes
from app.http.api.actors import requesting_actor
from app.http.api.policies import files_of
from app.http.wire.handlers import RequestSession, get_or_head
from app.services import AnyRequest, services_of

PATH = "/console/policy"


@get_or_head(PATH)
async def show(request: AnyRequest, session: RequestSession) -> Response[str]:
    """Show the active revision and its health."""
    services = services_of(request.app)
    live = services.live
    follower = services.follower
    log = services.decision_log
    shadowing = services.shadowing
    case_watch = services.case_watch
    deployed = shadowing.deployed
    return page(
        request,
        "policy.html",
        since=live.since,
        entry=await revisions.find(session, live.active.revision),
        rules=len(live.active.policy.rules),
        files=files_of(live.active),
        refused=live.refused,
        cases=case_watch.report,
        newest=follower.head.revision if follower.head else "",
        newest_refused=follower.refused,
        files_lag=follower.behind,
        shadow=None if deployed is None else shadow_view(deployed, live.active.revision),
        log=log.health,
        sample=services.settings.decision_log_sample,
        may={
            "edit": may_open(request, f"{PATH}/edit"),
            "history": may_open(request, f"{PATH}/history"),
            "withdraw": may_open(request, f"{PATH}/shadow/withdraw", "POST"),
        },
    )


@post(f"{PATH}/shadow/withdraw", status_code=303)
async def withdraw(request: AnyRequest, session: RequestSession) -> Response[None]:
    """Withdraw the policy in shadow."""
    await shadow_changes.withdraw(services_of(request.app).shadowing, session, requesting_actor(request))
    return see_other(PATH)


ROUTES = (show, withdraw)
