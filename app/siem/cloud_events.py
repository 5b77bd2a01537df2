"""Events as CloudEvents 1.0 in JSON batches (CloudEvents JSON format, section 4)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from app.audit.record import time_of
from app.siem.event import Event

CONTENT_TYPE = "application/cloudevents-batch+json"
_encode = msgspec.json.Encoder().encode


def encode_event(event: Event, source: str) -> bytes:
    """The envelope of an event, with the body as its data."""
    return _encode(
        {
            "specversion": "1.0",
            "id": event.id,
            "source": source,
            "type": event.kind,
            "subject": event.subject,
            "time": time_of(event.at),
            "datacontenttype": "application/json",
            "dataschema": event.event_class.schema_url,
            "data": event.body,
        }
    )


def join(events: Sequence[bytes]) -> bytes:
    """A batch of encoded events."""
    return b"[" + b",".join(events) + b"]"
