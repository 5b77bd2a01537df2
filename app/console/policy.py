"""The active policy: what it is, how it came to be, and how everything around it fares."""

from __future__ import annotations

from litestar import Response, post, route
from litestar.di import NamedDependency
from litestar.enums import HttpMethod
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.log import DecisionLog
from app.audit.shadowing import Shadowing
from app.console.page import AnyRequest, page, see_other
from app.db import revisions
from app.history.follower import Follower
from app.http.api.policies import files_of
from app.http.api.shadow import shadow_view, withdrawn
from app.policy.analysis.case_watch import CaseWatch
from app.policy.engine.live import LivePolicy

PATH = "/console/policy"
_Session = NamedDependency[AsyncSession]


@route(PATH, http_method=[HttpMethod.GET, HttpMethod.HEAD], include_in_schema=False)
async def show(request: AnyRequest, session: _Session) -> Response[str]:
    """The revision that decides now, and its health."""
    state = request.app.state
    live: LivePolicy = state.live
    follower: Follower = state.follower
    log: DecisionLog = state.decision_log
    shadowing: Shadowing = state.shadowing
    case_watch: CaseWatch = state.case_watch
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
        shadow=None if deployed is None else shadow_view(deployed, state),
        log=log.health,
        sample=state.settings.decision_log_sample,
        may=_may(request),
    )


@post(f"{PATH}/shadow/withdraw", status_code=303, include_in_schema=False)
async def withdraw(request: AnyRequest, session: _Session) -> Response[None]:
    """Compare with the policy in shadow no more."""
    await withdrawn(request, session)
    return see_other(PATH)


ROUTES = (show, withdraw)


def _may(request: AnyRequest) -> dict[str, bool]:
    """What else the policy opens to the viewer, so that no link leads to a refusal."""
    live: LivePolicy = request.app.state.live

    def opens(path: str, method: str = "GET") -> bool:
        return bool(live.active.decide(request.user.held, path, method))

    return {
        "edit": opens(f"{PATH}/edit"),
        "history": opens(f"{PATH}/history"),
        "withdraw": opens(f"{PATH}/shadow/withdraw", "POST"),
    }
