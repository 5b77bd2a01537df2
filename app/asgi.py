"""Composition of the ASGI application from its components."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial

from litestar.types import ASGIApp, ControllerRouterHandler

from app import logs
from app.assembly import api_info, assemble, cors_of
from app.audit.chain.signatures import read_signing_key
from app.audit.deletions import LogSize, count_written
from app.audit.log import DecisionLog
from app.audit.shadowing import Shadowing
from app.audit.size_limit import SizeLimit
from app.audit.tally import Outcomes, Series, Tally
from app.console.authorization_entrance import PATH as AUTHORIZATION
from app.console.authorization_entrance import authorization_entrance
from app.console.config import console_of, is_page
from app.console.entrance import ConsoleEntrance
from app.console.oidc import OpenId
from app.db.decision_drops import DropStore
from app.db.decision_writer import DecisionWriter
from app.db.disk import DiskSpace
from app.db.engine import PoolSize, open_engine
from app.db.sealing import Sealer
from app.db.session import Sessions, sessions_of
from app.gateway.authentication import GatewayAuthenticator
from app.gateway.proxies import TrustedProxies
from app.gateway.unset_proxies import warn_about_unset_proxies
from app.handlers import handlers
from app.history.follower import Follower
from app.history.publish import Publisher
from app.history.recovery import StartState, settled
from app.history.replica import ReplicaSync
from app.http.api import health, metadata
from app.http.api.authzen.recent import Recent
from app.http.api.oauth.entrance import TOO_MANY_AT, app_entrances
from app.http.api.openapi.serving import OpenApiDocument
from app.http.declared_routes import sample_templates
from app.http.door.access_log import AccessLog
from app.http.door.budgets import BUDGET_REFUSALS, Budgets
from app.http.door.direct import is_direct
from app.http.door.forward_auth import TEMPLATE, ForwardAuth
from app.http.door.front import with_front
from app.http.door.long_work import LongWork
from app.http.door.middleware import ApiEntrance, Door
from app.http.door.refusal import Refusals
from app.http.door.refusal_throttle import RefusalThrottle
from app.http.door.request_id import with_request_id
from app.http.door.route_table import table_of
from app.http.door.server_refusals import SERVER_REFUSALS
from app.http.door.telemetry import new_tracing
from app.http.door.traffic import Traffic
from app.http.own_routes import own_handlers, refused_routes
from app.http.wire.litestar_private import without_outer_layers
from app.identity.authenticate import Authenticator
from app.identity.jwt import JwtVerifier
from app.identity.key_verifier import ApiKeyVerifier
from app.keys.issuer import KeyIssuer, KeyLimits
from app.keys.last_used import LastUsed
from app.keys.lookups import key_lookup
from app.lifecycle import report
from app.metrics.lookups import measure_lookups
from app.metrics.read import MetricSources
from app.metrics.requests import Requests
from app.metrics.scrape import Metrics
from app.oauth.composition import app_access, authorization_server
from app.policy.analysis.case_watch import CaseWatch
from app.policy.engine.live import LivePolicy
from app.policy.gc_control import long_lived_build
from app.services import Services, state_with
from app.settings import Settings
from app.siem.destination import destinations_of
from app.siem.export import SiemExport
from app.token_prefixes import use_token_prefixes
from app.trust import issuer_faults, trust_issuers


def create_app(
    settings: Settings,
    start: StartState,
    extra: Sequence[ControllerRouterHandler] = (),
    *,
    files_win: bool = False,
) -> ASGIApp:
    """Create the application, with `extra` routes under the same policy besides those of the settings.

    `start` and `files_win` are arguments of the Follower.

    Raises PolicyRefused if the policy has faults or a route has no row, UnusableDatabase, and SettingsError if the
    handlers at `settings.routes` cannot be used.
    """
    routes = [*handlers(sample=settings.sample_api), *own_handlers(settings.routes), *extra]
    door = Door()
    engine = open_engine(
        settings.database_url,
        timeout_seconds=settings.database_timeout_seconds,
        pool=PoolSize(settings.database_pool_size, settings.database_pool_wait_seconds),
    )
    sessions = sessions_of(engine)
    disk = DiskSpace(settings.database_url, settings.disk_reserve_mb)
    disk.watch(engine)
    last_used = LastUsed(sessions, disk, limit=settings.key_cache_size)
    shadowing = Shadowing()
    tracing = new_tracing(settings.otlp_endpoint, settings.trace_sample)
    span = tracing.span if tracing else nullcontext
    traffic = Traffic()
    writer = DecisionWriter(sessions, disk, lambda: decision_log.give_way())  # noqa: PLW0108  # made below
    log_size = LogSize(SizeLimit(settings.decision_log_max_bytes))
    decision_log = (tracing.decision_log if tracing else DecisionLog)(
        count_written(writer.write, log_size, lambda classes: decision_log.hold(classes)),  # noqa: PLW0108  # made below
        write_drops=DropStore(sessions, disk).write,
        sample=settings.decision_log_sample,
        shadowing=shadowing,
        outcomes=Outcomes(lambda resource: bool(live.active.table.methods(resource))),
        between_slices=traffic.give_way,
    )
    requests, lookups = Requests(), Tally()
    verifier = ApiKeyVerifier(
        measure_lookups(key_lookup(sessions), lookups, span),
        environments=settings.key_environments,
        cache_seconds=settings.key_cache_seconds,
        max_cached=settings.key_cache_size,
        on_accepted=last_used.note_use,
    )
    apps = app_access(settings, sessions, disk)
    # Routes live as long as the process, so garbage collection need not visit them.
    with refused_routes(settings.routes), long_lived_build():
        app = assemble(routes, door=door, cors=cors_of(settings))
        table, route_keys = table_of(app, sample=sample_templates() if settings.sample_api else ())

    def invalidate_caches() -> None:
        verifier.invalidate_all()
        apps.verifier.invalidate_all()
        writer.forget()

    live = LivePolicy(settings.policy_dir, table, start.files, issuer_faults(settings))
    live.on_reload(report)
    follower = Follower(live, sessions, start.seen, files_win=files_win)
    publisher = Publisher(follower)
    case_watch = CaseWatch(live)
    jwt = JwtVerifier(max_bytes=settings.max_token_bytes)
    issuers = trust_issuers(settings, live, jwt, span)
    authenticator = Authenticator(jwt, verifier, apps.verifier)
    refusals = Refusals(settings.public_url and settings.public_url + metadata.PATH)
    console = console_of(settings)
    pages = dict.fromkeys(
        filter(is_page, route_keys.templates.values()),
        ConsoleEntrance(console, sessions, partial(jwt.is_reserved, settings.issuer or "")),
    )
    requests.set_templates({**route_keys.templates, TEMPLATE: TEMPLATE})
    proxies = TrustedProxies(settings.trusted_proxies)
    if settings.trusted_proxies is None:
        warn_about_unset_proxies(live)
    budgets = Budgets(
        proxies,
        bad_credentials=settings.bad_credentials_per_minute,
        key_issues=settings.key_issues_per_minute,
    )
    server = authorization_server(
        settings.public_url,
        console.url if console else None,
        live,
        disk,
        count_bad_secret=budgets.count_client_secret,
    )
    sealer = _sealer(settings, sessions, disk, traffic)
    siem = SiemExport(destinations_of(settings), sessions, disk, traffic.give_way)
    door.open(
        route_keys,
        live,
        decision_log,
        ApiEntrance(authenticator, refusals),
        {**pages, AUTHORIZATION: authorization_entrance(), **app_entrances(authenticator, refusals)},
        proxies=proxies,
        budgets=budgets,
        throttle=RefusalThrottle(traffic),
        public_url=settings.public_url,
        too_many_at=TOO_MANY_AT,
    )
    access_log = AccessLog(proxies, logs.stream) if settings.access_log else None
    services = Services(
        database=engine,
        sessions=sessions,
        database_probe=health.DatabaseProbe(sessions),
        disk=disk,
        last_used=last_used,
        last_used_apps=apps.last_used,
        decision_log=decision_log,
        log_size=log_size,
        siem=siem,
        recent=Recent(),
        sealer=sealer,
        shadowing=shadowing,
        replaying=asyncio.Lock(),
        long_work=LongWork(traffic),
        issuers=issuers,
        live=live,
        follower=follower,
        replica=ReplicaSync(
            follower,
            settings.database_url,
            renew=engine.dispose,
            invalidate=verifier.invalidate,
            invalidate_app=apps.verifier.invalidate,
            invalidate_all=invalidate_caches,
            max_stale=settings.policy_max_stale_seconds,
        ),
        publisher=publisher,
        case_watch=case_watch,
        app_tokens=apps.verifier,
        authenticator=authenticator,
        refusals=refusals,
        settings=settings,
        proxies=proxies,
        budgets=budgets,
        key_issuer=KeyIssuer(
            live,
            disk,
            KeyLimits(settings.key_environments, settings.key_max_active, settings.key_max_days),
            check_budget=budgets.check_key_issue,
            invalidate=verifier.invalidate,
        ),
        authorization_server=server,
        console=console,
        openid=OpenId(console, issuers.key_set(console.issuer), jwt) if console else None,
        verifier=verifier,
        documents=OpenApiDocument(live, lambda config: assemble(routes, openapi=config), api_info(settings), server),
        metrics=Metrics(
            MetricSources(
                decision_log,
                log_size,
                siem,
                sealer,
                requests,
                lookups,
                Series(),
                issuers,
                jwt.cache,
                verifier,
                apps.verifier,
                live,
                publisher,
                case_watch,
                engine,
                BUDGET_REFUSALS,
                SERVER_REFUSALS,
                logs.stream,
            )
        ),
        tracing=tracing,
        access_log=access_log,
    )
    app.state.update(state_with(services))
    gateways = ForwardAuth(
        live,
        authenticator,
        refusals,
        GatewayAuthenticator(
            [secret.get_secret_value() for secret in settings.gateway_secrets], settings.gateway_networks
        ),
        decision_log,
        proxies=proxies,
        budgets=budgets,
        public_url=settings.public_url,
        metadata_url=metadata.url_of,
    )
    served = with_request_id(with_front(without_outer_layers(app, is_direct), gateways), access_log, requests, traffic)
    return tracing.traced(served) if tracing else served


async def build_app(settings: Settings, *, files_win: bool) -> ASGIApp:
    """Like `create_app`, after interrupted changes of the policy files have been completed or undone.

    The process uses the token prefixes of the settings.

    Raises `write.CannotWrite` too.
    """
    use_token_prefixes(settings.key_prefix)
    engine = open_engine(settings.database_url)
    try:
        async with settled(sessions_of(engine), settings.policy_dir) as start:
            return create_app(settings, start, files_win=files_win)
    finally:
        await engine.dispose()


def _sealer(settings: Settings, sessions: Sessions, disk: DiskSpace, traffic: Traffic) -> Sealer:
    file = settings.decision_log_signing_key_file
    return Sealer(
        sessions,
        disk,
        read_signing_key(file) if file else None,
        between_slices=traffic.give_way,
        seal_seconds=settings.decision_log_seal_seconds,
    )
