"""Tokens in the forms of well-known issuers: without an audience, with several, long ones and unusual ones."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.settings import SettingsError, load
from tests.metrics.scraped import scrape
from tests.support.issuer import PARTY, LiveIssuer
from tests.support.server import Server, eventually

TEAMS = "/api/v1/teams/"
SESSION = {"sid": "sess_2abc", "fva": [3, -1], "sts": "active"}
# https://clerk.com/docs/guides/sessions/session-tokens has both versions.
CLERK: dict[str, dict[str, Any]] = {
    "v1": {"azp": PARTY, "org_id": "org_1", "org_role": "admin", "org_slug": "a", "org_permissions": [], **SESSION},
    "v2": {
        "azp": PARTY,
        "v": 2,
        "pla": "u:free",
        "fea": "o:dashboard",
        "o": {"id": "org_1", "rol": "admin"},
        **SESSION,
    },
}


def clerk_token(issuer: LiveIssuer, version: str, **claims: Any) -> str:
    """A session token in the form of Clerk, valid for a minute."""
    now = int(time.time())
    stated = {"aud": None, "nbf": now - 10, "iat": now, "exp": now + 60, **CLERK[version], **claims}
    return issuer.token(**stated)


@pytest.fixture(scope="module", params=["uvicorn", "granian"])
def without_audience(
    request: pytest.FixtureRequest, issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server for session tokens: authorized parties, and no audience."""
    server = Server(
        tmp_path_factory.mktemp("clerk"),
        jwks_url=issuer.jwks_url,
        issuer=issuer.url,
        authorized_parties=f"https://other.example,{PARTY}",
        organizations="clerk",
        server=request.param,
    )
    catalog = server.policy_dir / "catalog.csv"
    rows = (
        "p, org:org_1 org-role:admin, /api/v1/venues, GET, allow",
        "p, org:org_1, /api/v1/games, GET, allow, \"subject.org.slug == 'a' && subject.org.id == 'org_1'\"",
        "p, org:org_bad, /api/v1/**, GET, deny",
    )
    catalog.write_text(catalog.read_text().replace("# end\n", "".join(f"{row}\n" for row in rows) + "# end\n"))
    del server.env["AUTHZ_AUDIENCE"]
    with server:
        yield server


def call(server: Server, token: str) -> tuple[int, str]:
    answer = httpx.get(server.url + TEAMS, headers={"Authorization": f"Bearer {token}"}, timeout=20)
    return answer.status_code, answer.json().get("detail", "")


@pytest.mark.parametrize("version", CLERK)
def test_a_session_token_of_clerk_is_accepted(without_audience: Server, issuer: LiveIssuer, version: str) -> None:
    server = without_audience
    assert call(server, clerk_token(issuer, version))[0] == 403
    assert call(server, clerk_token(issuer, version, permissions=["catalog:read"]))[0] == 200
    assert call(server, clerk_token(issuer, version, permissions="catalog:read"))[0] == 200
    assert call(server, clerk_token(issuer, version, sts=None, permissions=["catalog:read"]))[0] == 200
    assert call(server, clerk_token(issuer, version, azp=None)) == (401, "Invalid authorized party.")
    assert call(server, clerk_token(issuer, version, azp="https://evil.example")) == (401, "Invalid authorized party.")
    assert call(server, clerk_token(issuer, version, sts="pending")) == (401, "Invalid token.")
    assert call(server, clerk_token(issuer, version, aud="another-service")) == (401, "Invalid audience.")


