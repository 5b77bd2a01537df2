"""Forward-auth: a gateway asks before it lets a request through to a service that knows nothing of the policy.

Plain ASGI in front of the application, since a gateway asks about any method and any path, and must always get one of
three answers: 200, 401 or 403. nginx makes a 500 of anything else. All that goes wrong is a denial.
"""

from __future__ import annotations

import string
import time
from collections.abc import Awaitable, Mapping
from datetime import UTC, datetime
from time import perf_counter_ns
from urllib.parse import quote, unquote

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from app.audit.log import DecisionLog
from app.gateway.profiles import PROFILES, NotPlain, OriginalRequest, Profile
from app.gateway.proof import Proof
from app.gateway.proxies import TrustedProxies
from app.http.door.budgets import TOO_MANY, Budgets
from app.http.door.enforcement import Enforcement
from app.http.door.refusal import Refusal, Refusals, refusal
from app.identity.authenticate import Authenticator
from app.identity.errors import AuthenticationFault, CannotVerify
from app.identity.principal import Principal
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
TEMPLATE = "/gateway/{profile}"  # by which requests are counted, whatever path was asked about
UNPROVEN = "This gateway has not proven itself."
UNKNOWN = "There is no such gateway profile."
UPGRADED = "A gateway asks by a plain request: remove `Upgrade` from what it sends here."
FAILED = "The request could not be decided."

_MAX_REMEMBERED = 2_000  # callers, each with some hundred bytes
_MAX_GRANTS, _MAX_CHARACTERS = 200, 8_000  # of a caller who is remembered, so that all together stay small
_WARN_SECONDS = 60.0
# With letters and digits, all of visible ASCII but `%`. No value can end a header, and a blank at an end would be cut
# off on the way.
_PLAIN = string.punctuation.replace("%", "")
_Who = tuple[str, str, str, frozenset[str], int | None]
_log = structlog.stdlib.get_logger("gateway")


class GatewayEntrance:
    """The entrance of a profile: the API's credentials, and refusals that a gateway understands."""

    def __init__(self, name: str, authenticator: Authenticator, refusals: Refusals) -> None:
        self.name = name
        self.cached = authenticator.cached
        self.verify = authenticator.verify
        self._refusals = refusals

    def unauthenticated(self, fault: AuthenticationFault) -> Refusal:
        """The 401 of the API."""
        return _denied(self._refusals.unauthenticated[fault], fault.value)

    def forbidden(self, decision: Decision) -> Refusal:
        """The 403 of the API."""
        return _denied(self._refusals.forbidden(decision.missing), str(decision.reason))

    def unavailable(self, fault: CannotVerify | CannotDecide) -> Refusal:
        """A denial for now."""
        return _later(fault.detail, fault.retry_after)


