"""An app on behalf of a user at every door: the same verdicts, and no way to keys, the policy, the console or apps."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from app.http.declared_routes import route_table
from app.policy.engine.app_checks import CLOSED_TO_APPS
from app.policy.routing.routes import Route
from tests.console.conftest import server_for_apps
from tests.oauth.served import ServedApp
from tests.support.issuer import LiveIssuer
from tests.support.server import Server, eventually

SECRET = "a-secret-of-a-gateway-that-is-long-enough"
EVERYTHING = tuple(
    "catalog:read catalog:write holdings:read holdings:write policies:read policies:write decisions:read "
    "decisions:evaluate audit:read keys:read keys:write apps:read apps:write tokens:introspect metrics:read".split()
)
ROUTES = [
    route for route in route_table().routes if route.method in ("GET", "POST", "DELETE") and "**" not in route.template
]
TEAMS = "/api/v1/teams"


@pytest.fixture(scope="module")
def server(issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with gateways, where `user_root` has the role of administrators and some are denied."""
    started = server_for_apps(issuer, tmp_path_factory.mktemp("doors"), trusted_proxies="127.0.0.1")
    started.env["AUTHZ_GATEWAY_SECRETS"] = SECRET
    roles = started.policy_dir / "roles.csv"
    more = "g, user:user_root, role:admin\np, user:user_eve, /api/v1/teams/**, GET, deny\n# end\n"
    roles.write_text(roles.read_text().replace("# end\n", more))
    with started:
        yield started


@pytest.fixture(scope="module")
def app(server: Server) -> ServedApp:
    return ServedApp(server)


def path_of(template: str) -> str:
    return re.sub(r"\{[^}]+\}", "7", template)


class Doors:
    """The application and its gateways, over one connection."""

    def __init__(self, url: str, http: httpx.Client) -> None:
        self._url, self._http = url, http

    def gateway(self, token: str | None, route: Route) -> httpx.Response:
        """The answer to a gateway that was asked for this route."""
        headers = {
            "X-Gateway-Secret": SECRET,
            "X-Original-Method": route.method,
            "X-Original-URI": path_of(route.template),
            "X-Original-IP": "192.0.2.1",
            **({"Authorization": f"Bearer {token}"} if token else {}),
        }
        return self._http.get(f"{self._url}/gateway/nginx", headers=headers)

    def app(self, token: str, route: Route) -> httpx.Response:
        """The answer of the application."""
        url = self._url + path_of(route.template)
        return self._http.request(route.method, url, headers={"Authorization": f"Bearer {token}"})


@pytest.fixture(scope="module")
def doors(server: Server) -> Iterator[Doors]:
    with httpx.Client(timeout=20) as http:
        yield Doors(server.url, http)


def evaluate(server: Server, issuer: LiveIssuer, items: list[Mapping[str, Any]]) -> list[bool]:
    with server.client(issuer.token(sub="service", permissions=["decisions:evaluate"])) as client:
        answer = client.post("/access/v1/evaluations", json={"evaluations": items})
    assert answer.status_code == 200, answer.text
    return [each["decision"] for each in answer.json()["evaluations"]]


def test_no_app_reaches_a_role_of_its_user_or_what_no_app_may_reach(app: ServedApp, doors: Doors) -> None:
    token = app.tokens(subject="user_root", scopes=EVERYTHING, permissions=EVERYTHING)["access_token"]
    allowed = {route for route in ROUTES if doors.gateway(token, route).status_code == 200}
    assert Route(TEAMS, "GET") in allowed
    assert Route(f"{TEAMS}/{{team_id}}", "DELETE") not in allowed, "no row lets it ask for catalog:write"
    closed = [route for route in ROUTES if route.template.startswith(CLOSED_TO_APPS)]
    assert len(closed) > 50
    public = {route.template for route in allowed if route.template.startswith(CLOSED_TO_APPS)}
    anonymous = {route for route in closed if doors.gateway(None, route).status_code == 200}
    assert public == {route.template for route in anonymous}, "what is open to everyone"
    for route in [route for route in closed if route.method == "GET" and route not in allowed]:
        assert doors.app(token, route).status_code in (403, 401, 303), route


def test_the_verdicts_at_all_doors_are_the_same(
    app: ServedApp, server: Server, doors: Doors, issuer: LiveIssuer
) -> None:
    consents = {
        "user_ann": ("catalog:read",),  # who has both permissions
        "user_root": ("catalog:read", "holdings:read"),  # who has all by a role
        "user_eve": ("catalog:read", "holdings:read"),  # whom a row denies
    }
    permissions = {"user_ann": ("catalog:read", "holdings:read"), "user_root": (), "user_eve": ("catalog:read",)}
    routes = [route for route in ROUTES if route.method == "GET" and route.template.startswith("/api/v1")]
    opened: dict[str, int] = {}
    for user, scopes in consents.items():
        token = app.tokens(subject=user, scopes=scopes, permissions=permissions[user])["access_token"]
        gateway = [doors.gateway(token, route).status_code == 200 for route in routes]
        application = [doors.app(token, route).status_code not in (401, 403) for route in routes]
        subject = {"type": "app", "id": app.client_id, "properties": {"user": user, "scope": " ".join(scopes)}}
        items: list[Mapping[str, Any]] = [
            {"subject": subject, "action": {"name": "GET"}, "resource": {"type": "route", "id": route.template}}
            for route in routes
        ]
        assert evaluate(server, issuer, items) == gateway == application
        opened[user] = sum(gateway)
    assert opened["user_root"] > opened["user_ann"] > opened["user_eve"]