def test_the_organization_of_a_session_is_in_rows_and_conditions(without_audience: Server, issuer: LiveIssuer) -> None:
    def status(path: str, version: str, **claims: Any) -> int:
        token = clerk_token(issuer, version, **claims)
        with without_audience.client(token) as client:
            return client.get(path).status_code

    ours = {"id": "org_1", "rol": "admin", "slg": "a", "per": "write,read", "fpm": "2"}
    assert status("/api/v1/venues", "v1") == status("/api/v1/venues", "v2") == 200
    assert status("/api/v1/games", "v1") == status("/api/v1/games", "v2", o=ours) == 200
    assert status("/api/v1/games", "v2") == 403, "it has no slug"
    assert (
        status("/api/v1/venues", "v1", org_role="org:member") == status("/api/v1/venues", "v1", org_id="org_2") == 403
    )
    assert status(TEAMS, "v2", fea="o:catalog", o=ours) == 200
    assert status(TEAMS, "v2", fea="o:holdings", o=ours) == 403
    assert status(TEAMS, "v1", org_permissions=["org:catalog:read"]) == 200
    assert status(TEAMS, "v1", org_permissions=["org:catalog:read"], org_id="org_bad") == 403
    assert call(without_audience, clerk_token(issuer, "v2", o={"rol": "admin"})) == (401, "Invalid token.")
    assert call(without_audience, clerk_token(issuer, "v1", org_id="org|1")) == (401, "Invalid token.")


