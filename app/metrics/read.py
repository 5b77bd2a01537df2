"""Collects the values of the metrics from the components of a process."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

from app import __version__
from app.audit.deletions import LogSize
from app.audit.log import DecisionLog
from app.audit.tally import UNAVAILABLE, Series, Tally
from app.db.sealing import Sealer
from app.history.publish import OUTCOMES, Publisher
from app.identity.access_token_verifier import AccessTokenVerifier
from app.identity.errors import REASON_CODES, AuthenticationFault
from app.identity.issuers import IssuerRegistry
from app.identity.jwk import IgnoredReason
from app.identity.key_verifier import ApiKeyVerifier
from app.identity.token_cache import TokenCache
from app.log_stream import LogStream
from app.metrics.requests import Requests, status_class
from app.metrics.values import Histogram, Values
from app.policy.analysis.case_watch import CaseWatch
from app.policy.engine.live import LivePolicy
from app.siem.export import SiemExport

_FAULTS = tuple(word for reason, word in REASON_CODES.items() if reason != AuthenticationFault.NOT_PROVIDED)
_DECISIONS = "authz_decisions_total"
_UNKNOWN_CALLERS = "authz_authentication_failures_total"


@dataclass(frozen=True, slots=True)
class MetricSources:
    """The components that count. They count on the event loop, and are read there."""

    decision_log: DecisionLog
    log_size: LogSize
    siem: SiemExport
    sealer: Sealer
    requests: Requests
    lookups: Tally
    lag: Series
    issuers: IssuerRegistry
    tokens: TokenCache
    verifier: ApiKeyVerifier
    apps: AccessTokenVerifier
    live: LivePolicy
    publisher: Publisher
    case_watch: CaseWatch
    engine: AsyncEngine
    refused: Mapping[str, int]  # refusals by budget
    refused_by_server: Mapping[str, int]  # refusals by reason
    log_stream: LogStream

    def add_up(self) -> Iterator[None]:
        """Add up the recent durations, which frees their memory, and yield between steps."""
        for tally in (self.decision_log.outcomes, self.requests, self.lookups, self.lag):
            yield from tally.add_up()


def read(sources: MetricSources, misses_before: int) -> Values:
    """The current values. `misses_before` is the number of cache misses under the policies before the active one."""
    values = Values()
    _decisions(values, sources)
    _requests(values, sources)
    _policy(values, sources)
    _keys(values, sources)
    _caches(values, sources, misses_before)
    _decision_log(values, sources)
    for log, seconds in sources.sealer.unsealed_seconds.items():
        values.set("authz_log_unsealed_seconds", seconds, log)
    _siem(values, sources.siem)
    _database(values, sources)
    for budget, count in sources.refused.items():
        values.set("authz_budget_refusals_total", count, budget)
    for reason, count in sources.refused_by_server.items():
        values.set("authz_server_refusals_total", count, reason)
    values.set("authz_log_lines_dropped_total", sources.log_stream.dropped)
    values.add("authz_event_loop_lag_seconds", Histogram(*sources.lag.added_up()))
    values.set("authz_build_info", 1, __version__, platform.python_version())
    return values


def _decisions(values: Values, sources: MetricSources) -> None:
    by_door: dict[str, Histogram] = {}
    unknown = {("app", fault): 0 for fault in (*_FAULTS, UNAVAILABLE)}
    for (resource, door, verdict, reason), total, bits in sources.decision_log.outcomes.added_up():
        histogram = Histogram(total, bits)
        values.set(_DECISIONS, histogram.count, resource, door, verdict, reason)
        by_door.setdefault(door, Histogram()).add(histogram)
        if reason in _FAULTS or reason == UNAVAILABLE:
            unknown[door, reason] = unknown.get((door, reason), 0) + histogram.count
    for (door, fault), count in unknown.items():
        values.set(_UNKNOWN_CALLERS, count, door, fault)
    for client_id, allowed, count in sources.decision_log.apps:
        values.set("authz_app_decisions_total", count, client_id, "allow" if allowed else "deny")
    for door, histogram in by_door.items():
        values.add("authz_decision_duration_seconds", histogram, door)


def _requests(values: Values, sources: MetricSources) -> None:
    by_class: dict[tuple[str, str], Histogram] = {}
    for (route, code), total, bits in sources.requests.added_up():
        histogram = Histogram(total, bits)
        values.set("authz_http_requests_total", histogram.count, route, code)
        by_class.setdefault((route, status_class(code)), Histogram()).add(histogram)
    for labels, histogram in by_class.items():
        values.add("authz_http_request_duration_seconds", histogram, *labels)


def _policy(values: Values, sources: MetricSources) -> None:
    live = sources.live
    values.set("authz_policy_info", 1, live.active.revision)
    values.set("authz_policy_age_seconds", (datetime.now(UTC) - live.since).total_seconds())
    values.set("authz_policy_refused", live.refused is not None)
    if (cases := sources.case_watch.report) is not None:
        values.set("authz_policy_failing_cases", cases.failed + cases.not_run)
    for outcome, count in live.reloads.items():
        values.set("authz_policy_reloads_total", count, outcome)
    for kind in ("publish", "rollback"):
        for result in OUTCOMES:
            values.set("authz_policy_publishes_total", sources.publisher.outcomes[kind, result], kind, result)


def _keys(values: Values, sources: MetricSources) -> None:
    for each in sources.issuers.verifiers:
        name, keys = each.issuer.name, each.keys
        if (age := keys.age_seconds) is not None:
            values.set("authz_key_set_age_seconds", age, name)
        values.set("authz_key_set_usable", keys.ready, name)
        values.set("authz_key_set_keys", keys.count, name)
        for reason in IgnoredReason:
            values.set("authz_key_set_ignored_keys", keys.ignored.counts.get(reason, 0), name, reason)
        started, failed = keys.fetches
        values.set("authz_key_set_fetches_total", started, name)
        values.set("authz_key_set_fetch_failures_total", failed, name)


def _caches(values: Values, sources: MetricSources, misses_before: int) -> None:
    tokens, verifier, apps = sources.tokens, sources.verifier, sources.apps.cache
    looked_up = 0
    for labels, total, bits in sources.lookups.added_up():
        histogram = Histogram(total, bits)
        looked_up += histogram.count
        values.add("authz_key_lookup_duration_seconds", histogram, *labels)
    values.set("authz_cache_hits_total", tokens.hits, "tokens")
    values.set("authz_cache_hits_total", verifier.cache.hits, "keys")
    values.set("authz_cache_hits_total", apps.hits, "apps")
    values.set("authz_cache_misses_total", tokens.misses, "tokens")
    values.set("authz_cache_misses_total", apps.misses, "apps")
    values.set("authz_cache_misses_total", looked_up, "keys")
    values.set("authz_cache_misses_total", misses_before + sources.live.active.misses, "decisions")
    values.set("authz_cache_entries", len(tokens), "tokens")
    values.set("authz_cache_entries", len(verifier.cache), "keys")
    values.set("authz_cache_entries", len(apps), "apps")


def _decision_log(values: Values, sources: MetricSources) -> None:
    health = sources.decision_log.health
    for name, each in health.classes.items():
        values.set("authz_decision_log_queued", each.queued, name)
        values.set("authz_decision_log_capacity", each.capacity, name)
        values.set("authz_decision_log_dropped_total", each.dropped, name)
    for name, size in sources.log_size.numbers.items():
        values.set("authz_decision_log_bytes", size.byte_count, name)
        if size.max_bytes:
            values.set("authz_decision_log_max_bytes", size.max_bytes, name)
        values.set("authz_decision_log_deleted_total", size.deleted, name)
    values.set("authz_decision_log_written_total", health.written)
    values.set("authz_decision_log_write_failures_total", health.failures)
    values.set("authz_decision_log_sampled_out_total", health.sampled_out)


def _siem(values: Values, siem: SiemExport) -> None:
    for delivery in siem.deliveries:
        name = delivery.destination.name, delivery.log.name
        counts = delivery.counts
        values.set("authz_siem_delivered_total", counts.delivered, *name)
        values.set("authz_siem_refused_total", counts.refused, *name)
        values.set("authz_siem_missed_total", counts.missed, *name)
        values.set("authz_siem_failures_total", counts.failures, *name)
        if (status := siem.statuses.get(name)) is not None:
            values.set("authz_siem_pending", status.pending, *name)
            values.set("authz_siem_lag_seconds", status.lag_seconds or 0.0, *name)


def _database(values: Values, sources: MetricSources) -> None:
    pool = sources.engine.pool
    if isinstance(pool, QueuePool):
        values.set("authz_database_pool_size", pool.size())
        values.set("authz_database_pool_checked_out", pool.checkedout())
        # Negative until the pool has reached its size.
        values.set("authz_database_pool_overflow", max(pool.overflow(), 0))
