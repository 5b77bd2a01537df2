"""Bodies that are not UTF-8 are refused by every endpoint, and never answered with 500."""

from __future__ import annotations

import re
from pathlib import Path

import httpx

from tests.console.sessions import sign_in
from tests.support.issuer import CONSOLE, PARTY, LiveIssuer
from tests.support.server import Server, eventually

EVERYTHING = (
    "catalog:read catalog:write holdings:read holdings:write policies:read policies:write decisions:read "
    "decisions:evaluate keys:read keys:write org-keys:write tokens:introspect apps:read apps:write"
)
# Not found in this application, which has no console. They are tested with an authorization server.
OF_AUTHORIZATION_SERVER = {f"/oauth/{name}" for name in ("authorize", "par", "token", "revoke", "register")}
NOT_UTF8 = (
    '{"name":"Müller"}'.encode("latin-1"),
    '{"Müller":1}'.encode("latin-1"),
    b'{"name":"\xed\xa0\x80"}',  # a surrogate
    b'{"name":"\xc0\x80"}',  # an overlong NUL
    b'{"name":"\xf4\x90\x80\x80"}',  # beyond Unicode
    '{"name":"Müller"}'.encode("utf-16"),
)


def test_each_endpoint_refuses_a_body_that_is_not_utf8(server: Server, issuer: LiveIssuer) -> None:
    with server.client(issuer.token(permissions=EVERYTHING, org_id="1")) as client:
        paths = client.get("/openapi.json").json()["paths"]
        tried = 0
        for path, operations in paths.items():
            if path in OF_AUTHORIZATION_SERVER:
                continue
            for method, operation in operations.items():
                content = operation.get("requestBody", {}).get("content", {})
                for kind in content:
                    form = kind == "application/x-www-form-urlencoded"
                    body = b"token=M%FCller" if form else NOT_UTF8[0]
                    place = re.sub(r"{[^}]*}", "1", path)
                    answer = client.request(method, place, content=body, headers={"Content-Type": kind})
                    assert (answer.status_code, list(answer.json())) == (400, ["detail"]), (method, path)
                    tried += 1
        assert tried > 40
        for body in NOT_UTF8:
            answer = client.post("/api/v1/teams/", content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code == 400
            assert answer.json()["detail"].startswith("The request body is not valid ")


def test_a_form_that_is_not_utf8_changes_nothing(issuer: LiveIssuer, tmp_path: Path) -> None:
    with Server(
        tmp_path,
        jwks_url=issuer.jwks_url,
        issuer=issuer.url,
        console_client_id=CONSOLE.id,
        console_url="http://127.0.0.1",
        allowed_origins=PARTY,
    ) as server:
        person = sign_in(server, permissions=["catalog:read"])
        headers = {"Cookie": f"authz={person.token}", "Content-Type": "application/x-www-form-urlencoded"}
        for name in ("M%FCller", "M\xfcller", "%ED%A0%80", "%00%FF"):
            body = f"csrf={person.csrf}&name={name}&environment=live".encode("latin-1")
            answer = httpx.post(f"{server.url}/console/keys/new", content=body, headers=headers)
            assert answer.status_code == 400, name
            assert "not in UTF-8" in answer.text
        assert "Issue your first key" in person.get("/console/keys").text
        asked = {"Origin": PARTY, "Access-Control-Request-Method": "GET"}
        allowed = httpx.options(f"{server.url}/api/v1/teams/", headers=asked).headers["access-control-allow-headers"]
        names = {name.strip().lower() for name in allowed.split(",")}
        assert {"authorization", "content-type", "x-request-id", "traceparent", "tracestate"} <= names


def test_the_access_log_names_the_caller_of_a_403(server: Server, issuer: LiveIssuer) -> None:
    def line(request_id: str) -> dict[str, object]:
        def is_it(entry: dict[str, object]) -> bool:
            return entry.get("event") == "request" and entry.get("request_id") == request_id

        assert eventually(lambda: any(is_it(entry) for entry in server.log))
        return next(entry for entry in server.log if is_it(entry))

    with server.client(issuer.token(permissions="catalog:read", sub="user_denied")) as person:
        issued = person.post("/api/v1/api-keys/", json={"name": "k", "scopes": ["catalog:read"]}).json()
        assert person.get("/api/v1/sources/", headers={"X-Request-ID": "denied-person"}).status_code == 403
    with server.client(issued["plaintext"]) as program:
        assert program.get("/api/v1/sources/", headers={"X-Request-ID": "denied-key"}).status_code == 403
    with server.client() as anonymous:
        assert anonymous.get("/api/v1/sources/", headers={"X-Request-ID": "denied-anonymous"}).status_code == 401
    named = {
        each: tuple(line(f"denied-{each}")[name] for name in ("status", "subject", "key_id", "auth_method"))
        for each in ("person", "key", "anonymous")
    }
    assert named == {
        "person": (403, "user_denied", None, "jwt"),
        "key": (403, "user_denied", issued["api_key"]["id"], "api_key"),
        "anonymous": (401, None, None, "anonymous"),
    }