class ForwardAuth:
    """The doors `/gateway/<profile>`, the PEPs of other programs."""

    def __init__(
        self,
        live: LivePolicy,
        authenticator: Authenticator,
        refusals: Refusals,
        proof: Proof,
        log: DecisionLog,
        *,
        proxies: TrustedProxies,
        budgets: Budgets,
    ) -> None:
        self._live = live
        self._enforcement = Enforcement(live, log)
        self._entrances = {
            profile.name: GatewayEntrance(profile.name, authenticator, refusals) for profile in PROFILES.values()
        }
        self._refusals = refusals
        self._proof = proof
        self._proxies = proxies
        self._budgets = budgets
        self._identities: dict[_Who, tuple[tuple[bytes, bytes], ...]] = {}
        self._warned_at = -_WARN_SECONDS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a gateway."""
        scope["path_template"] = TEMPLATE
        name, slash, rest = scope["raw_path"][len(PREFIX) :].partition(b"/")
        profile = PROFILES.get(name.decode("latin-1"))
        try:
            answer = await self._answer(scope, profile, slash + rest)
        except Exception:  # noqa: BLE001  # whatever it is, a gateway must get its denial
            _log.exception("a gateway's question failed; denied")
            answer = _denied(refusal(403, FAILED), FAILED)
        if profile and profile.name == "nginx" and answer.status != 200:
            # Its auth_request keeps the headers of an answer and drops the body.
            answer = Refusal(answer.status, (*answer.headers, (b"x-auth-body", answer.body)), answer.body)
        await answer.send(scope, receive, send)

    async def _answer(self, scope: Scope, profile: Profile | None, rest: bytes) -> Refusal:
        started = perf_counter_ns()
        client = scope.get("client")
        if not self._proof.believes(scope["headers"], client[0] if client else None):
            self._warn(client[0] if client else None)
            return _denied(refusal(403, UNPROVEN), UNPROVEN)
        if profile is None:
            return _denied(refusal(403, UNKNOWN), UNKNOWN)
        if scope["type"] != ScopeType.HTTP:
            return _denied(refusal(403, UPGRADED), UPGRADED)
        if rest:
            rest += b"?" + scope["query_string"]
        try:
            original = profile.read(scope["headers"], scope["method"].encode(), rest)
        except NotPlain as fault:
            return _denied(self._refusals.not_plain(str(fault)), str(fault))
        scope.setdefault("state", {})["asked"] = f"{original.method} {_resource(original)}"
        snapshot = self._live.active
        template = snapshot.table.resolve(original.path, original.service) or ""  # which no rule names

        def context(_: Scope, principal: Principal, snapshot: Snapshot, template: str, __: str) -> Context:
            return _context(original, principal, snapshot, template, self._proxies)

        def beyond_budget(_: Scope) -> Refusal | None:
            # By the address of the client: the gateway itself is the peer of all of them.
            wait = self._budgets.spend_bad_credentials(self._proxies.client_behind(original.hops))
            return _later(TOO_MANY, wait) if wait else None

        refused = await self._enforcement.enforce(
            self._entrances[profile.name],
            scope,
            # A path on no table is not kept in the log: a caller can name any number of them.
            template,
            original.method,
            context=context,
            beyond_budget=beyond_budget,
            started=started,
            snapshot=snapshot,
            unmatched=None if template else _no_template(original, snapshot),
        )
        if refused is not None:
            return refused
        return Refusal(200, self._identity(scope["user"], snapshot), b"")

    def _identity(self, principal: Principal, snapshot: Snapshot) -> tuple[tuple[bytes, bytes], ...]:
        """The headers that tell the upstream who is calling."""
        # Not by the principal itself, which keeps all of its claims.
        key = (snapshot.revision, principal.subject, principal.method, principal.held, principal.key_id)
        found = self._identities.get(key)
        if found is None:
            held = principal.held
            if len(held) > _MAX_GRANTS or sum(map(len, held)) > _MAX_CHARACTERS:
                return _identity(principal, snapshot)
            if len(self._identities) >= _MAX_REMEMBERED:
                self._identities.clear()
            found = self._identities[key] = _identity(principal, snapshot)
        return found

    def _warn(self, peer: str | None) -> None:
        """Rate-limited: any client that reaches this door could fill the log."""
        if (now := time.monotonic()) - self._warned_at >= _WARN_SECONDS:
            self._warned_at = now
            _log.warning("a gateway has not proven itself; see AUTHZ_GATEWAY_SECRETS", peer=peer)


def with_gateways(app: ASGIApp, gateways: ForwardAuth) -> ASGIApp:
    """The application, with the doors of gateways in front."""

    def dispatch(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        # A lifespan has no path.
        return (gateways if (scope.get("raw_path") or b"").startswith(PREFIX) else app)(scope, receive, send)

    return dispatch


def _no_template(original: OriginalRequest, snapshot: Snapshot) -> Reason:
    """Why a path is none of a route."""
    if original.service and all(upstream.service != original.service for upstream in snapshot.policy.services):
        return Reason.NO_SERVICE
    return Reason.CLOSED if snapshot.table.is_closed(original.path, original.service) else Reason.NO_ROUTE


def _denied(answer: Refusal, reason: str) -> Refusal:
    """A denial that also says why in the words of the decision log, where the contract's body says the same of many."""
    return Refusal(answer.status, (*answer.headers, (REASON, reason.encode("ascii"))), answer.body)


def _later(detail: str, seconds: int) -> Refusal:
    """A denial for now, where the application says 429 or 503, with the seconds after which to ask again."""
    return _denied(refusal(403, detail, (b"retry-after", str(seconds).encode())), detail)


def _identity(principal: Principal, snapshot: Snapshot) -> tuple[tuple[bytes, bytes], ...]:
    effective = snapshot.effective(principal.held)
    # Those of the catalogue alone: what else a token states grants nothing, and could be any text.
    permissions = " ".join(sorted(effective & snapshot.policy.catalog.keys()))
    key = ((b"x-auth-key-id", str(principal.key_id).encode()),) if principal.key_id is not None else ()
    return (
        (b"x-auth-subject", quote(principal.subject, safe=_PLAIN).encode()),
        (b"x-auth-method", principal.method.encode()),
        (b"x-auth-permissions", permissions.encode()),
        (b"x-auth-revision", snapshot.revision.encode()),
        *key,
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
