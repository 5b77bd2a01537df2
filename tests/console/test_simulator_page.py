"""The page of the simulator: questions by GET, and answers with reasons."""

from __future__ import annotations

import html
import re
from typing import Any

import httpx
import pytest

from tests.console.admins import active, officer, words
from tests.console.sessions import Person
from tests.support.issuer import LiveIssuer
from tests.support.server import Server, eventually

PATH = "/console/policy/simulator"


def ask(person: Person, **query: Any) -> httpx.Response:
    """Get the page for a question; `as_` is the field `as`."""
    query = {name.rstrip("_"): value for name, value in query.items()}
    return httpx.get(person.url + PATH, params=query, headers={"Cookie": f"authz={person.token}"})


def test_a_denial_shows_missing_permissions_and_what_would_open_it(console: Server) -> None:
    person = officer(console)
    page = ask(person, as_="auth:jwt", method="GET", path="/api/v1/teams/7").text
    text = words(page)
    assert "deny" in text
    assert "catalog.csv:7 p, catalog:read, /api/v1/teams/**, GET|HEAD, allow" in text
    assert "Ask again with it" in text
    assert "allow" in words(ask(person, as_="auth:jwt catalog:read", method="GET", path="/api/v1/teams/7").text)


def test_roles_users_and_attributes_are_evaluated(console: Server) -> None:
    person = officer(console)
    text = words(ask(person, role="role:viewer", method="GET", path="/api/v1/teams").text)
    assert "Held through" in text
    assert "g, role:viewer, catalog:read" in text
    text = words(ask(person, user="user_2abc", method="GET", path="/api/v1/api-keys").text)
    assert "user:user_2abc" in text
    assert ask(person, as_="auth:jwt", method="GET", path="/docs", given="request.ip=10.0.0.1").status_code == 200


def test_an_app_and_its_user_are_explained(console: Server) -> None:
    person = officer(console)
    found = ask(person, as_="app-kind:registered", user="ann", role="role:viewer", method="GET", path="/api/v1/teams/7")
    text = words(found.text)
    assert "The appdeny lacks catalog:read" in text
    assert "Its userallow a rule allows itcatalog.csv:7" in text
    assert "What consent would open it" in text
    again = re.search(r'<a href="([^"]+)">Ask again with it</a>', found.text)
    assert again
    answer = words(person.get(html.unescape(again[1])).text)
    assert "allow GET /api/v1/teams/7" in answer
    assert "May ask byapps.csv:4" in answer
    assert "cannot see tokens" not in answer
    denied = ask(person, as_="app-kind:registered catalog:read for user:bob", method="GET", path="/api/v1/teams/7")
    assert "no consent opens it: the user of the app may not do it." in words(denied.text)
    own = ask(person, as_="app-kind:external for user:bob catalog:read", method="GET", path="/api/v1/teams/7")
    assert "for the missing scope. If this client is your own, name it in AUTHZ_OWN_CLIENTS" in words(own.text)


def test_it_explains_unseen_tokens_and_offers_the_last_known_permissions(
    own_console: Server, issuer: LiveIssuer
) -> None:
    person = officer(own_console)
    question = {"user": "user_bob", "method": "GET", "path": "/api/v1/teams/7"}
    text = words(ask(person, **question).text)
    assert "deny" in text
    assert "The simulator cannot see tokens." in text
    assert "The decision log has no token of this user" in text
    for permissions in (["holdings:read"], ["catalog:read", "catalog:write", "odd permission", "no:such"]):
        with own_console.client(issuer.token(sub="user_bob", permissions=permissions)) as client:
            client.get("/api/v1/teams/7")
    found = ask(person, **question).text

    def offered() -> bool:
        nonlocal found
        found = ask(person, **question).text
        return "catalog:write" in words(found).partition("Last seen in the log")[2].partition("Ask again")[0]

    assert eventually(offered, 10)
    assert "no:such" not in words(found)
    again = re.search(r'Last seen .*?<a href="([^"]+)">Ask again with them</a>', found, re.S)
    assert again
    answer = words(person.get(html.unescape(again[1])).text)
    assert "allow" in answer
    assert "cannot see tokens" not in answer
    # The same for a user among the grants, but for no other grant.
    assert "Last seen in the log" in words(
        ask(person, as_="auth:jwt user:user_bob", method="GET", path="/api/v1/teams/7").text
    )
    for other in ({"role": "role:viewer"}, {"as_": "auth:anonymous"}, {"user": "user_bob", "as_": "holdings:read"}):
        assert "cannot see tokens" not in words(ask(person, **other, method="GET", path="/api/v1/teams/7").text)
    blind = words(ask(officer(own_console, "policies:read"), **question).text)
    assert "in the decision log, which needs decisions:read" in blind
    assert "catalog:write" not in blind.partition("The simulator cannot see tokens.")[2].partition("As")[0]


