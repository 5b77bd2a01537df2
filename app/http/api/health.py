"""Health checks: liveness and readiness."""

from __future__ import annotations

import asyncio
import contextvars
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from litestar import Response
from litestar.openapi.datastructures import ResponseSpec
from sqlalchemy.exc import SQLAlchemyError

from app.audit.record import time_of
from app.db.session import Sessions, answers
from app.http.door.draining import draining
from app.http.wire.handlers import get_or_head
from app.identity.jwks import KeySet
from app.services import AnyRequest, Services, services_of

_DROPPING_SECONDS = 60.0  # after a loss of decisions
_REFUSED_SECONDS = 60  # after a SIEM did not accept a record
_DATABASE_SECONDS = 0.5  # a health check does not wait for long
Status = Literal["ready", "degraded", "not ready", "draining"]


class DatabaseProbe:
    """Checks whether the database answers, with one query for all concurrent callers."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._query: asyncio.Task[str] | None = None

    async def error(self) -> str:
        """The name of the error; empty if the database answers."""
        # A query may hang longer than a caller waits; the next caller then waits for the same query.
        query = self._query
        if query is None or query.done():
            # A new context: the query does not belong to a single request.
            query = self._query = asyncio.create_task(self._error_of_query(), context=contextvars.Context())
        # Meanwhile another caller may replace `self._query`.
        done, _ = await asyncio.wait({query}, timeout=_DATABASE_SECONDS)
        return query.result() if done else TimeoutError.__name__

    async def _error_of_query(self) -> str:
        try:
            await answers(self._sessions)
        except (SQLAlchemyError, OSError) as error:
            return type(error).__name__
        return ""


@dataclass(frozen=True, slots=True)
class Liveness:
    """The process is alive."""

    status: Literal["ok"] = "ok"


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the process can serve, and the result of each check."""

    status: Status
    checks: dict[str, dict[str, Any]]


@get_or_head("/healthz", summary="Is the process alive?", tags=["health"])
async def check_liveness() -> Liveness:
    """Always `ok`: restart the process if it does not answer."""
    return Liveness()


@get_or_head(
    "/readyz",
    summary="Can it serve?",
    tags=["health"],
    responses={
        200: ResponseSpec(Readiness, description="The process serves requests", generate_examples=False),
        503: ResponseSpec(Readiness, description="No request can be served", generate_examples=False),
    },
)
async def check_readiness(request: AnyRequest) -> Response[Readiness]:
    """503 if no request can be served: the policy is suspended, no credential can be verified, or it is draining.

    Without the database, or without the signing keys of an issuer, the status is `degraded` with 200: callers with
    another kind of credential are served, and other replicas are in the same state. The same applies if the disk of
    the database is full or almost full, which `database` reports as `disk`, for a minute after the decision log lost
    decisions, and while a SIEM does not get the logs. Decisions that were deleted since the log was too large are
    reported, and change no status.
    """
    services = services_of(request.app)
    checks = {"database": await _database(services), "key_set": _key_sets(services), "policy": _policy(services)}
    checks["decision_log"] = _decision_log(services)
    if services.siem.deliveries:
        checks["siem"] = _siem(services)
    # A JWT needs the signing keys of its issuer, an API key the database.
    verifies = checks["database"]["ok"] or any(each.keys.ready for each in services.issuers.verifiers)
    ready = verifies and checks["policy"]["ok"] and not draining.begun
    complete = all(each["ok"] for each in checks.values()) and "disk" not in checks["database"]
    serving_status: Status = "ready" if complete else "degraded"
    status: Status = "draining" if draining.begun else serving_status if ready else "not ready"
    return Response(Readiness(status, checks), status_code=200 if ready else 503, headers={"Cache-Control": "no-store"})


async def _database(services: Services) -> dict[str, Any]:
    error, shortage = await services.database_probe.error(), services.disk.shortage
    return {"ok": not error, **({"error": error} if error else {}), **({"disk": shortage} if shortage else {})}


def _key_sets(services: Services) -> dict[str, Any]:
    """The key set of the only issuer, or all key sets together and each by itself."""
    reports = {each.issuer.name: _key_set(each.keys) for each in services.issuers.verifiers}
    if len(reports) == 1:
        return next(iter(reports.values()))
    ages = [report["age_seconds"] for report in reports.values()]
    return {
        "ok": all(report["ok"] for report in reports.values()),
        "age_seconds": None if None in ages else max(ages, default=None),
        "error": next((f"{name}: {report['error']}" for name, report in reports.items() if report["error"]), None),
        "ignored": [f"{name}: {text}" for name, report in reports.items() for text in report["ignored"]],
        "issuers": reports,
    }


def _key_set(keys: KeySet) -> dict[str, Any]:
    age = keys.age_seconds
    return {
        "ok": keys.ready,
        "age_seconds": None if age is None else round(age),
        "error": keys.last_error,
        "ignored": list(keys.ignored.texts),
    }


def _decision_log(services: Services) -> dict[str, Any]:
    health, deletion = services.decision_log.health, services.log_size.last_deletion
    last = None if health.last_drop_at is None else time_of(health.last_drop_at)
    return {
        "ok": health.error is None and (last is None or (datetime.now(UTC) - last).total_seconds() > _DROPPING_SECONDS),
        "dropped": {name: each.dropped for name, each in health.classes.items()},
        "last_drop": last,
        "deleted": {name: size.deleted for name, size in services.log_size.numbers.items()},
        "last_deletion": None if deletion is None else time_of(deletion.deleted_at),
    }


def _siem(services: Services) -> dict[str, Any]:
    """The deliveries that fail, are behind, or were refused records."""
    now = time.time_ns() // 1000
    found: dict[str, Any] = {"ok": True}
    for (destination, log), status in services.siem.statuses.items():
        cursor = status.cursor
        is_refused = cursor.refused_at is not None and now - cursor.refused_at < _REFUSED_SECONDS * 1_000_000
        if cursor.error or is_refused:
            found["ok"] = False
        found.setdefault(destination, {})[log] = {
            "pending": status.pending,
            "lag_seconds": None if status.lag_seconds is None else round(status.lag_seconds, 1),
            "error": cursor.error or None,
            "refused": cursor.refused,
            "missed": cursor.missed,
        }
    return found


def _policy(services: Services) -> dict[str, Any]:
    # A refused policy or a lost contact to the database is reported here, but does not make the process unready: the
    # last good policy stays active until it is suspended.
    follower = services.follower
    cases = services.case_watch.report
    return {
        "ok": not services.live.suspended,
        "revision": services.live.active.revision,
        "newest": follower.head.revision if follower.head else None,
        "contact_age_seconds": round(services.replica.contact_age, 1),
        "newest_refused": follower.refused is not None,
        "last_reload_refused": services.live.refused is not None,
        "files_lag": bool(follower.behind),
        "failing_cases": None if cases is None else cases.failed + cases.not_run,
    }
