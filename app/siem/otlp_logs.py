"""Events as logs of the OpenTelemetry protocol (OTLP 1.x) in its JSON encoding."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec

from app import __version__
from app.audit.sanitize import clean
from app.siem.event import PRODUCT, Event, Severity

CONTENT_TYPE = "application/json"
_MAX_REASON = 200  # characters
_SEVERITIES = {Severity.INFORMATIONAL: (9, "INFO"), Severity.LOW: (10, "INFO2"), Severity.HIGH: (17, "ERROR")}
_encode = msgspec.json.Encoder().encode


class _PartialSuccess(msgspec.Struct, rename="camel"):
    # A 64-bit integer is a decimal string in JSON; receivers also write numbers.
    rejected_log_records: int | str = 0
    error_message: str = ""


class _Response(msgspec.Struct, rename="camel"):
    partial_success: _PartialSuccess | None = None


def encode_event(event: Event) -> bytes:
    """The log record of an event. Its body is that of the event, as a structured value."""
    number, text = _SEVERITIES[event.severity]
    return _encode(
        {
            "timeUnixNano": str(max(event.at, 0) * 1000),  # unsigned
            "observedTimeUnixNano": str(time.time_ns()),
            "severityNumber": number,
            "severityText": text,
            "eventName": event.kind,
            "body": any_value(event.body),
            # Records with the same one are duplicates, by the semantic conventions.
            "attributes": [{"key": "log.record.uid", "value": {"stringValue": event.id}}],
        }
    )


def join(events: Sequence[bytes], source: str) -> bytes:
    """A request with encoded log records of a resource, whose instance is `source`."""
    resource = {"service.name": PRODUCT, "service.version": __version__, "service.instance.id": source}
    head = _encode(
        {
            "resource": {"attributes": any_value(resource)["kvlistValue"]["values"]},
            "scopeLogs": [{"scope": {"name": PRODUCT, "version": __version__}, "logRecords": []}],
        }
    )
    start, end = head.removesuffix(b"]}]}"), b"]}]}"
    return b'{"resourceLogs":[' + start + b",".join(events) + end + b"]}"


def rejected(response: bytes) -> tuple[int, str]:
    """How many records a receiver did not accept, and why, by its answer of success."""
    try:
        partial = msgspec.json.decode(response, type=_Response).partial_success
        if partial is None:
            return 0, ""
        return max(int(partial.rejected_log_records), 0), clean(partial.error_message, _MAX_REASON)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return 0, ""  # an empty answer, or one in another encoding


def any_value(value: object) -> dict[str, Any]:
    """A value as an AnyValue of OTLP."""
    match value:
        case str():
            return {"stringValue": value}
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case dict():
            # Without those that are null: not every collector accepts a value without a type, and one that does not
            # refuses the whole request.
            members = [(name, each) for name, each in value.items() if each is not None]
            return {"kvlistValue": {"values": [{"key": name, "value": any_value(each)} for name, each in members]}}
        case list() | tuple():
            return {"arrayValue": {"values": [any_value(each) for each in value]}}
    raise TypeError(type(value).__name__)