def test_a_path_is_canonicalised_as_at_gateways(console: Server) -> None:
    person = officer(console)
    text = words(ask(person, as_="auth:jwt catalog:read", method="GET", path="/api/v1/teams/7/").text)
    assert "/api/v1/teams/{team_id}" in text
    for path in ("/api/v1//teams", "/api/v1/teams%2F7", "/api/v1/../teams", "/api/v1/teams/7?x=1", "/api/v1/%74eams"):
        refused = ask(person, as_="auth:jwt", method="GET", path=path)
        assert refused.status_code == 400, path
        assert "callers get 400" in words(refused.text), path


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"as_": "catalog:raed", "method": "GET", "path": "/docs"}, "did you mean `catalog:read`?"),
        ({"method": "GET", "path": "/docs"}, "no grant is given"),
        ({"as_": "auth:jwt", "method": "GET", "path": ""}, "is missing"),
        ({"as_": "auth:jwt", "method": "BREW", "path": "/docs"}, "no such method: callers get 405"),
        ({"as_": "auth:jwt", "method": "GET", "path": "/nowhere"}, "callers get 404"),
        ({"as_": "auth:jwt", "method": "GET", "path": "/docs", "given": "request.pi=1"}, "use one of time, method"),
        ({"key": "seven", "method": "GET", "path": "/docs"}, "write the number of a key"),
        ({"key": "999999", "method": "GET", "path": "/docs"}, "There is no API key 999999."),
        ({"key": "1", "as_": "auth:jwt", "method": "GET", "path": "/docs"}, "leave the other fields empty"),
    ],
    ids=range(9),
)
def test_an_invalid_question_has_its_error_at_its_field(console: Server, query: dict[str, str], said: str) -> None:
    answer = ask(officer(console), **query)
    assert answer.status_code == 400
    assert said in words(answer.text)
    assert "aria-invalid" in answer.text


ORDERS = """openapi: 3.0.3
info: {title: Orders, version: "1"}
servers: [{url: "https://orders.example.com/v1"}]
paths:
  /orders/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: string}}]
    get: {responses: {"200": {description: An order}}}
"""
RULE = "p, catalog:read, orders:/v1/orders/**, GET, allow, \"params.id == 'café' && ip_in(request.ip, '10.0.0.0/8')\""


def test_other_services_and_conditions_can_be_simulated(own_console: Server) -> None:
    person = officer(own_console)
    rule = f"# needs, resource, action, effect, when\n{RULE}\n# end\n"
    change = [f"upstreams/orders.openapi.yaml\n{ORDERS}", f"orders.csv\n{rule}"]
    sent = {"parent": active(person), "message": "Rule the orders.", "acknowledge": "yes"}
    done = person.post("/console/policy/edit/publish", change=change, **sent)
    assert done.status_code == 303, words(done.text)
    path = "orders:/v1/orders/caf%C3%A9"
    question = {"as_": "auth:jwt catalog:read", "method": "GET", "path": path}
    assert "allow" in words(ask(person, **question, given="request.ip=10.1.2.3").text)
    denied = words(ask(person, **question, given="request.ip=11.1.2.3").text)
    assert "deny" in denied
    assert "Its condition is not met" in denied
    assert "Its condition cannot be evaluated" in words(ask(person, **question).text)
    line = person.get("/console/policy/matrix?q=orders&column=catalog:read").text
    assert 'class="v if"' in line


def test_a_key_can_be_simulated_by_its_number(console: Server, issuer: LiveIssuer) -> None:
    with console.client(issuer.token(sub="user_simulated", permissions="catalog:read")) as client:
        key = client.post("/api/v1/api-keys/", json={"name": "k", "scopes": ["catalog:read"]}).json()["api_key"]
        person = officer(console)
        assert "allow" in words(ask(person, key=key["id"], method="GET", path="/api/v1/teams").text)
        client.post(f"/api/v1/api-keys/{key['id']}/revoke/")
        text = words(ask(person, key=key["id"], method="GET", path="/api/v1/teams").text)
    assert "Calls with this key get 401 now" in text


def test_a_past_request_is_explained_to_users_who_may_read_the_log(console: Server, issuer: LiveIssuer) -> None:
    with console.client(issuer.token(sub="user_past", permissions="holdings:read")) as client:
        request_id = client.get("/api/v1/teams/7").headers["x-request-id"]
    person = officer(console)
    assert eventually(lambda: ask(person, request_id=request_id).status_code == 200)
    text = words(ask(person, request_id=request_id).text)
    assert "What was decided then" in text
    assert "user_past" in text
    assert "Needs catalog:read, which is not held" in text
    refused = ask(officer(console, "policies:read"), request_id=request_id)
    assert refused.status_code == 400
    assert "user_past" not in refused.text
    assert "decisions:read" in words(refused.text)
    for request_id in ("never", "\x00"):
        unknown = ask(person, request_id=request_id)
        assert "No decision on this request is in the log" in words(unknown.text)
