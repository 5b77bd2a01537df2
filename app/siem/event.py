"""An event for a SIEM: a body of the Open Cybersecurity Schema Framework (OCSF), and what its envelope needs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from app import __version__

# The version of OCSF, https://schema.ocsf.io. The bodies are also valid in 1.7.0 and 1.8.0.
OCSF_VERSION = "1.6.0"
PRODUCT = "griddy-authz"
_PRODUCT = {"name": PRODUCT, "vendor_name": "Griddy", "version": __version__}
_MAX_COUNT = 2**31 - 1  # of the type integer_t


class Severity(IntEnum):
    """The severities of OCSF that events have."""

    INFORMATIONAL = 1
    LOW = 2
    HIGH = 4


@dataclass(frozen=True, slots=True)
class EventClass:
    """A class of OCSF: its number, that of its category, and its name in addresses of the schema."""

    uid: int
    category_uid: int
    name: str

    @property
    def schema_url(self) -> str:
        """The address of its published schema."""
        return f"https://schema.ocsf.io/{OCSF_VERSION}/classes/{self.name}"


API_ACTIVITY = EventClass(6003, 6, "api_activity")
ENTITY_MANAGEMENT = EventClass(3004, 3, "entity_management")
AUTHENTICATION = EventClass(3002, 3, "authentication")
EVENT_LOG_ACTIVITY = EventClass(1008, 1, "event_log_actvity")  # spelled so in the schema


@dataclass(frozen=True, slots=True)
class Event:
    """An event. `id` is the same whenever it is sent; `at` is in microseconds since 1970.

    `kind` is the type of the event, such as `authz.decision`, and `subject` what it is about.
    """

    id: str
    kind: str
    at: int
    subject: str
    event_class: EventClass
    severity: Severity
    body: dict[str, Any]


def new_event(
    event_class: EventClass,
    *,
    event_id: str,
    kind: str,
    at: int,
    subject: str,
    activity: tuple[int, str],
    severity: Severity,
    is_success: bool,
    message: str,
    log: str,
    attributes: dict[str, Any],
    count: int = 1,
    request_id: str = "",
    profiles: tuple[str, ...] = (),
) -> Event:
    """An event with the attributes that all classes have, and those of its own. `activity` is its id and name."""
    activity_id, activity_name = activity
    metadata: dict[str, Any] = {
        "version": OCSF_VERSION,
        "product": _PRODUCT,
        "uid": event_id,
        "event_code": kind,
        "log_name": log,
        "log_provider": PRODUCT,
    }
    if request_id:
        metadata["correlation_uid"] = request_id
    if profiles:
        metadata["profiles"] = list(profiles)
    body = {
        "category_uid": event_class.category_uid,
        "class_uid": event_class.uid,
        "activity_id": activity_id,
        "activity_name": activity_name,
        "type_uid": event_class.uid * 100 + activity_id,
        "time": at // 1000,
        "severity_id": int(severity),
        "status_id": 1 if is_success else 2,
        "message": message,
        "count": min(count, _MAX_COUNT),
        "metadata": metadata,
        **attributes,
    }
    return Event(event_id, kind, at, subject, event_class, severity, body)