def test_the_length_of_a_token_is_limited(without_audience: Server, issuer: LiveIssuer) -> None:
    def token(length: int) -> str:
        made = clerk_token(issuer, "v2", permissions=["catalog:read"], groups=["g" * 36] * ((length - 1_000) // 52))
        assert length * 0.9 < len(made) <= length
        return made

    for length in (9_000, 15_000, 16_384):
        for _ in range(2):  # verified, and cached
            assert call(without_audience, token(length))[0] == 200
    assert call(without_audience, token(18_500)) == (401, "Invalid token.")
    assert call(without_audience, "e" * 17_000) == (401, "Invalid token.")
    assert call(without_audience, "e" * 60_000) == (401, "Invalid token.")
    line = without_audience.wait_for_log(lambda line: line.get("cause") == "too_long")
    assert (line["event"], line["detail"]) == ("credentials refused", "Invalid token.")


def test_clocks_may_differ_by_a_few_seconds(server: Server, issuer: LiveIssuer) -> None:
    now = int(time.time())
    cases: list[tuple[dict[str, Any], int]] = [
        ({"nbf": now + 3}, 200),
        ({"iat": now + 3}, 200),
        ({"iat": now + 30}, 200),
        ({"exp": now - 2}, 200),
        ({"nbf": now + 30}, 401),
        ({"exp": now - 30}, 401),
    ]
    for times, status in cases:
        token = issuer.token(permissions=["catalog:read"], **times)
        assert [call(server, token)[0] for _ in range(2)] == [status] * 2, times


def test_the_cause_is_in_the_metric_the_decision_log_and_one_line(own_server: Server, issuer: LiveIssuer) -> None:
    now = int(time.time())
    bad = {
        "missing_aud": ("Invalid audience.", issuer.token(aud=None)),
        "missing_sub": ("Invalid token.", issuer.token(sub=None)),
        "sub_not_a_string": ("Invalid token.", issuer.token(sub=7)),
        "exp_in_milliseconds": ("Invalid token.", issuer.token(exp=(now + 60) * 1000)),
        "opaque": ("Invalid token.", "v2_opaque"),
        "not_valid_yet": ("Token is not valid yet.", issuer.token(nbf=now + 30)),
        "too_long": ("Invalid token.", "e" * 17_000),
        "sender_constrained": ("Invalid token.", issuer.token(cnf={"jkt": "a"})),
    }
    for detail, token in bad.values():
        for _ in range(3):
            assert call(own_server, token) == (401, detail)
    scraped = scrape(own_server, issuer)
    for cause in bad:
        assert scraped("authz_authentication_failures_total", door="app", fault=cause) == 3, cause
        lines = [line for line in own_server.written_log() if line.get("cause") == cause]
        assert len(lines) == 1, cause
    with own_server.client(issuer.token(permissions=["decisions:read"])) as client:

        def reasons() -> list[str]:
            listed = client.get("/api/v1/decisions/", params={"verdict": "deny"}).json()["results"]
            return [decision["reason"] for decision in listed for _ in range(decision["count"])]

        assert eventually(lambda: len(reasons()) == 3 * len(bad))
        for cause, (detail, _) in bad.items():
            expected = detail if cause == "not_valid_yet" else f"{detail} ({cause})"
            assert reasons().count(expected) == 3
    text = "\n".join(own_server.written_lines())
    assert not any(token in text for _, token in bad.values())


def test_ignored_keys_are_named_in_the_log_readyz_and_a_metric(issuer: LiveIssuer, server: Server) -> None:
    """The issuer of the shared server publishes another key for a while."""
    good = json.loads(issuer.publish()[1])["keys"]
    odd = [{"kty": "EC", "kid": "curve"}, {**good[0], "kid": "upper", "use": "SIG"}]
    issuer.answer = lambda: (200, json.dumps({"keys": [*odd, *good, *good]}).encode())
    try:
        assert eventually(lambda: call(server, issuer.token(kid="new"))[0] == 401 and ignored(server) != [], 15)
    finally:
        issuer.answer = issuer.publish
    texts = ["key 'curve': not an RSA key", "key 'upper': its use is not sig"]
    assert ignored(server) == texts
    found = scrape(server, issuer)
    assert found("authz_key_set_ignored_keys", reason="not_rsa") == 1
    assert found("authz_key_set_ignored_keys", reason="use") == 1
    assert found("authz_key_set_ignored_keys") == 2
    assert found("authz_key_set_keys") == 1
    server.wait_for_log(lambda line: all(text in str(line.get("event")) for text in texts))


def ignored(server: Server) -> list[str]:
    texts: list[str] = httpx.get(f"{server.url}/readyz").json()["checks"]["key_set"]["ignored"]
    return texts


STATED = {"AUTHZ_JWKS_URL": "https://issuer.example/jwks", "AUTHZ_ISSUER": "https://issuer.example"}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Variables with an issuer only: no audience, no authorized parties."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("AUTHZ_")]:
        monkeypatch.delenv(name)
    for name, value in STATED.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_the_audience_is_a_list_or_unset_where_parties_are_set(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("AUTHZ_AUDIENCE", " griddy , other,")
    assert load().audience == ("griddy", "other")
    environment.setenv("AUTHZ_AUTHORIZED_PARTIES", PARTY)
    assert load().audience == ("griddy", "other")
    environment.delenv("AUTHZ_AUDIENCE")
    assert load().audience == ()


def test_a_missing_audience_is_reported_along_with_other_faults(environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"\AAUTHZ_AUDIENCE: not set, nor AUTHZ_AUTHORIZED_PARTIES: [^\n]+\Z"):
        load()
    environment.setenv("AUTHZ_JWKS_URL", "http://issuer.example/")
    environment.delenv("AUTHZ_ISSUER")
    with pytest.raises(SettingsError) as refused:
        load()
    assert [line.partition(":")[0] for line in str(refused.value).splitlines()] == [
        "AUTHZ_JWKS_URL",
        "AUTHZ_ISSUER",
        "AUTHZ_AUDIENCE",
    ]


@pytest.mark.parametrize("name", ["AUTHZ_AUDIENCE", "AUTHZ_AUTHORIZED_PARTIES"])
@pytest.mark.parametrize("value", ["", ",", " "])
def test_an_empty_audience_or_party_disables_no_check(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment.setenv("AUTHZ_AUDIENCE", "griddy")
    environment.setenv("AUTHZ_AUTHORIZED_PARTIES", PARTY)
    environment.setenv(name, value)
    with pytest.raises(SettingsError, match=rf"\A{name}: [^\n]+\Z"):
        load()


def test_the_console_needs_an_issuer_over_tls(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("AUTHZ_AUDIENCE", "griddy")
    environment.setenv("AUTHZ_ISSUER", "http://issuer.example")
    assert load(), "the issuer is only a name if no one signs in"
    environment.setenv("AUTHZ_CONSOLE_CLIENT_ID", "console")
    environment.setenv("AUTHZ_PUBLIC_URL", "https://authz.example")
    with pytest.raises(SettingsError, match=r"\AAUTHZ_ISSUER: .*https://[^\n]*\Z"):
        load()
    for issuer in ("https://issuer.example", "http://127.0.0.1:9000", "http://localhost:9000"):
        environment.setenv("AUTHZ_ISSUER", issuer)
        assert load()
