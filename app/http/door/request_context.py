"""The variables that conditions read from a request to the application, each computed when a condition reads it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from litestar.types import Scope

from app.gateway.proxies import TrustedProxies
from app.http.wire.scope_types import HTTP
from app.identity.principal import Principal
from app.policy.engine.snapshot import Snapshot
from app.policy.language.when.condition import Context
from app.policy.language.when.context import LazyContext, subject_of
from app.policy.language.when.shape import Request


def request_context(
    scope: Scope, principal: Principal, snapshot: Snapshot, resource: str, action: str, *, proxies: TrustedProxies
) -> Context:
    """The variables of a decision about a request."""
    return LazyContext(
        subject=lambda: subject_of(principal, snapshot.effective(principal.held)),
        resource=lambda: {"type": "route", "id": resource, "properties": {}},
        action=lambda: {"name": action, "properties": {}},
        request=lambda: _request(scope, proxies),
        params=lambda: _params(scope),
    )


def link_context(
    scope: Scope, principal: Principal, snapshot: Snapshot, resource: str, action: str, *, proxies: TrustedProxies
) -> Context:
    """The variables of a decision about what the caller of a request could request next, from the same address.

    Its path and the parameters in it are not known.
    """
    return LazyContext(
        subject=lambda: subject_of(principal, snapshot.effective(principal.held)),
        resource=lambda: {"type": "route", "id": resource, "properties": {}},
        action=lambda: {"name": action, "properties": {}},
        request=lambda: {**_sender(scope, proxies), "method": action},
    )


def _request(scope: Scope, proxies: TrustedProxies) -> Request:
    request: Request = {**_sender(scope, proxies), "path": scope["path"]}
    if scope["type"] == HTTP:
        request["method"] = scope["method"]
    return request


def _sender(scope: Scope, proxies: TrustedProxies) -> Request:
    """When a request was received, and from where if that is known."""
    request: Request = {"time": datetime.now(UTC)}
    peer = scope.get("client")
    if (address := proxies.client_of(peer[0] if peer else None, scope["headers"])) is not None:
        request["ip"] = address
    return request


def _params(scope: Scope) -> Mapping[str, str]:
    return {name: str(value) for name, value in scope["path_params"].items()}
