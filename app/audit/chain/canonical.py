"""The bytes of a decision and of an administrative act that a seal covers, whatever way the database stores them.

Seals outlive releases, hence the form has a version, and each version states its fields. A later version adds fields;
rows that are sealed with an earlier one are still checked by that one. A field is `name=length:value`, with the length
in bytes, and a line feed; a field that is null is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from app.audit.admin_log import AdminActionView
from app.audit.record import DecisionKey, Record, StatedGrants

VERSION = 1
KEY_FIELDS: Mapping[int, tuple[str, ...]] = {
    1: (
        "door",
        "subject",
        "method",
        "key_id",
        "action",
        "resource",
        "allowed",
        "reason",
        "rule_place",
        "rule_text",
        "missing",
        "revision",
        "grants",
        "client_id",
        "impersonator",
    )
}
ADMIN_FIELDS: Mapping[int, tuple[str, ...]] = {
    1: (
        "id",
        "time",
        "action",
        "target",
        "actor",
        "door",
        "method",
        "key_id",
        "session_id",
        "token_id",
        "revision",
        "request_id",
        "message",
        "details",
        "client_id",
        "impersonator",
    )
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def key_digest(key: DecisionKey, version: int = VERSION) -> bytes:
    """The SHA-256 of what a decision has in common with others."""
    return sha256(
        b"authz decision key\n" + _fields((name, getattr(key, name)) for name in KEY_FIELDS[version])
    ).digest()


def decision_digest(row_id: int, record: Record, digest_of_key: bytes) -> bytes:
    """The SHA-256 of a decision with its id, given the digest of its key. All versions have the same fields."""
    numbers = row_id, record.at, record.latency, record.times
    return row_digest(numbers, record.request_id, token_part(record.token_id), digest_of_key)


def row_digest(numbers: tuple[int, int, int, int], request_id: str, token: bytes, digest_of_key: bytes) -> bytes:
    """The SHA-256 of a decision: its id, time, latency and number, its request id, and its `token_part`."""
    text = request_id.encode()
    content = b"authz decision\n%d %d %d %d %d:%b %b\n" % (*numbers, len(text), text, token)
    return sha256(content + digest_of_key).digest()


def token_part(token_id: str | None) -> bytes:
    """The part of a decision's content that is its token id."""
    return b"-" if token_id is None else _counted(token_id.encode())


def admin_digest(act: AdminActionView, version: int = VERSION) -> bytes:
    """The SHA-256 of an administrative act with its id."""
    return sha256(b"authz act\n" + _fields((name, getattr(act, name)) for name in ADMIN_FIELDS[version])).digest()


def microseconds_of(moment: datetime) -> int:
    """A time in microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def _fields(fields: Iterable[tuple[str, object]]) -> bytes:
    return b"".join(
        b"%b=%b\n" % (name.encode(), _counted(_value(value))) for name, value in fields if value is not None
    )


def _value(value: object) -> bytes:
    match value:
        case bool():
            return b"true" if value else b"false"
        case int():
            return b"%d" % value
        case str():
            return value.encode()
        case datetime():
            return b"%d" % microseconds_of(value)
        case StatedGrants():
            return value.text.encode()
        case tuple():
            return b"".join(_counted(str(each).encode()) for each in value)
        case dict():
            return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
    raise TypeError(f"no canonical form of a {type(value).__name__}")


def _counted(data: bytes) -> bytes:
    return b"%d:%b" % (len(data), data)
