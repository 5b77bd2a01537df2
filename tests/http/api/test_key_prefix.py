"""A deployment whose tokens have a prefix of its own, while those with the former one are still accepted."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from app.db.engine import open_engine
from app.db.session import sessions_of
from app.identity.api_keys import MintedKey, mint
from app.identity.token_format import DEFAULT_PREFIX
from app.keys import api_keys
from app.token_prefixes import use_token_prefixes
from tests.cli.command import command
from tests.console.admins import officer
from tests.support.issuer import LiveIssuer
from tests.support.server import AUTHZ, Server, free_port

KEYS, TEAMS = "/api/v1/api-keys/", "/api/v1/teams"
DIGITS = "5a" * 24


@pytest.fixture(scope="module")
def acme(issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    port = free_port()
    with Server(
        tmp_path_factory.mktemp("prefix"),
        jwks_url=issuer.jwks_url,
        issuer=issuer.url,
        key_prefix="acme,grd",
        console_client_id="console",
        command=(str(AUTHZ), "serve", "--port", str(port)),
        console_url=f"http://127.0.0.1:{port}",
    ) as started:
        yield started


@pytest.fixture(autouse=True)
def default_prefix() -> Iterator[None]:
    """Commands of this process use the prefix of their environment, and leave it."""
    yield
    use_token_prefixes([DEFAULT_PREFIX])


def former_key(server: Server, subject: str) -> MintedKey:
    """A key from before the prefix was changed."""
    new = mint("live")

    async def store() -> None:
        engine = open_engine(server.env["AUTHZ_DATABASE_URL"])
        now = datetime.now(UTC)
        async with sessions_of(engine)() as session:
            await api_keys.insert(
                session, subject=subject, name="old", new=new, scopes=["catalog:read"], now=now,
                token_grants=["catalog:read"],
            )  # fmt: skip
            await session.commit()
        await engine.dispose()

    asyncio.run(store())
    return new


def ask(server: Server, token: str) -> tuple[int, str]:
    with server.client(token) as client:
        answer = client.get(TEAMS)
    return answer.status_code, answer.json().get("detail", "")


def found_keys(server: Server, issuer: LiveIssuer) -> set[str]:
    """The ids of the keys that open the teams, by a search over AuthZEN."""
    question = {"subject": {"type": "key"}, "action": {"name": "GET"}, "resource": {"type": "route", "id": TEAMS}}
    with server.client(issuer.token(permissions=["decisions:evaluate"])) as client:
        answer = client.post("/access/v1/search/subject", json=question)
    assert answer.status_code == 200, answer.text
    return {result["id"] for result in answer.json()["results"]}


def evaluated(server: Server, issuer: LiveIssuer, key: str) -> bool:
    question = {
        "subject": {"type": "key", "id": key},
        "action": {"name": "GET"},
        "resource": {"type": "route", "id": TEAMS},
    }
    with server.client(issuer.token(permissions=["decisions:evaluate"])) as client:
        answer = client.post("/access/v1/evaluation", json=question)
    assert answer.status_code == 200, answer.text
    return bool(answer.json()["decision"])


def owner(server: Server, issuer: LiveIssuer, *permissions: str) -> httpx.Client:
    return server.client(issuer.token(sub="user_owner", permissions=["catalog:read", *permissions]))


def test_a_new_key_has_the_new_prefix_and_a_former_one_is_accepted_and_rotated(
    acme: Server, issuer: LiveIssuer
) -> None:
    old = former_key(acme, "user_owner")
    with owner(acme, issuer) as client:
        issued = client.post(KEYS, json={"name": "k", "environment": "test", "scopes": ["catalog:read"]}).json()
        assert issued["plaintext"].startswith("acme_test_")
        assert issued["api_key"]["key_prefix"] == issued["plaintext"][:18]
        assert ask(acme, issued["plaintext"])[0] == ask(acme, old.plaintext)[0] == 200
        listed = {key["key_prefix"]: key["id"] for key in client.get(KEYS).json()}
        rotated = client.post(f"{KEYS}{listed[old.prefix]}/rotate/", json={"grace_seconds": 60}).json()
    assert rotated["plaintext"].startswith("acme_live_")
    assert ask(acme, rotated["plaintext"])[0] == ask(acme, old.plaintext)[0] == 200


@pytest.mark.parametrize(
    ("token", "detail"),
    [
        ("acme_", "Malformed API key."),
        ("acme_live_5a", "Malformed API key."),
        ("grd_live_5a", "Malformed API key."),
        (f"acme_prod_{DIGITS}", "Malformed API key."),
        (f"acme_live_{DIGITS}", "Invalid API key."),
        (f"grd_live_{DIGITS}", "Invalid API key."),
        (f"acme_oat_{DIGITS}", "Invalid token."),
        (f"other_live_{DIGITS}", "Invalid token."),
        (f"Acme_live_{DIGITS}", "Invalid token."),
    ],
)
def test_each_refusal_is_that_of_its_form(acme: Server, token: str, detail: str) -> None:
    assert ask(acme, token) == (401, detail)


def test_the_log_says_that_a_key_has_another_prefix(acme: Server) -> None:
    ask(acme, f"former_live_{secrets.token_hex(24)}")
    assert acme.wait_for_log(lambda entry: entry.get("cause") == "other_prefix")["detail"] == "Invalid token."


def test_the_documentation_has_the_prefix(acme: Server) -> None:
    with acme.client() as client:
        document, page = client.get("/openapi.json"), client.get("/docs").text
    assert "grd_" not in document.text
    scheme = document.json()["components"]["securitySchemes"]["api_key"]
    assert scheme["bearerFormat"] == "acme_live_<48 hex> or acme_test_<48 hex>"
    assert '"plaintext":"acme_live_0123' in document.text
    assert '"acme_oat_0123' in document.text
    assert "grd_" not in page
    assert "<code>acme_live_…</code>" in page


@pytest.mark.parametrize("prefix", ["acme", "grd"])
@pytest.mark.parametrize("digits", [DIGITS, DIGITS[:9], DIGITS[:47]])
def test_a_pasted_key_is_refused_and_no_log_has_it(acme: Server, issuer: LiveIssuer, prefix: str, digits: str) -> None:
    key = f"{prefix}_live_{digits}"
    with owner(acme, issuer) as client:
        refused = client.post(KEYS, json={"name": f"my {key}", "scopes": []})
        assert refused.status_code == 400
        assert "must not contain an API key" in refused.text
        assert client.post(KEYS, json={"name": f"my {key[: len(prefix) + 14]}", "scopes": []}).status_code == 201
        answer = client.get(f"{TEAMS}/{key}", headers={"X-Request-ID": key})
        assert key not in answer.headers["x-request-id"]
        assert client.get(f"/nowhere/{key}?key={key}").status_code == 404
    assert not [line for line in acme.written_lines() if f"{prefix}_live_5a5a" in line]


def test_the_console_finds_keys_by_their_prefix(acme: Server, issuer: LiveIssuer) -> None:
    old, person = former_key(acme, "user_former"), officer(acme)
    with owner(acme, issuer) as client:
        key = client.post(KEYS, json={"name": "k", "scopes": []}).json()["plaintext"]
    page = person.get("/console/all-keys").text
    assert 'maxlength="18" placeholder="acme_live_0a1b2c3d"' in page
    for sent, shown in ((key, key[:18]), (key[:18], key[:18]), (old.plaintext, old.prefix), (old.prefix, old.prefix)):
        page = person.get(f"/console/all-keys?prefix={sent}").text
        assert page.count("/revoke") == 1
        assert f'value="{shown}"' in page
        assert sent == shown or sent not in page
    wrong = person.get(f"/console/all-keys?prefix=Acme_live_{DIGITS}")
    assert wrong.status_code == 400
    assert "such as acme_live_0a1b2c3d" in wrong.text
    assert "5a5a5a5a5" not in wrong.text
    assert "grd_" not in person.get("/console/keys/new").text


def test_commands_use_the_prefix(acme: Server, issuer: LiveIssuer) -> None:
    env = {name: acme.env[name] for name in ("AUTHZ_DATABASE_URL", "AUTHZ_KEY_PREFIX")}
    old = former_key(acme, "user_command")
    with owner(acme, issuer) as client:
        key = client.post(KEYS, json={"name": "k", "scopes": []}).json()["plaintext"]

    def listed(*words: str) -> list[str]:
        rows = json.loads(command("keys", "list", "--json", "--limit", "1000", *words, env=env).stdout)
        return [row["key_prefix"] for row in rows]

    assert old.prefix in listed("--prefix", "grd_", "--status", "active")
    assert key[:18] not in listed("--prefix", "grd_live_")
    assert old.prefix not in listed("--prefix", "acme_live_")
    assert listed("--prefix", key[:18]) == [key[:18]]
    too_long = command("keys", "list", "--prefix", key, env=env)
    assert (too_long.returncode, "--prefix takes 18 characters" in too_long.stderr) == (2, True)
    junk = command("keys", "revoke", "-", env=env, given="acme_live_5a")
    assert (junk.returncode, "acme_live_5a5a…" in junk.stderr) == (2, True)
    for plaintext in (key, old.plaintext):
        done = command("keys", "revoke", "-", env=env, given=plaintext)
        assert done.returncode == 0, done.stderr
    app = command("apps", "add", "Scores", "--redirect", "https://app.example/cb", "--confidential", env=env)
    assert "Secret: acme_ocs_" in app.stdout, app.stderr


def test_a_server_that_does_not_accept_a_former_prefix_says_so(
    acme: Server, issuer: LiveIssuer, tmp_path: Path
) -> None:
    former_key(acme, "user_late")
    late = max(found_keys(acme, issuer), key=int)
    database = acme.env["AUTHZ_DATABASE_URL"]
    with Server(
        tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url, key_prefix="acme,old", database_url=database
    ) as server:
        line = server.wait_for_log(lambda entry: "because of their prefix" in str(entry.get("event")))
        assert (line["level"], line["prefix"]) == ("warning", "grd")
        assert "AUTHZ_KEY_PREFIX=acme,old,grd" in line["hint"]
        assert late not in found_keys(server, issuer)
        assert not evaluated(server, issuer, late)
    assert evaluated(acme, issuer, late)
    assert not [entry for entry in acme.log if "because of their prefix" in str(entry.get("event"))]
