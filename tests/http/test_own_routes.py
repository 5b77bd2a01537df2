"""Handlers of a team's own API behind the policy, and an application without the sample API."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.assembly import route_table
from app.http.own_routes import own_handlers
from app.settings_variables import SettingsError
from tests.cli.command import command
from tests.support.issuer import LiveIssuer
from tests.support.server import Server

ROUTES = "tests.apps.own_api:ROUTES"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, issuer: LiveIssuer) -> Iterator[Server]:
    """A server of those handlers, without the sample API."""
    directory = tmp_path_factory.mktemp("own")
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
        api_title="Orders of the shop",
        database_url=database,
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


def test_the_sample_api_is_left_out(own: Server, issuer: LiveIssuer) -> None:
    with own.client(issuer.token(permissions=["orders:read"])) as client:
        assert client.get("/api/v1/teams/").status_code == 404
        document = client.get("/openapi.json").json()
        paths = document["paths"]
        assert document["info"]["title"] == "Orders of the shop"
        assert "ootball" not in json.dumps(document)
        assert not [tag for tag in document["tags"] if tag["name"] in ("catalog", "holdings")]
    assert {"/v1/orders", "/v1/orders/{order_id}"} <= paths.keys()
    assert not [path for path in paths if "teams" in path or "sources" in path]


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
