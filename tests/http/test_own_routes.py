"""Handlers of a team's own API behind the policy, and an application without the sample API."""

from __future__ import annotations

import html
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from app.assembly import route_table
from app.cli import main
from app.http.own_routes import own_handlers
from app.settings_variables import SettingsError
from tests.cli.command import command
from tests.console.admins import officer
from tests.support.issuer import LiveIssuer
from tests.support.server import AUTHZ, Server, database_copy, free_port

ROUTES = "tests.apps.own_api:ROUTES"
TITLE = """Orders <b>of</b> "the" shop & 'Co' {{ 7 * 7 }} ${7*7} </title> API"""
# Of the sample API, and of nothing else.
SAMPLE = re.compile(
    r"football|\b(?:teams?|leagues?|seasons?|franchises?|venues?|games?|drives?|acquisitions?|fantasy)\b|catalog:|holdings",
    re.IGNORECASE,
)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, issuer: LiveIssuer) -> Iterator[Server]:
    """A server of those handlers, without the sample API."""
    directory, port = tmp_path_factory.mktemp("own"), free_port()
    command("init", "policies", "--name", "orders", cwd=directory, env={"AUTHZ_ROUTES": ROUTES})
    database = f"sqlite:///{directory / 'new.db'}"
    env = {"AUTHZ_DATABASE_URL": database, "AUTHZ_SAMPLE_API": "false"}
    assert command("db", "upgrade", cwd=directory, env=env).returncode == 0
    with Server(
        directory,
        jwks_url=issuer.jwks_url,
        issuer=issuer.url,
        routes=ROUTES,
        sample_api="false",
        api_title=TITLE,
        database_url=database,
        console_client_id="console",
        console_url=f"http://127.0.0.1:{port}",
        command=(str(AUTHZ), "serve", "--port", str(port)),
    ) as server:
        yield server


def test_a_handler_knows_its_caller_and_the_row_that_allowed_it(own: Server, issuer: LiveIssuer) -> None:
    with own.client(issuer.token(sub="user_1", permissions=["orders:read"])) as client:
        assert client.get("/v1/orders").json() == ["two tickets", "a jersey"]
        assert client.get("/v1/orders/1").json() == {
            "order": "two tickets",
            "subject": "user_1",
            "method": "jwt",
            "rule": "orders.csv",
        }


def test_the_policy_is_enforced_in_front_of_it(own: Server, issuer: LiveIssuer) -> None:
    with own.client() as client:
        assert client.get("/v1/orders").status_code == 401
    with own.client(issuer.token(permissions=["orders:read"])) as client:
        answer = client.post("/v1/orders", json={})
        assert (answer.status_code, 'scope="orders:write"' in answer.headers["www-authenticate"]) == (403, True)
    with own.client(issuer.token(permissions=["orders:write"])) as client:
        assert client.post("/v1/orders", json={"item": "a cap"}).json() == {"item": "a cap"}
        assert client.get("/v1/orders").status_code == 403


def test_an_invalid_parameter_is_no_invalid_body(own: Server, issuer: LiveIssuer) -> None:
    with own.client(issuer.token(permissions=["orders:read", "orders:write"])) as client:
        assert client.get("/v1/orders?limit=1").json() == ["two tickets"]
        query = client.get("/v1/orders?limit=all")
        assert (query.status_code, query.json()["detail"]) == (400, "The request is invalid.")
        assert [error["field"] for error in query.json()["errors"]] == ["limit"]
        body = client.post("/v1/orders", json={"item": 7})
        assert (body.status_code, body.json()["detail"]) == (400, "The request body is invalid.")


def test_the_sample_api_is_left_out(own: Server, issuer: LiveIssuer) -> None:
    with own.client(issuer.token(permissions=["orders:read"])) as client:
        assert client.get("/api/v1/teams/").status_code == 404
        document = client.get("/openapi.json").json()
        paths = document["paths"]
        assert document["info"]["title"] == TITLE
        assert not [tag for tag in document["tags"] if tag["name"] in ("catalog", "holdings")]
        assert paths["/v1/orders"]["get"]["tags"] == [TITLE]
        names = [tag["name"] for tag in document["tags"] if tag["description"]]
        assert (TITLE in names, names) == (True, sorted(set(names)))
    assert {"/v1/orders", "/v1/orders/{order_id}"} <= paths.keys()
    assert not [path for path in paths if "teams" in path or "sources" in path]


PAGES = (
    *("/keys", "/keys/new", "/account", "/apps", "/policy", "/policy/matrix", "/policy/simulator", "/policy/edit"),
    *("/policy/edit?file=orders.csv", "/policy/history", "/decisions", "/all-keys", "/admin-actions", "/replicas"),
    *("/registered-apps", "/registered-apps/new", "/no-such-page"),
)


