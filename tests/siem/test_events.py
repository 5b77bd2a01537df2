"""Events are valid by the published schema of OCSF, and their envelopes by CloudEvents and OTLP."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from typing import Any, get_args

import jsonschema
import ocsf_json_schema
import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from app.audit.admin_log import Action, AdminActionView
from app.audit.chain.entry import ChainEntry
from app.audit.chain.signatures import EntrySignature
from app.audit.deletions import Deletion
from app.audit.drops import DropWindow
from app.audit.record import Record, StatedGrants, grant_set
from app.audit.view import view
from app.cli.decisions import decision_line
from app.db.chain_store import StoredEntry
from app.db.decision_times import join_time
from app.db.log_records import LoggedRecord
from app.db.siem_cursors import Gap
from app.siem import cloud_events, otlp_logs
from app.siem.admin_events import admin_event
from app.siem.decision_events import decision_event
from app.siem.event import OCSF_VERSION, Event
from app.siem.log_events import deletion_event, drop_event, gap_event, refusal_event, seal_event
from tests.db.records import RECORD, varied
from tests.support.siem_receiver import plain_value

AT = 1_763_629_200_123_456


@cache
def validator(version: str, name: str, profiles: tuple[str, ...]) -> jsonschema.Draft202012Validator:
    schemas = ocsf_json_schema.OcsfJsonSchemaEmbedded(ocsf_json_schema.get_ocsf_schema(version))
    return jsonschema.Draft202012Validator(schemas.get_class_schema(name, list(profiles)))


def check(event: Event) -> dict[str, Any]:
    """The body, which is valid in the stated version and in later ones."""
    body: dict[str, Any] = json.loads(json.dumps(event.body))
    assert body["metadata"]["version"] == OCSF_VERSION
    for version in (OCSF_VERSION, "1.8.0"):
        profiles = tuple(body["metadata"].get("profiles", ()))
        schema = validator(version, event.event_class.name, profiles)
        assert not [error.message for error in schema.iter_errors(body)], version
    assert body["metadata"]["uid"] == event.id
    return body


def without_nulls(value: Any) -> Any:
    """A body as OpenTelemetry has it."""
    if isinstance(value, dict):
        return {name: without_nulls(each) for name, each in value.items() if each is not None}
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


def decision(**values: Any) -> Event:
    return decision_event(LoggedRecord(17, varied(RECORD, at=AT, request_id="r-1", **values)))


def test_the_schema_refuses_what_is_not_of_the_class() -> None:
    body = json.loads(json.dumps(decision(subject="user_1").body))
    schema = validator(OCSF_VERSION, "api_activity", ("security_control",))
    assert schema.is_valid(body)
    faults: list[dict[str, Any]] = [
        {"odd": 1},
        {"activity_id": 7},
        {"src_endpoint": {}},
        {"actor": {}},
        {"time": "now"},
    ]
    for wrong in faults:
        assert not schema.is_valid({**body, **wrong}), wrong
    for name in ("actor", "api", "metadata", "severity_id", "src_endpoint", "time", "type_uid"):
        assert not schema.is_valid({key: value for key, value in body.items() if key != name}), name
    assert not validator(OCSF_VERSION, "api_activity", ()).is_valid(body), "the profile is needed"


DENIED = {"allowed": False, "reason": "missing grants", "missing": ("catalog:read", "x:y")}


@pytest.mark.parametrize(
    "values",
    [
        {"subject": "user_1", "reason": "a rule allows it", "token_id": "jti-1"},
        {"subject": "user_1", "rule_place": "catalog.csv:3", "rule_text": "p, a, /x, GET, allow", "latency": 312},
        {**DENIED, "subject": "user_1", "method": "api_key", "key_id": 17, "door": "nginx"},
        {**DENIED, "method": "anonymous", "times": 70_000_000_000},
        {"allowed": False, "method": None, "reason": "Token expired. (exp)"},
        {"door": "authzen", "action": "can_view", "resource": "stadium:5", "subject": "ü\u2028"},
        {"door": "authzen", "action": "read", "resource": "stadium"},
        {"subject": "user_1", "client_id": "app_1", "impersonator": "user_support"},
        {"grants": grant_set(frozenset({"catalog:read", "user:user_1"})), "subject": "user_1"},
    ],
)
def test_a_decision_is_valid(values: dict[str, Any]) -> None:
    body = check(decision(**values))
    allowed = values.get("allowed", True)
    assert (body["status_id"], body["action_id"], body["disposition_id"]) == ((1, 1, 1) if allowed else (2, 2, 2))
    assert body["authorizations"][0]["decision"] == ("allow" if allowed else "deny")
    assert body["time"] == AT // 1000
    assert "catalog:read" not in json.dumps(body) or values.get("missing")  # what a caller holds stays in the log


def _held(*grants: str) -> StatedGrants | None:
    return grant_set(frozenset(grants))


@pytest.mark.parametrize(
    ("values", "organization"),
    [
        ({"grants": _held("catalog:read", "org:acme", "org-role:admin", "user:")}, "acme"),
        ({"grants": _held("org:org_2abc:x/y~z+1=@")}, "org_2abc:x/y~z+1=@"),
        ({"grants": _held("app:calendar", "on-behalf::org:acme", "scope:a"), "client_id": "calendar"}, "acme"),
        ({"grants": _held("org:acme"), "subject": "org:acme", "method": "api_key", "key_id": 4}, "acme"),
        ({"grants": None, "subject": "org:acme", "method": "api_key", "key_id": 4}, "acme"),
        (
            {"grants": _held("org-role:admin", "x:org:acme", "my-org:acme", "org:", 'a","org:b', '["org:b', "org:b c")},
            None,
        ),
        ({"grants": None, "subject": "org:acme", "door": "authzen"}, None),  # what a subject of a question is called
        ({"grants": None}, None),
        ({"method": None, "subject": ""}, None),
    ],
)
def test_a_decision_names_the_organization_of_its_caller(values: dict[str, Any], organization: str | None) -> None:
    record = varied(RECORD, **{"subject": "user_1", **values})
    event = decision_event(LoggedRecord(17, record))
    assert check(event)["actor"]["user"].get("org") == (organization and {"uid": organization})
    assert view(17, record).organization == organization
    sent = json.loads(cloud_events.encode_event(event, "s"))["data"]
    assert sent == event.body
    assert plain_value(json.loads(otlp_logs.encode_event(event))["body"]) == without_nulls(event.body)
    shown = "".join(part if isinstance(part, str) else part[0] for part in decision_line(LoggedRecord(17, record)))
    is_named_once = organization is not None and record.key.subject == "user_1"  # a key of it has its name as subject
    assert (f" in {organization}" in shown) == is_named_once


def test_an_act_by_a_key_of_an_organization_names_it() -> None:
    assert check(admin_event(act("key.revoke", actor="org:acme", key_id=3)))["actor"]["user"]["org"] == {"uid": "acme"}
    assert "org" not in check(admin_event(act("key.revoke")))["actor"]["user"]


@pytest.mark.parametrize(
    ("action", "activity"),
    [("GET", 2), ("HEAD", 2), ("POST", 1), ("PUT", 3), ("PATCH", 3), ("DELETE", 4), ("read", 2), ("can_view", 99)],
)
def test_the_activity_of_a_decision_is_that_of_its_action(action: str, activity: int) -> None:
    body = check(decision(action=action))
    assert (body["activity_id"], body["type_uid"]) == (activity, 600_300 + activity)
    assert body["api"]["operation"] == action


def act(action: str, **values: Any) -> AdminActionView:
    fields: dict[str, Any] = {
        "id": 4,
        "time": datetime(2026, 11, 20, 9, 0, 0, 123_456, tzinfo=UTC),
        "action": action,
        "target": "key:17",
        "actor": "user_admin",
        "door": "console",
        "method": "jwt",
        "key_id": None,
        "client_id": "app_1",
        "impersonator": "user_support",
        "session_id": 4,
        "token_id": "jti-1",
        "revision": "abc",
        "request_id": "r-2",
        "message": "because",
        "details": {"scopes": ["a", "b"], "n": 3, "all": True, "expires_at": None},
    }
    return AdminActionView(**{**fields, **values})


# And acts that do not exist yet.
@pytest.mark.parametrize("action", [*get_args(Action), "client.register", "client.delete", "consent.frobnicate", "odd"])
@pytest.mark.parametrize("target", ["key:17", "a1b2", "session:4", "user:user_2"])
def test_an_act_is_valid(action: str, target: str) -> None:
    body = check(admin_event(act(action, target=target)))
    assert body["unmapped"]["details"] == {"scopes": ["a", "b"], "n": 3, "all": True, "expires_at": None}
    assert (body["actor"]["app_uid"], body["unmapped"]["impersonator"]) == ("app_1", "user_support")
    assert body["class_uid"] == (3002 if action.startswith("session.") else 3004)


@given(
    st.builds(
        varied,
        st.just(RECORD),
        at=st.integers(-(2**31), 2**31 - 1).map(lambda second: join_time(second, 7)),  # what the column holds
        latency=st.integers(0, 2**31 - 1),
        times=st.integers(1, 2**31 - 1),
        token_id=st.none() | st.text(),
        **{name: st.text() for name in ("request_id", "door", "subject", "action", "resource", "reason", "revision")},
        **{name: st.none() | st.text() for name in ("rule_place", "rule_text", "client_id", "impersonator")},
        key_id=st.none() | st.integers(1, 2**63 - 1),
        method=st.sampled_from(["jwt", "api_key", "anonymous", None]),
        missing=st.lists(st.text(), max_size=3).map(tuple),
        allowed=st.booleans(),
    )
)
@settings(max_examples=25, deadline=None)
def test_any_decision_is_valid(record: Record) -> None:
    event = decision_event(LoggedRecord(1, record))
    check(event)
    json.loads(cloud_events.encode_event(event, "s"))
    json_format.Parse(otlp_logs.join([otlp_logs.encode_event(event)], "s"), ExportLogsServiceRequest())


def test_an_act_without_an_actor_is_valid() -> None:
    """Changes of the files have no author, and rows of earlier releases lack most fields."""
    missing = dict.fromkeys(("door", "method", "client_id", "impersonator", "session_id", "token_id", "revision"))
    for action in ("policy.files", "session.start"):
        body = check(admin_event(act(action, actor="", request_id="", message="", details={}, **missing)))
        assert body["actor"]["user"]["name"] == "unknown"


def test_events_about_the_logs_are_valid() -> None:
    window = DropWindow("known", AT, AT + 5_000_000, 12, "ab" * 16)
    body = check(drop_event(window))
    assert (body["count"], body["start_time"], body["end_time"]) == (12, AT // 1000, AT // 1000 + 5000)
    assert drop_event(window).id != drop_event(DropWindow("known", AT, AT + 6_000_000, 13, window.id)).id
    assert check(gap_event("decisions", Gap(7, 30, AT, AT + 1)))["activity_id"] == 2
    deletion = Deletion("anonymous", 400, AT, AT + 1, 300, AT + 9_000_000)
    body = check(deletion_event(3, deletion))
    assert (body["activity_id"], body["count"], body["time"]) == (2, 300, AT // 1000 + 9000)
    entry = ChainEntry("admin", 3, "segment", 1, 5, 9, AT, bytes(32), "")
    for signature in (None, EntrySignature("0123456789abcdef", bytes(64))):
        body = check(seal_event(4, StoredEntry(entry, (), entry.hash, signature)))
        assert body["unmapped"]["head"] == f"admin:3:{entry.hash.hex()}"
    assert check(refusal_event(decision(), "decisions", 413))["status_code"] == "413"


def test_an_event_has_the_same_id_whenever_it_is_sent_and_no_other_event_has_it() -> None:
    assert decision().id == decision().id
    other = decision_event(LoggedRecord(17, varied(RECORD, at=AT + 1)))  # after a restore
    assert len({decision().id, other.id, admin_event(act("key.issue")).id}) == 3


def test_cloud_events_have_the_required_attributes() -> None:
    events = [decision(), admin_event(act("key.issue"))]
    batch = json.loads(cloud_events.join([cloud_events.encode_event(event, "https://a.example") for event in events]))
    assert [event["data"] for event in batch] == [json.loads(json.dumps(event.body)) for event in events]
    for event, sent in zip(events, batch, strict=True):
        assert (sent["specversion"], sent["id"], sent["source"]) == ("1.0", event.id, "https://a.example")
        assert sent["time"] == datetime.fromtimestamp(event.at // 1_000_000, UTC).isoformat()[:19] + ".123456Z"
        assert sent["dataschema"] == f"https://schema.ocsf.io/1.6.0/classes/{event.event_class.name}"
    assert cloud_events.join([]) == b"[]"


def test_logs_of_opentelemetry_hold_the_event_as_a_structured_value() -> None:
    events = [decision(), admin_event(act("key.issue")), drop_event(DropWindow("known", AT, AT, 1))]
    sent = json.loads(otlp_logs.join([otlp_logs.encode_event(event) for event in events], "https://a.example"))
    (resource,) = sent["resourceLogs"]
    assert {"key": "service.name", "value": {"stringValue": "griddy-authz"}} in resource["resource"]["attributes"]
    (scope,) = resource["scopeLogs"]
    for event, record in zip(events, scope["logRecords"], strict=True):
        assert plain_value(record["body"]) == without_nulls(event.body)
        assert record["timeUnixNano"] == str(event.at * 1000)
        assert record["attributes"] == [{"key": "log.record.uid", "value": {"stringValue": event.id}}]
    assert [record["severityNumber"] for record in scope["logRecords"]] == [9, 9, 17]
    assert json.loads(otlp_logs.join([], "x"))["resourceLogs"][0]["scopeLogs"][0]["logRecords"] == []


def test_logs_of_opentelemetry_are_valid_by_its_definition() -> None:
    """A field with another name or type than that of the protocol is an error."""
    events = [decision(), admin_event(act("key.issue")), drop_event(DropWindow("known", AT, AT, 1))]
    content = otlp_logs.join([otlp_logs.encode_event(event) for event in events], "https://a.example")
    request = json_format.Parse(content, ExportLogsServiceRequest())
    records = request.resource_logs[0].scope_logs[0].log_records
    assert [record.time_unix_nano for record in records] == [event.at * 1000 for event in events]
    assert [record.event_name for record in records] == ["authz.decision", "authz.admin", "authz.dropped"]
    body = {each.key: each.value for each in records[0].body.kvlist_value.values}
    assert body["class_uid"].int_value == 6003


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (b"", (0, "")),
        (b"{}", (0, "")),
        (b'{"partialSuccess":{}}', (0, "")),
        (b'{"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"why"}}', (3, "why")),
        (b'{"partialSuccess":{"rejectedLogRecords":2}}', (2, "")),
        (b'{"partialSuccess":{"rejectedLogRecords":"-1"}}', (0, "")),
        (b'{"partialSuccess":{"rejectedLogRecords":"many"}}', (0, "")),
        (b'{"other":' + b"[" * 60_000, (0, "")),
        (b"<html>", (0, "")),
        (b"[]", (0, "")),
    ],
)
def test_a_partial_success_is_read(response: bytes, expected: tuple[int, str]) -> None:
    assert otlp_logs.rejected(response) == expected
