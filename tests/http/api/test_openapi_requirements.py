"""What rows of a policy make of the requirements in the OpenAPI document."""

from __future__ import annotations

from typing import Any

import pytest

from app.http.api.openapi.requirements import with_requirements
from app.oauth.server import AuthorizationServer
from tests.policy.small import snapshot

READ = "p, a:read, /x, GET, allow"
ASK = "p, app-kind:registered, scope:a:read, ask, allow"
JWT: dict[str, list[str]] = {"jwt": []}
KEY: dict[str, list[str]] = {"api_key": []}
NONE = [JWT, KEY]


class Unused:
    """A use-case that no document needs."""


def server() -> AuthorizationServer:
    unused: Any = Unused()
    return AuthorizationServer("https://api.example", "https://console.example", unused, unused, unused)


def described(*rows: str, apps: bool = False) -> dict[str, Any]:
    """The document of one operation under these rows."""
    operation = {"description": "A thing.", "responses": {"200": {"description": "It"}}}
    base = {"paths": {"/x": {"summary": "A path", "get": operation}}, "components": {"schemas": {}}}
    return with_requirements(base, snapshot(*rows), server() if apps else None)


@pytest.mark.parametrize(
    ("rows", "security", "sentence"),
    [
        ((READ,), [JWT, KEY], "Needs `a:read`."),
        (("p, auth:jwt a:read, /x, GET, allow",), [JWT], "Needs `a:read` and `auth:jwt`."),
        (("p, auth:api_key a:read, /x, GET, allow",), [KEY], "Needs `a:read` and `auth:api_key`."),
        (("p, env:live a:read, /x, GET, allow",), [KEY], "Needs `a:read` and `env:live`."),
        (("p, user:ann, /x, GET, allow",), [JWT], "Needs `user:ann`."),
        (("p, org:o1 a:read, /x, GET, allow",), [JWT], "Needs `a:read` and `org:o1`."),
        (("p, key:7, /x, GET, allow",), [KEY], "Needs `key:7`."),
        (("p, role:reader, /x, GET, allow",), NONE, "Needs `role:reader`."),
        (("p, anyone, /x, GET, allow",), [{}], "Open to everyone."),
        (("p, auth:anonymous, /x, GET, allow",), [{}], "Needs `auth:anonymous`."),
        (("p, app:acme, /x, GET, allow",), NONE, "Needs `app:acme`."),
        (
            (READ, "p, b:read c:read, /x, GET, allow"),
            [JWT, KEY],
            "Needs `a:read` or `b:read` and `c:read`.",
        ),
        # Rows that open it to no caller: a document without requirements would say that it is open to everyone.
        ((), NONE, "The policy allows it to no caller."),
        (("p, a:read, /y, GET, allow",), NONE, "The policy allows it to no caller."),
        (("p, a:read, /x, GET, deny",), NONE, "The policy allows it to no caller."),
        ((READ, "p, anyone, /x, GET, deny"), NONE, "The policy allows it to no caller."),
        (("p, anyone, /x, GET, allow", "p, anyone, /x, GET, deny"), NONE, "The policy allows it to no caller."),
        ((READ, "p, auth:api_key, /x, GET, deny"), [JWT], "Needs `a:read`."),
        ((READ, "p, env:test, /x, GET, deny"), [JWT, KEY], "Needs `a:read`."),
        ((READ, "p, auth:jwt, /x, GET, deny"), [KEY], "Needs `a:read`."),
    ],
)
def test_rows_become_requirements(rows: tuple[str, ...], security: list[dict[str, list[str]]], sentence: str) -> None:
    document = described(*rows)
    operation = document["paths"]["/x"]["get"]
    assert operation["security"] == security
    assert operation["description"] == f"A thing.\n\n{sentence}"
    assert set(document["components"]["securitySchemes"]) == {"jwt", "api_key"}


@pytest.mark.parametrize(
    ("rows", "is_refused"),
    [
        (("p, anyone, /x, GET, allow",), False),
        (("p, anyone, /x, GET, allow", READ), False),
        (("p, anyone, /x, GET, allow", "p, user:ann, /x, GET, deny"), True),
        (("p, anyone, /x, GET, allow, \"request.ip == '10.0.0.1'\"",), True),
        ((READ,), True),
        ((), True),
    ],
)
def test_only_what_is_open_to_everyone_has_no_403(rows: tuple[str, ...], is_refused: bool) -> None:
    assert ("403" in described(*rows)["paths"]["/x"]["get"]["responses"]) is is_refused


@pytest.mark.parametrize(
    ("rows", "scopes"),
    [
        ((READ, ASK), [["a:read"]]),
        ((READ,), []),
        ((READ, ASK, "p, auth:oauth, /x, GET, deny"), []),
        (("p, auth:jwt a:read, /x, GET, allow", ASK), []),
        (("p, a:read b:read, /x, GET, allow", ASK), []),
    ],
)
def test_apps_get_what_they_may_ask_for(rows: tuple[str, ...], scopes: list[list[str]]) -> None:
    document = described(*rows, apps=True)
    security = document["paths"]["/x"]["get"]["security"]
    assert [requirement["oauth"] for requirement in security if "oauth" in requirement] == scopes
    flow = document["components"]["securitySchemes"]["oauth"]["flows"]["authorizationCode"]
    assert flow["authorizationUrl"] == "https://console.example/oauth/authorize"
    assert flow["tokenUrl"] == "https://api.example/oauth/token"
    assert flow["scopes"] == ({"a:read": "g"} if ASK in rows else {})
