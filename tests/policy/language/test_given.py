"""Given variables of conditions: parsed, checked against their types, and merged with implied ones."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.policy.engine.question_context import context_of
from app.policy.engine.target import Target
from app.policy.language.given import InvalidVariable, check_value, kind_of, read_assignments, read_given
from app.policy.language.when.shape import BOOL, DOUBLE, DYN, INT, STRING, Kind

TIME = Kind("timestamp")


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (STRING, "a", "a"),
        (BOOL, True, True),
        (INT, 7, 7),
        (DOUBLE, 7, 7),
        (DOUBLE, 0.5, 0.5),
        (DYN, [1, None], [1, None]),
        (Kind("list", STRING), ["a", "b"], ["a", "b"]),
        (Kind("list", STRING), ("a",), ["a"]),
        (Kind("list", INT), [], []),
        (Kind("map", INT), {"a": 1}, {"a": 1}),
        (TIME, "2026-01-01T00:00:00Z", datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_value_of_the_right_type_is_accepted(kind: Kind, value: object, expected: object) -> None:
    assert check_value(kind, value) == expected


@pytest.mark.parametrize(
    ("kind", "value", "message", "hint"),
    [
        (STRING, 7, "it must be a string", "it is a whole number"),
        (STRING, True, "it must be a string", "it is true or false"),
        (INT, True, "it must be a int", "it is true or false"),
        (INT, 0.5, "it must be a int", "it is a number"),
        (DOUBLE, False, "it must be a double", "it is true or false"),
        (BOOL, 1, "it must be a bool", "it is a whole number"),
        (STRING, None, "it must be a string", "it is nothing"),
        (STRING, {}, "it must be a string", "it is a mapping"),
        (INT, "7", "it must be a int", "it is a text"),
        (Kind("list", STRING), "a", "it must be a list(string)", "it is a text"),
        (Kind("list", STRING), ["a", 7], "it must be a string", "it is a whole number"),
        (Kind("list", STRING), {"a": "b"}, "it must be a list(string)", "it is a mapping"),
        (Kind("map", INT), [1], "it must be a map(string, int)", "it is a list"),
        (Kind("map", INT), {"a": "b"}, "it must be a int", "it is a text"),
        (TIME, 7, "it must be a timestamp", "it is a whole number; write it as text, such as '2026-11-24T08:00:00Z'"),
        (TIME, "tomorrow", "`tomorrow` is not a time", "write 2026-11-24T08:00:00Z"),
        (TIME, "2026-01-01T00:00:00", "`2026-01-01T00:00:00` has no time zone", "write 2026-11-24T08:00:00Z"),
    ],
)
def test_a_value_of_another_type_is_refused(kind: Kind, value: object, message: str, hint: str) -> None:
    with pytest.raises(InvalidVariable) as misgiven:
        check_value(kind, value)
    assert (misgiven.value.message, misgiven.value.hint) == (message, hint)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["request.ip=10.0.0.1"], {"request": {"ip": "10.0.0.1"}}),
        (["request.path=/a=b"], {"request": {"path": "/a=b"}}),
        (["subject.claims.a.b=1", "subject.claims.a=x"], {"subject": {"claims": {"a": "x"}}}),
        (["subject.claims.a=1", "subject.claims.b=[2]"], {"subject": {"claims": {"a": 1, "b": [2]}}}),
        (["context.a=yes", "context.a.b=7"], {"context": {"a": {"b": 7}}}),
        (["context.a.b=7", "context.a=yes"], {"context": {"a": "yes"}}),
        (["context.a.b=7", "context.a.c=8", "context.d=true"], {"context": {"a": {"b": 7, "c": 8}, "d": True}}),
        (["subject.org.id=7"], {"subject": {"org": {"id": "7", "role": "", "slug": ""}}}),
        (
            ["subject.org.id=acme", "subject.org.role=admin"],
            {"subject": {"org": {"id": "acme", "role": "admin", "slug": ""}}},
        ),
        (['subject.org={"id":"acme"}'], {"subject": {"org": {"id": "acme", "role": "", "slug": ""}}}),
        (["params.id=7", "request.time=2026-01-01T00:00:00Z"], None),
        ([], {}),
    ],
)
def test_assignments_are_read_and_merged_by_map(lines: list[str], expected: object) -> None:
    found = read_assignments(lines)
    if expected is None:
        expected = {"params": {"id": "7"}, "request": {"time": datetime(2026, 1, 1, tzinfo=UTC)}}
    assert found == expected


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("request.ip", "`request.ip` is not an assignment", "write it as request.ip=10.0.0.1"),
        ("request=7", "`request` is not an assignment", "write it as"),
        ("request.=7", "`request.` is not an assignment", "write it as"),
        ("context.a..b=7", "`context.a..b` is not an assignment", "write it as"),
        ("requst.ip=7", "`requst.ip`: `requst` is unknown in conditions", "did you mean `request`?"),
        ("request.pi=7", "`request.pi`: `pi` is unknown in `request`", "use one of"),
        ("request.time=7", "`request.time`: `7` is not a time", "write 2026"),
        ("subject.org=acme", "`subject.org`: it must be a mapping", "write id, role, slug below it"),
        ("subject.org.slg=acme", "`subject.org.slg`: `slg` is unknown in it", "did you mean `slug`?"),
        ("subject.org.id.a=acme", "`subject.org.id.a`: it must be a string", "it is a mapping"),
        ("request.ip.a=7", "`request.ip.a`: it must be a string", "it is a mapping"),
    ],
)
def test_an_invalid_assignment_is_refused_with_its_path(line: str, message: str, hint: str) -> None:
    with pytest.raises(InvalidVariable) as misgiven:
        read_assignments([line])
    assert misgiven.value.message == message
    assert hint in misgiven.value.hint


def test_variables_of_a_document_are_checked_by_name() -> None:
    assert read_given({"request": {"ip": "::1"}, "context": {"a": [1]}}) == {
        "request": {"ip": "::1"},
        "context": {"a": [1]},
    }
    acme = {"subject": {"org": {"id": "acme"}}}
    assert read_given(acme) == {"subject": {"org": {"id": "acme", "role": "", "slug": ""}}}
    with pytest.raises(InvalidVariable, match=r"`subject.org`: it must be a string"):
        read_given({"subject": {"org": {"id": 7}}})
    with pytest.raises(InvalidVariable, match=r"`request.ip`: it must be a string"):
        read_given({"context": {"a": 1}, "request": {"ip": 7}})
    assert kind_of("context", "anything") == DYN
    assert kind_of("params", "id") == STRING


@pytest.mark.parametrize(
    ("held", "subject"),
    [
        ({"auth:jwt", "user:u|1"}, {"type": "user", "method": "jwt", "id": "u|1", "environment": ""}),
        (
            {"auth:api_key", "key:7", "env:test", "a:read"},
            {"type": "key", "method": "api_key", "id": "7", "environment": "test"},
        ),
        ({"auth:anonymous"}, {"type": "anonymous", "method": "anonymous", "id": "", "environment": ""}),
        ({"auth:anonymous", "user:u"}, {"type": "anonymous", "method": "anonymous", "id": "", "environment": ""}),
        (
            {"auth:oauth", "app:acme", "app-kind:registered", "consented::a:read", "on-behalf::user:u"},
            {"type": "app", "method": "oauth", "id": "u", "environment": "", "client_id": "acme"},
        ),
        ({"a:read"}, {"environment": ""}),
    ],
)
def test_the_subject_follows_from_the_grants(held: set[str], subject: dict[str, object]) -> None:
    target = Target("GET", "/x", "/x")
    context = context_of(held, {"b", "a"}, target, {})
    no_org = {"id": "", "role": "", "slug": ""}
    nothing = {"owner": "", "client_id": "", "org": no_org, "claims": {}, "act": {}, "properties": {}}
    assert context["subject"] == {**nothing, "permissions": ["a", "b"], **subject}


@pytest.mark.parametrize(
    ("target", "resource", "request_"),
    [
        (("/x/{id}", "GET", "/x/7"), ("route", "/x/{id}"), {"method": "GET", "path": "/x/7"}),
        (("/x/{id}", "GET", "/x/{id}"), ("route", "/x/{id}"), {"method": "GET"}),
        (("s:/x/{id}", "PUT", "s:/x/7"), ("route", "s:/x/{id}"), {"method": "PUT", "path": "/x/7"}),
        (("record", "read", "record:7"), ("record", "7"), {}),
        (("record:7", "read", "record:7"), ("record", "7"), {}),
    ],
)
def test_the_resource_and_request_follow_from_the_target(
    target: tuple[str, str, str], resource: tuple[str, str], request_: dict[str, object]
) -> None:
    template, action, asked = target
    context = context_of((), (), Target(action, template, asked, {"id": "7"}), {"params": {"more": "1"}})
    assert context["resource"] == {"type": resource[0], "id": resource[1], "properties": {}}
    assert context["request"] == request_
    assert context["action"] == {"name": action, "properties": {}}
    assert context["params"] == {"id": "7", "more": "1"}
