"""The services that handlers, middleware and background tasks use, composed once for each application.

At runtime this module imports no other module of `app`, so that all may import it. The types of its fields are imported
by type checkers only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from litestar import Litestar, Request
from litestar.datastructures import State

if TYPE_CHECKING:
    import asyncio

    from sqlalchemy.ext.asyncio import AsyncEngine

    from app.audit.deletions import LogSize
    from app.audit.log import DecisionLog
    from app.audit.shadowing import Shadowing
    from app.console.config import Console
    from app.console.oidc import OpenId
    from app.db.disk import DiskSpace
    from app.db.sealing import Sealer
    from app.db.session import Sessions
    from app.gateway.proxies import TrustedProxies
    from app.history.follower import Follower
    from app.history.publish import Publisher
    from app.history.replica import ReplicaSync
    from app.http.api.authzen.recent import Recent
    from app.http.api.health import DatabaseProbe
    from app.http.api.openapi.serving import OpenApiDocument
    from app.http.door.access_log import AccessLog
    from app.http.door.budgets import Budgets
    from app.http.door.long_work import LongWork
    from app.http.door.refusal import Refusals
    from app.http.door.tracing import Tracing
    from app.identity.access_token_verifier import AccessTokenVerifier
    from app.identity.authenticate import Authenticator
    from app.identity.issuers import IssuerRegistry
    from app.identity.key_verifier import ApiKeyVerifier
    from app.keys.issuer import KeyIssuer
    from app.keys.last_used import LastUsed
    from app.metrics.scrape import Metrics
    from app.oauth.server import AuthorizationServer
    from app.policy.analysis.case_watch import CaseWatch
    from app.policy.engine.live import LivePolicy
    from app.settings import Settings
    from app.siem.export import SiemExport

AnyRequest: TypeAlias = Request[Any, Any, State]
_KEY = "services"


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The services of a running application.

    `console` and `openid` are None if there is no console, `authorization_server` if third-party apps get no tokens.
    """

    settings: Settings
    database: AsyncEngine
    sessions: Sessions
    database_probe: DatabaseProbe
    disk: DiskSpace
    live: LivePolicy
    follower: Follower
    publisher: Publisher
    replica: ReplicaSync
    case_watch: CaseWatch
    issuers: IssuerRegistry
    verifier: ApiKeyVerifier
    app_tokens: AccessTokenVerifier
    authenticator: Authenticator
    last_used: LastUsed
    last_used_apps: LastUsed
    key_issuer: KeyIssuer
    refusals: Refusals
    budgets: Budgets
    proxies: TrustedProxies
    decision_log: DecisionLog
    log_size: LogSize
    siem: SiemExport
    sealer: Sealer
    shadowing: Shadowing
    recent: Recent
    replaying: asyncio.Lock
    long_work: LongWork
    documents: OpenApiDocument
    metrics: Metrics
    tracing: Tracing | None
    access_log: AccessLog | None
    authorization_server: AuthorizationServer | None
    console: Console | None
    openid: OpenId | None


def state_with(services: Services) -> State:
    """The state of an application with these services."""
    return State({_KEY: services})


def services_of(app: Litestar) -> Services:
    """The services of an application."""
    services: Services = app.state[_KEY]
    return services
