"""All metrics: name, kind, labels and description.

A test compares the table in scripts/observability/README.md with this one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric. The buckets of a histogram end at 2**n nanoseconds, for each n of `bits`."""

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()
    bits: range = range(0)


# From a microsecond to a second, and from an eighth of a millisecond to eight seconds.
_SHORT, _LONG = range(10, 31), range(17, 34)

_ALL = (
    Metric(
        "authz_decisions_total",
        "counter",
        "Decisions, and callers whose credentials were bad, at every door.",
        ("resource", "door", "verdict", "reason"),
    ),
    Metric(
        "authz_app_decisions_total",
        "counter",
        "Decisions about third-party apps on behalf of users; `other` are those beyond 200 apps.",
        ("app", "verdict"),
    ),
    Metric(
        "authz_authentication_failures_total",
        "counter",
        "Callers who could not be identified, by the fault of their credentials.",
        ("door", "fault"),
    ),
    Metric(
        "authz_decision_duration_seconds",
        "histogram",
        "Time from a door's first look at a request to its verdict.",
        ("door",),
        _SHORT,
    ),
    Metric("authz_http_requests_total", "counter", "Requests that were answered.", ("route", "code")),
    Metric(
        "authz_http_request_duration_seconds",
        "histogram",
        "Time from a request's headers to the end of its answer.",
        ("route", "class"),
        _LONG,
    ),
    Metric("authz_policy_info", "gauge", "1 for the active policy.", ("revision",)),
    Metric("authz_policy_age_seconds", "gauge", "Time since the active policy became active."),
    Metric("authz_policy_refused", "gauge", "1 while the policy's files have a fault and the last good policy serves."),
    Metric(
        "authz_policy_failing_cases",
        "gauge",
        "Test cases of the active policy that fail; absent until they have run.",
    ),
    Metric("authz_policy_reloads_total", "counter", "Reloads of the policy.", ("outcome",)),
    Metric("authz_policy_publishes_total", "counter", "Policies published and rolled back.", ("kind", "outcome")),
    Metric(
        "authz_key_set_age_seconds",
        "gauge",
        "Age of an issuer's signing keys; absent before the first ones.",
        ("issuer",),
    ),
    Metric("authz_key_set_usable", "gauge", "1 while there are signing keys to verify tokens with.", ("issuer",)),
    Metric("authz_key_set_keys", "gauge", "Signing keys that can be used.", ("issuer",)),
    Metric(
        "authz_key_set_ignored_keys",
        "gauge",
        "Published keys that are not used, by the reason.",
        ("issuer", "reason"),
    ),
    Metric("authz_key_set_fetches_total", "counter", "Fetches of the signing keys that were started.", ("issuer",)),
    Metric("authz_key_set_fetch_failures_total", "counter", "Fetches of the signing keys that failed.", ("issuer",)),
    Metric(
        "authz_cache_hits_total",
        "counter",
        "Callers found in a cache, without a lookup or a signature check.",
        ("cache",),
    ),
    Metric("authz_cache_misses_total", "counter", "What had to be looked up, verified or computed.", ("cache",)),
    Metric("authz_cache_entries", "gauge", "Entries in the cache.", ("cache",)),
    Metric(
        "authz_key_lookup_duration_seconds", "histogram", "Look-ups of API keys in the database.", ("outcome",), _LONG
    ),
    Metric("authz_budget_refusals_total", "counter", "Requests refused because a budget was spent.", ("budget",)),
    Metric(
        "authz_server_refusals_total",
        "counter",
        "Requests that the server refused or ended before the application had them, and connections for which no file "
        "descriptor was left.",
        ("reason",),
    ),
    Metric("authz_decision_log_queued", "gauge", "Decisions that wait to be written.", ("class",)),
    Metric(
        "authz_decision_log_capacity", "gauge", "Decisions that may wait; with more of them the log drops.", ("class",)
    ),
    Metric("authz_decision_log_written_total", "counter", "Decisions written."),
    Metric(
        "authz_decision_log_dropped_total",
        "counter",
        "Decisions lost: the queue was full, or writing failed.",
        ("class",),
    ),
    Metric("authz_decision_log_bytes", "gauge", "About how many bytes of the database decisions take.", ("class",)),
    Metric(
        "authz_decision_log_max_bytes",
        "gauge",
        "Bytes that decisions may take; above them the oldest are deleted.",
        ("class",),
    ),
    Metric(
        "authz_decision_log_deleted_total",
        "counter",
        "Decisions deleted because the log was too large.",
        ("class",),
    ),
    Metric("authz_decision_log_write_failures_total", "counter", "Attempts to write decisions that failed."),
    Metric("authz_decision_log_sampled_out_total", "counter", "Allows that sampling left out."),
    Metric(
        "authz_log_unsealed_seconds",
        "gauge",
        "Time since the process knows of the oldest rows of a log that the hash chain does not cover.",
        ("log",),
    ),
    Metric("authz_siem_pending", "gauge", "Records that a SIEM does not have yet, at most.", ("destination", "log")),
    Metric(
        "authz_siem_lag_seconds",
        "gauge",
        "Age of the oldest record that a SIEM does not have; 0 if it has all.",
        ("destination", "log"),
    ),
    Metric("authz_siem_delivered_total", "counter", "Records delivered to a SIEM.", ("destination", "log")),
    Metric("authz_siem_refused_total", "counter", "Records that a SIEM did not accept.", ("destination", "log")),
    Metric(
        "authz_siem_missed_total",
        "counter",
        "Records deleted before they were delivered, as was reported to a SIEM.",
        ("destination", "log"),
    ),
    Metric("authz_siem_failures_total", "counter", "Deliveries to a SIEM that failed.", ("destination", "log")),
    Metric("authz_log_lines_dropped_total", "counter", "Log lines lost: too many were waiting, or writing failed."),
    Metric("authz_database_pool_size", "gauge", "Connections to the database that are kept."),
    Metric("authz_database_pool_checked_out", "gauge", "Connections to the database in use."),
    Metric("authz_database_pool_overflow", "gauge", "Connections in use beyond those that are kept."),
    Metric("authz_event_loop_lag_seconds", "histogram", "How late the event loop is, four times a second.", (), _LONG),
    Metric("authz_worker_silent_seconds", "gauge", "Time since a worker last reported; only with several workers."),
    Metric("authz_build_info", "gauge", "1, with the version.", ("version", "python")),
    Metric("process_cpu_seconds_total", "counter", "Processor time spent, user's and system's."),
    Metric("process_resident_memory_bytes", "gauge", "Memory in use."),
    Metric("process_virtual_memory_bytes", "gauge", "Address space in use."),
    Metric("process_start_time_seconds", "gauge", "When the process started, in seconds since 1970."),
    Metric("process_open_fds", "gauge", "File descriptors in use."),
    Metric("process_max_fds", "gauge", "File descriptors that may be in use."),
)
METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}
