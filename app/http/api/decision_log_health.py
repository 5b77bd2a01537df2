"""The health of the decision log of a process: what it wrote and queued, and what the log does not have any more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from app.audit.decision_class import DecisionClass
from app.audit.log import ClassHealth, Health
from app.audit.record import time_of
from app.services import Services


@dataclass(frozen=True, slots=True)
class DecisionClassHealth(ClassHealth):
    """`deleted` were deleted by this process, since the log was too large."""

    deleted: int


@dataclass(frozen=True, slots=True)
class DecisionLogHealth(Health):
    """Counts of the decisions of this process since it started.

    `dropped` were lost: the queue was full, or the writer failed for too long; `last_drop` is when, and `last_drop_at`
    the same in microseconds since 1970. `failures` counts failed writes, `sampled_out` the allows that sampling
    omitted. `error` is the error of the last write; null if it succeeded. `deleted` were deleted by this process, since
    the log was too large, the last ones at `last_deletion`. Decisions older than `retention_days` are deleted, too,
    which is 0 if they are kept forever.
    """

    classes: Mapping[DecisionClass, DecisionClassHealth]
    last_drop: datetime | None
    deleted: int
    last_deletion: datetime | None
    retention_days: int


def health_of(services: Services) -> DecisionLogHealth:
    """The current health. It is known without the database."""
    health, size = services.decision_log.health, services.log_size
    deletion = size.last_deletion
    return DecisionLogHealth(
        queued=health.queued,
        capacity=health.capacity,
        written=health.written,
        dropped=health.dropped,
        failures=health.failures,
        sampled_out=health.sampled_out,
        error=health.error,
        last_drop_at=health.last_drop_at,
        classes={
            name: DecisionClassHealth(each.queued, each.capacity, each.dropped, size.deleted[name])
            for name, each in health.classes.items()
        },
        last_drop=None if health.last_drop_at is None else time_of(health.last_drop_at),
        deleted=size.deleted.total(),
        last_deletion=None if deletion is None else time_of(deletion.deleted_at),
        retention_days=services.settings.decision_log_retention_days,
    )
