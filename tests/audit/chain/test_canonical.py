"""The canonical form of rows: it never changes for a version, since what was sealed with it could not be verified."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest

from app.audit.admin_log import AdminActionView
from app.audit.chain.canonical import ADMIN_FIELDS, KEY_FIELDS, VERSION, admin_digest, decision_digest, key_digest
from app.audit.record import DecisionKey, Record, grant_set
from tests.db.records import varied

KEY = DecisionKey(
    door="app",
    subject="user_é",
    method="api_key",
    key_id=7,
    action="GET",
    resource="/api/v1/teams/{team_id}",
    allowed=False,
    reason="no rule allows it",
    rule_place="catalog.csv:7",
    rule_text="p, catalog:read, /api/v1/teams/**, GET, allow",
    missing=("catalog:read", "a b"),
    revision="r1",
    grants=grant_set(frozenset({"catalog:read", "user:"})),
)
RECORD = Record(1_700_000_000_123_456, 250, "0123456789abcdef01234567", "sess_1", KEY, 3)
ACT = AdminActionView(
    id=5,
    time=datetime(2026, 11, 20, 9, 30, 0, 123_456, tzinfo=UTC),
    action="key.issue",
    target="key:7",
    actor="user_é",
    door="api",
    method="jwt",
    key_id=None,
    session_id=None,
    token_id="sess_1",
    revision="r1",
    request_id="0123",
    message="m\nn",
    details={"b": ["x", "é"], "a": None, "c": True},
    client_id="app_1",
    impersonator=None,
)


def digest(record: Record, row_id: int = 9) -> str:
    return decision_digest(row_id, record, key_digest(record.key)).hex()


# Version 1. A difference means: state the new form as another version, and keep this one.
KEY_CONTENT = """authz decision key
door=3:app
subject=7:user_é
method=7:api_key
key_id=1:7
action=3:GET
resource=23:/api/v1/teams/{team_id}
allowed=5:false
reason=17:no rule allows it
rule_place=13:catalog.csv:7
rule_text=45:p, catalog:read, /api/v1/teams/**, GET, allow
missing=20:12:catalog:read3:a b
revision=2:r1
grants=24:["catalog:read","user:"]
"""
DECISION_CONTENT = """authz decision
9 1700000000123456 250 3 24:0123456789abcdef01234567 6:sess_1
"""
ACT_CONTENT = r"""authz act
id=1:5
time=16:1795167000123456
action=9:key.issue
target=5:key:7
actor=7:user_é
door=3:api
method=3:jwt
token_id=6:sess_1
revision=2:r1
request_id=4:0123
message=3:m
n
details=38:{"a":null,"b":["x","\u00e9"],"c":true}
client_id=5:app_1
"""


def test_digests_are_those_of_every_release() -> None:
    digest_of_key = sha256(KEY_CONTENT.encode()).digest()
    assert key_digest(KEY, 1) == digest_of_key
    assert decision_digest(9, RECORD, digest_of_key) == sha256(DECISION_CONTENT.encode() + digest_of_key).digest()
    without = RECORD._replace(token_id=None)
    content = DECISION_CONTENT.replace("6:sess_1", "-").encode() + digest_of_key
    assert decision_digest(9, without, digest_of_key) == sha256(content).digest()
    assert admin_digest(ACT, 1) == sha256(ACT_CONTENT.encode()).digest()


def test_the_newest_version_covers_every_field() -> None:
    """A new field of a decision or an act needs a version that has it, or must be in none on purpose."""
    assert set(KEY_FIELDS[VERSION]) == set(DecisionKey._fields)
    assert set(ADMIN_FIELDS[VERSION]) == {field.name for field in fields(AdminActionView)}
    assert set(Record._fields) == {"at", "latency", "request_id", "token_id", "key", "times"}


@pytest.mark.parametrize(
    "change",
    [
        {"at": RECORD.at + 1},
        {"latency": 251},
        {"request_id": "0123456789abcdef01234568"},
        {"token_id": None},
        {"token_id": "-"},
        {"times": 2},
        {"subject": "user_e\u0301"},
        {"method": "jwt"},
        {"key_id": None},
        {"client_id": "app_1"},
        {"impersonator": "user_b"},
        {"allowed": True},
        {"rule_place": None},
        {"rule_place": ""},
        {"missing": ("catalog:read a b",)},
        {"missing": ()},
        {"grants": None},
        {"grants": grant_set(frozenset())},
        # A value that moves to the next field, or looks like one.
        {"action": "GE", "resource": "T/api/v1/teams/{team_id}"},
        {"reason": "no rule allows it\nrule_place=13:catalog.csv:7\n", "rule_place": None},
    ],
)
def test_every_difference_of_a_decision_is_one_of_its_digest(change: dict[str, object]) -> None:
    assert digest(varied(RECORD, **change)) != digest(RECORD)
    assert digest(RECORD, 10) != digest(RECORD)


@pytest.mark.parametrize(
    "change",
    [
        {"id": 6},
        {"time": datetime(2026, 11, 20, 9, 30, 0, 123_457, tzinfo=UTC)},
        {"key_id": 0},
        {"message": ""},
        {"details": {}},
        {"details": {**ACT.details, "c": "true"}},
        {"details": {**ACT.details, "c": 1}},
    ],
)
def test_every_difference_of_an_act_is_one_of_its_digest(change: dict[str, Any]) -> None:
    assert admin_digest(replace(ACT, **change)) != admin_digest(ACT)


def test_the_order_of_details_is_no_difference() -> None:
    details = dict(reversed(ACT.details.items()))
    assert admin_digest(replace(ACT, details=details)) == admin_digest(ACT)
    same = replace(ACT, time=datetime.fromisoformat("2026-11-20T10:30:00.123456+01:00"))
    assert admin_digest(same) == admin_digest(ACT)