def test_the_service_behind_a_gateway_learns_the_app_and_what_both_hold(app: ServedApp, doors: Doors) -> None:
    token = app.tokens(subject="user_root", scopes=EVERYTHING, permissions=("catalog:write",))["access_token"]
    answer = doors.gateway(token, Route(TEAMS, "GET"))
    names = ("x-auth-subject", "x-auth-method", "x-auth-client", "x-auth-permissions", "x-auth-key-id")
    assert [answer.headers.get(name) for name in names] == [
        "user_root", "oauth", app.client_id, "catalog:read holdings:read", None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("user", "scopes", "permissions", "scope"),
    [
        ("user_ann", (), ("catalog:read",), 'scope="catalog:read"'),
        ("user_bob", ("catalog:read",), (), None),
        ("user_bob", (), (), None),
        ("user_eve", ("catalog:read",), ("catalog:read",), None),
        ("user_eve", (), ("catalog:read",), None),
    ],
)
def test_a_challenge_names_a_scope_only_if_consent_would_help(
    *, server: Server, doors: Doors, user: str, scopes: tuple[str, ...], permissions: tuple[str, ...], scope: str | None
) -> None:
    own = ServedApp(server)
    token = own.tokens(subject=user, scopes=scopes or ("holdings:read",), permissions=permissions)["access_token"]
    direct = doors.app(token, Route(TEAMS, "GET"))
    gateway = doors.gateway(token, Route(TEAMS, "GET"))
    for answer in (direct, gateway):
        assert answer.status_code == 403
        found = re.search(r'\bscope="[^"]*"', answer.headers["www-authenticate"])
        assert (found and found[0]) == scope
    assert direct.json() == {"detail": "Token is missing one or more required permissions."}


def test_the_decision_log_names_the_app_and_can_be_filtered_by_it(
    server: Server, doors: Doors, issuer: LiveIssuer
) -> None:
    own = ServedApp(server)
    token = own.tokens(subject="user_logged", permissions=("catalog:read",))["access_token"]
    for path in (TEAMS, "/api/v1/tags"):
        doors.app(token, Route(path, "GET"))
    with server.client(issuer.token(permissions=["decisions:read", "policies:read"])) as client:

        def logged() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = client.get(
                "/api/v1/decisions/", params={"client": own.client_id, "subject": "user_logged"}
            ).json()["results"]
            return found

        assert eventually(lambda: len(logged()) == 2, 10)
        denied, allowed = logged()
        assert [(each["client_id"], each["method"], each["verdict"]) for each in (allowed, denied)] == [
            (own.client_id, "oauth", "allow"),
            (own.client_id, "oauth", "deny"),
        ]
        assert denied["reason"] == "the user of the app may not do it"
        assert {"on-behalf::user:user_logged", "consented::catalog:read", "auth:oauth"} <= set(allowed["held"])
        past = client.post("/api/v1/policies/explain/", json={"request_id": denied["request_id"]}).json()
        assert [(side["side"], side["allowed"]) for side in past["now"]["sides"]] == [("app", True), ("user", False)]
        assert client.get("/api/v1/decisions/", params={"client": "app_other"}).json()["results"] == []
    with server.client(issuer.token(permissions=["metrics:read"])) as client:
        counted = client.get("/metrics").text
    for verdict in ("allow", "deny"):
        assert f'authz_app_decisions_total{{app="{own.client_id}",verdict="{verdict}"}} 1' in counted
    lines = [line for line in server.written_log() if line.get("client_id") == own.client_id]
    assert TEAMS in {line["path"] for line in lines}  # of many denials in a second, some are left out


def test_an_app_is_evaluated_as_the_database_has_it(server: Server, issuer: LiveIssuer) -> None:
    own = ServedApp(server)
    own.tokens(subject="user_held", scopes=("catalog:read",), permissions=("catalog:read",))

    def decided(**properties: Any) -> bool:
        subject = {"type": "app", "id": own.client_id, "properties": properties}
        item: Mapping[str, Any] = {
            "subject": subject,
            "action": {"name": "GET"},
            "resource": {"type": "route", "id": TEAMS},
        }
        return evaluate(server, issuer, [item])[0]

    assert decided(user="user_held")
    assert decided(user="user_held", scope="catalog:read holdings:read")
    refused: list[dict[str, Any]] = [
        {},
        {"user": ""},
        {"user": ["user_held"]},
        {"user": "user_other"},
        {"user": "user_held", "scope": ""},
        {"user": "user_held", "scope": "holdings:read"},
        {"user": "user_held", "scope": 7},
        {"user": "user_other", "permissions": ["catalog:read"], "scope": "catalog:read"},
    ]
    assert [decided(**properties) for properties in refused] == [False] * len(refused)
    own.change(host="App.Example")
    assert not decided(user="user_held"), "no row could name its host"
