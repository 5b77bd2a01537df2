"""Forward-auth: a gateway asks whether it may forward a request to an upstream service.

Plain ASGI in front of the application, because a gateway asks with any method and any path, and always needs one of the
responses 200, 401 and 403: nginx turns any other into a 500. Every error is a denial.
"""

from __future__ import annotations

import string
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from time import perf_counter_ns
from urllib.parse import quote, unquote

import structlog
from litestar.types import ASGIApp, Receive, Scope, Send

from app.audit.log import DecisionLog
from app.gateway.authentication import GatewayAuthenticator
from app.gateway.profiles import PROFILES, AmbiguousRequest, OriginalRequest, Profile
from app.gateway.proxies import TrustedProxies
from app.http.door.budgets import TOO_MANY, Budgets
from app.http.door.enforcement import Enforcement, Gate
from app.http.door.refusal import Refusal, Refusals, refusal
from app.http.wire.scope_types import HTTP
from app.identity.authenticate import Authenticator
from app.identity.errors import AuthenticationFault, CannotVerify
from app.identity.principal import Principal
from app.oauth.resource import covers_upstream, resource_of_upstream
from app.policy.engine.decision import Decision
from app.policy.engine.live import LivePolicy
from app.policy.engine.snapshot import Snapshot
from app.policy.engine.suspended import CannotDecide
from app.policy.engine.target import params_of
from app.policy.language.reason import Reason
from app.policy.language.when.condition import Context
from app.policy.language.when.context import LazyContext, subject_of
from app.policy.language.when.shape import Request

PREFIX = b"/gateway/"
REASON = b"x-auth-reason"
TEMPLATE = "/gateway/{profile}"  # the label of all these requests in the metrics
UNAUTHENTICATED_GATEWAY = "The gateway is not authenticated."
UNKNOWN_PROFILE = "There is no such gateway profile."
UPGRADE = "A gateway must send a plain HTTP request: remove the header `Upgrade`."
FAILED = "The request could not be decided."

_MAX_CACHED = 2_000  # callers, of some hundred bytes each
_MAX_GRANTS, _MAX_CHARACTERS = 200, 8_000  # of a cached caller, which bound the size of the cache
_WARN_SECONDS = 60.0
# With letters and digits, all of visible ASCII except `%`. Spaces are encoded, because proxies trim header values.
_UNQUOTED = string.punctuation.replace("%", "")
_IdentityKey = tuple[str, str, str, frozenset[str], int | None]
_log = structlog.stdlib.get_logger("gateway")


class GatewayEntrance:
    """The entrance of a profile: the credentials of the API, and refusals that gateways pass on."""

    def __init__(self, name: str, authenticator: Authenticator, refusals: Refusals) -> None:
        self.name = name
        self.cached = authenticator.cached
        self.verify = authenticator.verify
        self._refusals = refusals

    def unauthenticated(self, fault: AuthenticationFault) -> Refusal:
        """The 401 of the API, with the reason."""
        return _denied(self._refusals.unauthenticated[fault], fault.value)

    def forbidden(self, decision: Decision) -> Refusal:
        """The 403 of the API, with the reason."""
        return _denied(self._refusals.forbidden(decision.scope), str(decision.reason))

    def unavailable(self, fault: CannotVerify | CannotDecide) -> Refusal:
        """A 403 with the time after which to retry."""
        return _later(fault.detail, fault.retry_after)


