"""The destinations of the export: an address, a header that authenticates, and the encoding of events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from pydantic import SecretStr

from app.settings import Settings
from app.settings_values import header_of
from app.siem import cloud_events, otlp_logs
from app.siem.event import Event

Format = Literal["cloudevents", "otlp"]
_DEFAULT_SOURCE = "urn:griddy-authz"


@dataclass(frozen=True, slots=True)
class Destination:
    """Where events are sent, and how. The address may contain a secret, as the header does: neither is ever logged.

    `join` makes a request body of encoded events. `rejected` reads from an answer of success how many records were not
    accepted, and why.
    """

    name: Format
    url: str = field(repr=False)
    header: tuple[str, str] | None = field(repr=False)
    content_type: str
    encode: Callable[[Event], bytes]
    join: Callable[[Sequence[bytes]], bytes]
    rejected: Callable[[bytes], tuple[int, str]]

    @property
    def variable(self) -> str:
        """The beginning of the names of its settings."""
        return f"AUTHZ_SIEM_{self.name.upper()}"


def destinations_of(settings: Settings) -> Sequence[Destination]:
    """The destinations that are set."""
    given: tuple[tuple[Format, str | None, SecretStr | None], ...] = (
        ("otlp", settings.siem_otlp_url, settings.siem_otlp_header),
        ("cloudevents", settings.siem_cloudevents_url, settings.siem_cloudevents_header),
    )
    return [
        new_destination(name, url, None if header is None else header_of(header), settings.public_url)
        for name, url, header in given
        if url is not None
    ]


def new_destination(name: Format, url: str, header: tuple[str, str] | None, source: str | None) -> Destination:
    """A destination. `source` is the address of this deployment, which events state."""
    source = source or _DEFAULT_SOURCE
    if name == "otlp":
        return Destination(
            name,
            url,
            header,
            otlp_logs.CONTENT_TYPE,
            otlp_logs.encode_event,
            partial(otlp_logs.join, source=source),
            otlp_logs.rejected,
        )
    return Destination(
        name,
        url,
        header,
        cloud_events.CONTENT_TYPE,
        partial(cloud_events.encode_event, source=source),
        cloud_events.join,
        _none_rejected,
    )


def _none_rejected(_response: bytes) -> tuple[int, str]:
    return 0, ""
