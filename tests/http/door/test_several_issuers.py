"""Several issuers in a running server: from `issuers.toml`, with and without an issuer in the settings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.settings import SettingsError, load
from tests.history.test_publish import PUBLISH, ROLLBACK, active, admin, body, files
from tests.metrics.scraped import scrape
from tests.support.issuer import LiveIssuer
from tests.support.server import AUDIENCE, Server, eventually

TEAMS = "/api/v1/teams/"


def entry(name: str, issuer: LiveIssuer, *more: str, prefix: str | None = None) -> str:
    """The table of an issuer."""
    lines = [
        f"[{name}]",
        f'issuer = "{issuer.url}"',
        f'jwks_url = "{issuer.jwks_url}"',
        f'audiences = ["{AUDIENCE}"]',
        *((f'subject_prefix = "{prefix}"',) if prefix else ()),
        *more,
    ]
    return "\n".join(lines) + "\n"


def state(server: Server, *entries: str) -> None:
    """Write the file, or remove it without entries."""
    file = server.policy_dir / "issuers.toml"
    if entries:
        aside = file.with_name(".issuers")
        aside.write_text("".join(entries))
        aside.replace(file)
    else:
        file.unlink()


def call(server: Server, token: str) -> tuple[int, str]:
    answer = httpx.get(server.url + TEAMS, headers={"Authorization": f"Bearer {token}"}, timeout=20)
    return answer.status_code, answer.json().get("detail", "")


def serves(server: Server, token: str, status: int) -> bool:
    return eventually(lambda: call(server, token)[0] == status, 10)


@pytest.fixture
def listed(issuer: LiveIssuer, untrusted_issuer: LiveIssuer, tmp_path: Path) -> Iterator[Server]:
    """A server whose issuers are all in the file."""
    server = Server(tmp_path, jwks_url="", issuer="")
    for name in ("JWKS_URL", "ISSUER", "AUDIENCE"):
        del server.env[f"AUTHZ_{name}"]
    state(server, entry("first", issuer), entry("partner", untrusted_issuer, 'permissions = "scope"', prefix="p:"))
    with server:
        yield server


def test_issuers_come_and_go_while_requests_run(
    listed: Server, issuer: LiveIssuer, untrusted_issuer: LiveIssuer
) -> None:
    server, other = listed, untrusted_issuer
    ours, theirs = issuer.token(permissions=["catalog:read"]), other.token(scope="openid catalog:read")
    for _ in range(2):
        assert call(server, ours) == (200, "")
        assert call(server, theirs) == (200, "")
        assert call(server, other.token(permissions=["catalog:read"]))[0] == 403
        assert call(server, other.token(iss=issuer.url)) == (401, "Invalid signature.")
        assert call(server, issuer.token(iss=other.url)) == (401, "Invalid signature.")
        assert call(server, issuer.token(iss="https://issuer.example")) == (401, "Invalid issuer.")
    key_sets = httpx.get(f"{server.url}/readyz").json()["checks"]["key_set"]
    assert key_sets["ok"] and set(key_sets["issuers"]) == {"first", "partner"}
    assert all(each["ok"] and each["error"] is None for each in key_sets["issuers"].values())
    with server.client(issuer.token(sub="operator", permissions=["policies:write", "decisions:read"])) as client:
        assert eventually(lambda: {"user_test", "p:user_test"} <= subjects(client))

        state(server, entry("first", issuer))
        assert client.post("/api/v1/policies/reload/").status_code == 200
        assert call(server, theirs)[0] == 401, "at the next request, although it was cached"
        assert call(server, ours) == (200, "")
        assert "issuers" not in httpx.get(f"{server.url}/readyz").json()["checks"]["key_set"]

        state(server, entry("first", issuer), entry("partner", other, 'permissions = "scope"', prefix="p:"))
        assert client.post("/api/v1/policies/reload/").status_code == 200
        assert call(server, theirs) == (200, "")

        state(server, entry("first", issuer), entry("partner", other))
        refused = client.post("/api/v1/policies/reload/")
        assert refused.status_code == 422, refused.text
        assert "could have the same subject" in refused.text
        state(server)
        refused = client.post("/api/v1/policies/reload/")
        assert refused.status_code == 422 and "no issuer is trusted" in refused.text
        assert call(server, theirs) == (200, ""), "the last good policy stays active"


def subjects(client: httpx.Client) -> set[str]:
    """The subjects in the decision log."""
    return {each["subject"] for each in client.get("/api/v1/decisions/").json()["results"]}


def test_the_issuer_of_the_settings_is_one_of_several(
    own_server: Server, issuer: LiveIssuer, untrusted_issuer: LiveIssuer
) -> None:
    server, other = own_server, untrusted_issuer
    ours, theirs = (each.token(permissions=["catalog:read"]) for each in (issuer, other))
    assert call(server, theirs)[0] == 401
    state(server, entry("partner", other, prefix="p:"))
    assert serves(server, theirs, 200)
    assert call(server, ours) == (200, "")
    assert call(server, issuer.token(sub="p:user_test")) == (401, "Invalid token.")
    found = scrape(server, issuer)
    for name in ("settings", "partner"):
        assert found("authz_key_set_usable", issuer=name) == 1
        assert found("authz_key_set_fetches_total", issuer=name) >= 1
    for wrong in (entry("partner", other), entry("own", issuer, prefix="own:")):
        state(server, wrong)
        with server.client(issuer.token(permissions=["policies:write"])) as client:
            assert client.post("/api/v1/policies/reload/").status_code == 422
    assert call(server, theirs) == (200, "")
    state(server)
    assert serves(server, theirs, 401)
    assert call(server, ours) == (200, "")


def test_an_issuer_is_published_and_rolled_back(own_server: Server, issuer: LiveIssuer) -> None:
    with LiveIssuer() as other, admin(own_server, issuer) as client:
        first, theirs = active(client), other.token(permissions=["catalog:read"])
        more = {**files(own_server), "issuers.toml": entry("partner", other, prefix="p:")}
        refused = client.post(PUBLISH, json=body(client, more))
        assert refused.status_code == 409
        line = f"the issuer partner ({other.url}) is trusted: its users may gain access"
        assert refused.json()["summary"][0]["text"] == line
        assert call(own_server, theirs)[0] == 401
        done = client.post(PUBLISH, json=body(client, more, acknowledge_widening=True)).json()
        assert done["widens"] and done["summary"][0]["text"] == line
        assert any(row["row"].startswith(f"issuer partner: {other.url}") for row in done["rows"])
        assert call(own_server, theirs) == (200, "")
        back = {"revision": first, "parent": active(client), "message": "Back."}
        assert client.post(ROLLBACK, json=back).status_code == 200
        assert call(own_server, theirs)[0] == 401
        own = {**more, "issuers.toml": entry("own", issuer, prefix="own:")}
        refused = client.post(PUBLISH, json=body(client, own, acknowledge_widening=True))
        assert refused.status_code == 422 and "AUTHZ_ISSUER" in refused.text


def test_one_issuer_may_be_down(own_server: Server, issuer: LiveIssuer) -> None:
    with LiveIssuer() as down:
        down.answer = lambda: (500, b"")
        state(own_server, entry("down", down, prefix="d:"))
        own_server.wait_for_log(
            lambda line: str(line.get("event")).startswith("The signing keys of down could not be fetched")
        )
        assert call(own_server, down.token()) == (503, "Signing keys are unavailable.")
        assert call(own_server, issuer.token(permissions=["catalog:read"])) == (200, "")
        ready = httpx.get(f"{own_server.url}/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        checks = ready.json()["checks"]["key_set"]
        assert (checks["ok"], checks["error"]) == (False, "down: the answer has status 500")
        assert {name: each["ok"] for name, each in checks["issuers"].items()} == {"settings": True, "down": False}


def test_an_app_of_another_authorization_server(own_server: Server, issuer: LiveIssuer) -> None:
    with LiveIssuer() as other:
        catalog = own_server.policy_dir / "catalog.csv"
        ask = "p, app-kind:external, scope:catalog:read, ask, allow\n"
        catalog.write_text(catalog.read_text().replace("# end\n", f"{ask}# end\n"))
        state(own_server, entry("apps", other, "delegated = true", prefix="apps:"))

        def token(**claims: Any) -> str:
            return other.token(client_id="web", permissions=["catalog:read", "catalog:write"], **claims)

        assert serves(own_server, token(scope="catalog:read"), 200)
        with own_server.client(token(scope="catalog:read catalog:write")) as client:
            refused = client.post(TEAMS, json={})
            assert refused.status_code == 403, "no row lets it ask for catalog:write"
            assert client.get("/api/v1/api-keys/").status_code == 403
        with own_server.client(token()) as client:
            refused = client.get(TEAMS)
            assert refused.status_code == 403 and 'scope="catalog:read"' in refused.headers["WWW-Authenticate"]
        assert call(own_server, other.token(client_id="a|b", scope="catalog:read")) == (401, "Invalid token.")
        with own_server.client(issuer.token(permissions=["tokens:introspect"])) as client:
            answer = client.post("/oauth/introspect", data={"token": token(scope="catalog:read")}).json()
            assert (answer["active"], answer["sub"], answer["client_id"]) == (True, "apps:user_test", "apps/web")
            assert answer["scope"] == "catalog:read"


@pytest.mark.parametrize(
    ("variables", "fault"),
    [
        ({}, None),
        ({"ISSUER": "https://a.example", "AUDIENCE": "griddy"}, "AUTHZ_JWKS_URL: not set"),
        ({"JWKS_URL": "https://a.example/jwks", "AUDIENCE": "griddy"}, "AUTHZ_ISSUER: not set"),
        ({"AUDIENCE": "griddy"}, "AUTHZ_AUDIENCE: is for AUTHZ_ISSUER"),
        ({"AUTHORIZED_PARTIES": "web"}, "AUTHZ_AUTHORIZED_PARTIES: is for AUTHZ_ISSUER"),
        ({"CONSOLE_CLIENT_ID": "console", "PUBLIC_URL": "https://authz.example"}, "AUTHZ_ISSUER: not set: users"),
        ({"ISSUER": "https://a.example", "JWKS_URL": "https://a.example/jwks", "AUDIENCE": "griddy"}, None),
        ({"ISSUER": "https://a.example", "JWKS_URL": "https://a.example/jwks"}, "AUTHZ_AUDIENCE: not set"),
    ],
)
def test_the_settings_need_no_issuer_if_the_file_has_them(
    variables: dict[str, str], fault: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies/issuers.toml").write_text("")
    for name in ("ISSUER", "JWKS_URL", "AUDIENCE", "AUTHORIZED_PARTIES"):
        monkeypatch.delenv(f"AUTHZ_{name}", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(f"AUTHZ_{name}", value)
    if fault is None:
        assert load().issuer == variables.get("ISSUER")
        return
    with pytest.raises(SettingsError, match=rf"\A{fault}[^\n]*\Z"):
        load()