def test_nothing_that_is_served_is_about_the_sample_api(own: Server, issuer: LiveIssuer) -> None:
    person = officer(own)
    texts = {f"/console{page}": person.get(f"/console{page}").text for page in PAGES}
    with own.client(issuer.token(permissions=["orders:read", "decisions:evaluate", "policies:read"])) as client:
        for path in ("/openapi.json", "/docs", "/", "/api/v1/policies/", "/nowhere", "/api/v1/teams/7", "/readyz"):
            texts[path] = client.get(path).text
        for thing in ("orders", "orders/7", "/v1/orders//", "/v1/nothing"):
            texts[thing] = client.get("/api/v1/policies/who", params={"action": "GET", "resource": thing}).text
        question = {"subject": {"type": "user", "id": "a"}, "action": {"name": "GET"}, "options": {"explain": True}}
        body = {**question, "resource": {"type": "route", "id": "orders"}}
        texts["evaluation"] = client.post("/access/v1/evaluation", json=body).text
    found = {
        path: match[0] for path, text in texts.items() if (match := SAMPLE.search(text.replace("/api/v1/teams/7", "")))
    }
    assert found == {}
    assert not [path for path, text in texts.items() if "Internal Server Error" in text]


def test_a_title_is_shown_as_text(own: Server) -> None:
    person = officer(own)
    shown = html.escape(TITLE.removesuffix(" API"), quote=False)
    page = person.get("/console/account").text
    assert f"{TITLE.removesuffix(' API')} <span>console</span>" in html.unescape(page)
    assert "<b>of</b>" not in page
    assert f"· {shown} console</title>".replace('"', "&#34;").replace("'", "&#39;") in page
    with own.client() as client:
        docs = client.get("/docs").text
        assert client.get("/openapi.json").json()["info"]["title"] == TITLE
    assert "<b>of</b>" not in docs
    assert f"<h1>{TITLE}</h1>" in html.unescape(docs)


def test_the_documentation_begins_with_the_handlers(own: Server) -> None:
    with own.client() as client:
        titles = re.findall(r"<h2 id=\"([^\"]+)", client.get("/docs").text)
    assert html.unescape(titles[0]) == TITLE.replace(" ", "-")
    assert titles[1] == "authzen"
    assert titles[-2:] == ["health", "responses-of-all-operations"]


def commands(found: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of all commands."""
    yield words
    if isinstance(found, click.Group):
        context = click.Context(found)
        for name in found.list_commands(context):
            below = found.get_command(context, name)
            assert below is not None
            yield from commands(below, (*words, name))


def test_no_help_of_a_command_is_about_the_sample_api() -> None:
    found = {}
    for words in commands(main):
        shown = command(*words, "--help")
        assert shown.returncode == 0
        if match := SAMPLE.search(shown.stdout):
            found[words] = match[0]
    assert found == {}


def test_a_database_that_has_tables_of_the_sample_api_keeps_them_and_says_so(tmp_path: Path) -> None:
    env = {"AUTHZ_DATABASE_URL": database_copy(tmp_path)}
    assert "sample API" not in command("db", "upgrade", env=env).stdout
    said = command("db", "upgrade", env={**env, "AUTHZ_SAMPLE_API": "false"}).stdout
    assert "The tables of the sample API stay, since they may have rows. Nothing uses them." in said
    new = {"AUTHZ_DATABASE_URL": f"sqlite:///{tmp_path / 'new.db'}", "AUTHZ_SAMPLE_API": "false"}
    assert "sample API" not in command("db", "upgrade", env=new).stdout


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("tests.apps.own_api", "write a module and a name in it"),
        ("tests/apps:ROUTES", "write a module and a name in it"),
        ("tests.apps.own_api:", "write a module and a name in it"),
        ("tests.apps.own_api:MISSING", "has no `MISSING`; it has BESIDE_OTHERS, CLASHING, "),
        ("tests.apps.absent:ROUTES", "there is no module `tests.apps.absent`"),
        ("absent.routes:ROUTES", "there is no module `absent`, neither installed nor in "),
        ("tests.apps.own_api:EMPTY", "is empty"),
        ("tests.apps.own_api:NUMBER", "Unsupported value"),
        ("tests.apps.own_api:CLASHING", "/healthz"),
    ],
)
def test_an_address_without_handlers_is_refused(address: str, message: str) -> None:
    with pytest.raises(SettingsError, match=r"^AUTHZ_ROUTES: ") as refused:
        route_table(routes=address)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ROUTES = [\n", "broken.py:1: SyntaxError"),
        ("\n\nROUTES = [missing]\n", "broken.py:3: NameError: name 'missing' is not defined"),
        ("import absent_too\n", "ModuleNotFoundError: No module named 'absent_too'"),
    ],
)
def test_the_place_of_an_error_in_a_module_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    (tmp_path / "broken.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)  # undone afterwards, with what the function adds
    monkeypatch.delitem(sys.modules, "broken", raising=False)
    with pytest.raises(SettingsError, match=r"^AUTHZ_ROUTES: ") as refused:
        own_handlers("broken:ROUTES")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