class ForwardAuth:
    """The endpoints `/gateway/<profile>`, at which gateways ask for decisions."""

    def __init__(
        self,
        live: LivePolicy,
        authenticator: Authenticator,
        refusals: Refusals,
        gateways: GatewayAuthenticator,
        log: DecisionLog,
        *,
        proxies: TrustedProxies,
        budgets: Budgets,
        public_url: str | None,
        metadata_url: Callable[[str, str], str],
    ) -> None:
        """`metadata_url` says where the metadata of a resource is, from the public URL and the resource."""
        self._live = live
        self._public_url = public_url
        self._metadata_url = metadata_url
        self._enforcement = Enforcement(live, log)
        self._authenticator = authenticator
        self._entrances = {
            profile.name: GatewayEntrance(profile.name, authenticator, refusals) for profile in PROFILES.values()
        }
        self._refusals = refusals
        self._gateways = gateways
        self._proxies = proxies
        self._budgets = budgets
        self._identity_headers: dict[_IdentityKey, tuple[tuple[bytes, bytes], ...]] = {}
        self._warned_at = -_WARN_SECONDS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a gateway."""
        scope["path_template"] = TEMPLATE
        name, slash, rest = scope["raw_path"][len(PREFIX) :].partition(b"/")
        profile = PROFILES.get(name.decode("latin-1"))
        try:
            answer = await self._answer(scope, profile, slash + rest)
        except Exception:  # noqa: BLE001  # any error is a denial
            _log.exception("a request of a gateway failed; denied")
            answer = _denied(refusal(403, FAILED), FAILED)
        if profile and profile.drops_bodies and answer.status != 200:
            answer = Refusal(answer.status, (*answer.headers, (b"x-auth-body", answer.body)), answer.body)
        await answer.send(scope, receive, send)

    async def _answer(self, scope: Scope, profile: Profile | None, rest: bytes) -> Refusal:
        started = perf_counter_ns()
        client = scope.get("client")
        if not self._gateways.is_authentic(scope["headers"], client[0] if client else None):
            self._warn(client[0] if client else None)
            return _denied(refusal(403, UNAUTHENTICATED_GATEWAY), UNAUTHENTICATED_GATEWAY)
        if profile is None:
            return _denied(refusal(403, UNKNOWN_PROFILE), UNKNOWN_PROFILE)
        if scope["type"] != HTTP:
            return _denied(refusal(403, UPGRADE), UPGRADE)
        if rest:
            rest += b"?" + scope["query_string"]
        try:
            original = profile.read(scope["headers"], scope["method"].encode(), rest)
        except AmbiguousRequest as fault:
            return _denied(self._refusals.ambiguous(str(fault)), str(fault))
        scope.setdefault("state", {})["asked"] = f"{original.method} {_resource(original)}"
        snapshot = self._live.active
        template = snapshot.table.resolve(original.path, original.service) or ""  # which no rule matches

        def context(_: Scope, principal: Principal, snapshot: Snapshot, template: str, __: str) -> Context:
            return _context(original, principal, snapshot, template, self._proxies)

        def count_failure(_: Scope) -> Refusal | None:
            # By the address of the client: the peer is the gateway.
            wait = self._budgets.spend_bad_credentials(self._proxies.client_behind(original.hops))
            return _later(TOO_MANY, wait) if wait else None

        upstreams = snapshot.policy.services if original.service else ()
        servers = next((each.servers for each in upstreams if each.service == original.service), ())

        def is_covered(resource: str, _: Scope) -> bool:
            return covers_upstream(resource, servers, self._public_url, unquote(original.path))

        gate = Gate(
            self._entrance(profile, servers, original.path),
            context,
            count_failure,
            is_covered,
            snapshot,
            None if template else _no_template(original, snapshot),
        )
        # Not the path if there is no template: a caller could fill the decision log with different paths.
        refused = self._enforcement.enforce(gate, scope, (template, original.method), started)
        if isinstance(refused, Coroutine):
            refused = await refused
        if refused is not None:
            return refused
        return Refusal(200, self._identity(scope["user"], snapshot), b"")

    def _entrance(self, profile: Profile, servers: Sequence[str], path: str) -> GatewayEntrance:
        """The entrance of a profile, whose challenges name the metadata of the server that a request is for."""
        if not servers or self._public_url is None:
            return self._entrances[profile.name]
        resource = resource_of_upstream(servers, self._public_url, path)
        refusals = self._refusals.with_metadata(self._metadata_url(self._public_url, resource))
        return GatewayEntrance(profile.name, self._authenticator, refusals)

    def _identity(self, principal: Principal, snapshot: Snapshot) -> tuple[tuple[bytes, bytes], ...]:
        """The headers that identify the caller to the upstream service."""
        # The principal itself as key would keep all its claims in memory.
        key = (snapshot.revision, principal.subject, principal.method, principal.held, principal.key_id)
        headers = self._identity_headers.get(key)
        if headers is None:
            held = principal.held
            if len(held) > _MAX_GRANTS or sum(map(len, held)) > _MAX_CHARACTERS:
                return _identity(principal, snapshot)
            if len(self._identity_headers) >= _MAX_CACHED:
                self._identity_headers.clear()
            headers = self._identity_headers[key] = _identity(principal, snapshot)
        return headers

    def _warn(self, peer: str | None) -> None:
        """Rate-limited: any client that reaches this door could fill the log."""
        if (now := time.monotonic()) - self._warned_at >= _WARN_SECONDS:
            self._warned_at = now
            _log.warning("a gateway is not authenticated; see AUTHZ_GATEWAY_SECRETS", peer=peer)


def with_gateways(app: ASGIApp, gateways: ForwardAuth) -> ASGIApp:
    """The application, with the endpoints of gateways in front of it."""

    def dispatch(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        # The lifespan scope has no path.
        return (gateways if (scope.get("raw_path") or b"").startswith(PREFIX) else app)(scope, receive, send)

    return dispatch


def _no_template(original: OriginalRequest, snapshot: Snapshot) -> Reason:
    """The reason why a path matches no route."""
    if original.service and all(upstream.service != original.service for upstream in snapshot.policy.services):
        return Reason.NO_SERVICE
    return Reason.CLOSED if snapshot.table.is_closed(original.path, original.service) else Reason.NO_ROUTE


def _denied(answer: Refusal, reason: str) -> Refusal:
    """A denial with the reason of the decision log in a header: its body is the same for many reasons."""
    return Refusal(answer.status, (*answer.headers, (REASON, reason.encode("ascii"))), answer.body)


def _later(detail: str, seconds: int) -> Refusal:
    """A denial with the seconds to wait, in place of the 429 or 503 of the application."""
    return _denied(refusal(403, detail, (b"retry-after", str(seconds).encode())), detail)


def _identity(principal: Principal, snapshot: Snapshot) -> tuple[tuple[bytes, bytes], ...]:
    effective = snapshot.effective(principal.held)
    # Only known permissions: any other in a token grants nothing, and could be any text.
    permissions = " ".join(sorted(effective & snapshot.policy.catalog.keys()))
    means: list[tuple[bytes, bytes]] = []
    if principal.key_id is not None:
        means.append((b"x-auth-key-id", str(principal.key_id).encode()))
    if principal.client_id is not None:
        means.append((b"x-auth-client", quote(principal.client_id, safe=_UNQUOTED).encode()))
    if principal.organization is not None:
        means.append((b"x-auth-organization", quote(principal.organization.id, safe=_UNQUOTED).encode()))
    return (
        (b"x-auth-subject", quote(principal.subject, safe=_UNQUOTED).encode()),
        (b"x-auth-method", principal.method.encode()),
        (b"x-auth-permissions", permissions.encode()),
        (b"x-auth-revision", snapshot.revision.encode()),
        *means,
        (b"cache-control", b"no-store"),
        (b"content-length", b"0"),
    )


def _context(
    original: OriginalRequest, principal: Principal, snapshot: Snapshot, template: str, proxies: TrustedProxies
) -> Context:
    return LazyContext(
        subject=lambda: subject_of(principal, snapshot.effective(principal.held)),
        resource=lambda: {"type": "route", "id": template, "properties": {}},
        action=lambda: {"name": original.method, "properties": {}},
        request=lambda: _request(original, proxies),
        params=lambda: _params(original, template),
    )


def _request(original: OriginalRequest, proxies: TrustedProxies) -> Request:
    request: Request = {"time": datetime.now(UTC), "method": original.method, "path": unquote(original.path)}
    if (address := proxies.client_behind(original.hops)) is not None:
        request["ip"] = address
    return request


def _params(original: OriginalRequest, template: str) -> Mapping[str, str]:
    return {name: unquote(value) for name, value in params_of(template, _resource(original)).items()}


def _resource(original: OriginalRequest) -> str:
    return f"{original.service}:{original.path}" if original.service else original.path
