"""`authz keys` on the database of a running service."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from app.db.engine import open_engine
from app.db.session import sessions_of
from app.identity.api_keys import MintedKey, mint
from app.keys import api_keys
from tests.cli.command import command
from tests.support.server import ROOT, database_copy

KEYS = [mint("live") for _ in range(3)]


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The environment of a database with three keys."""
    url = database_copy(tmp_path)
    asyncio.run(_issue(url, KEYS))
    return {"AUTHZ_DATABASE_URL": url}


async def _issue(url: str, keys: list[MintedKey]) -> None:
    engine = open_engine(url)
    async with sessions_of(engine)() as session:
        for number, new in enumerate(keys, 1):
            now = datetime.now(UTC)
            await api_keys.insert(session, subject=f"user_{number % 2}", name="k", new=new, scopes=[], now=now)
        await session.commit()
    await engine.dispose()


def _ids(env: dict[str, str], *words: str) -> list[int]:
    done = command("keys", "list", "--json", *words, env=env)
    assert done.returncode == 0, done.stderr
    return [row["id"] for row in json.loads(done.stdout)]


def test_keys_are_found_by_owner_prefix_and_status(env: dict[str, str]) -> None:
    assert command("keys", "revoke", "2", env=env).returncode == 0
    assert _ids(env) == [3, 2, 1]
    assert _ids(env, "--owner", "user_1") == _ids(env, "--subject", "user_1") == [3, 1]
    assert _ids(env, "--prefix", KEYS[2].prefix) == [3]
    assert _ids(env, "--prefix", "longerprefix_live_5a5a5a5a") == []  # of a former setting
    assert _ids(env, "--status", "revoked") == [2]
    assert _ids(env, "--status", "active") == [3, 1]
    assert (
        _ids(env, "--status", "rotated")
        == _ids(env, "--status", "superseded")
        == _ids(env, "--status", "expiring")
        == []
    )
    assert _ids(env, "--before", "3", "--limit", "1") == [2]
    page = command("keys", "list", "--owner", "user_1", "--limit", "1", env=env)
    assert page.stdout.endswith("More: authz keys list --owner user_1 --before 3\n")
    assert command("keys", "list", "--owner", "user_9", env=env).stdout == "No such keys.\n"


def test_a_block_counts_what_it_ended(env: dict[str, str]) -> None:
    for user, keys in (("user_0", "1 key"), ("user_1", "2 keys")):
        done = command("people", "block", user, env=env)
        assert done.stdout.endswith(f"; 0 consents to apps, {keys} and 0 console sessions ended.\n"), done
    # On one line with its state, in a pipe.
    assert f"{KEYS[0].prefix}…  k" in command("keys", "list", env=env).stdout


def test_a_rotated_key_is_found_by_the_word_that_is_shown(env: dict[str, str]) -> None:
    with closing(sqlite3.connect(env["AUTHZ_DATABASE_URL"].removeprefix("sqlite:///"))) as database:
        database.execute("UPDATE api_keys SET successor_id = 3 WHERE id = 1")
        database.commit()
    for status in ("rotated", "superseded"):
        assert _ids(env, "--status", status) == [1]
        shown = command("keys", "list", "--status", status, "--limit", "1", env=env).stdout
        assert "rotated" in shown
        assert shown.endswith("More: authz keys list --status rotated --before 1\n")
    assert [row["state"] for row in json.loads(command("keys", "list", "--json", env=env).stdout)].count(
        "superseded"
    ) == 1


def test_the_help_shows_one_name_of_each_option(env: dict[str, str]) -> None:
    text = command("keys", "list", "--help", env=env).stdout
    assert "--owner" in text
    assert "[active|unused|expiring|rota" in text
    assert "--subject" not in text
    assert "superseded" not in text
    both = command("keys", "list", "--owner", "a", "--subject", "b", env=env)
    assert both.returncode == 2
    assert "--subject is another name of --owner" in both.stderr


def test_a_complete_key_is_not_a_prefix(env: dict[str, str]) -> None:
    refused = command("keys", "list", "--prefix", KEYS[0].plaintext, env=env)
    assert refused.returncode == 2
    assert "--prefix takes 17 characters" in refused.stderr
    assert KEYS[0].plaintext not in refused.stderr


def test_a_key_can_be_revoked_from_standard_input(env: dict[str, str]) -> None:
    def revoke(given: str) -> CompletedProcess[str]:
        return command("keys", "revoke", "-", env=env, given=given)

    done = revoke(f"\n {KEYS[1].plaintext} \n")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Key 2 ({KEYS[1].prefix}…, “k”) of user_0 is revoked since 2")
    again = command("keys", "revoke", "2", env=env).stdout
    assert again == done.stdout.replace("is revoked", "was already revoked,"), "and the time stays"
    unknown = revoke(mint("live").plaintext)
    assert (unknown.returncode, unknown.stderr[:20]) == (1, "authz: there is no k")
    assert _ids(env, "--status", "revoked") == [2]
    for nonsense in ("", "grd_live_5a5a", KEYS[0].plaintext + "a", "2"):
        refused = revoke(nonsense)
        assert refused.returncode == 2
        assert "is not an API" in refused.stderr


def test_the_keys_of_an_organization_are_listed_and_revoked(env: dict[str, str]) -> None:
    with closing(sqlite3.connect(env["AUTHZ_DATABASE_URL"].removeprefix("sqlite:///"))) as database, database:
        given = "subject = 'org:org_1', organization = 'org_1', created_by = 'user_ann', token_grants = '[]'"
        database.execute(f"UPDATE api_keys SET {given} WHERE id > 1")
    assert _ids(env, "--org", "org_1") == _ids(env, "--owner", "org:org_1") == [3, 2]
    assert _ids(env, "--org", "org_2") == []
    (row, _) = json.loads(command("keys", "list", "--json", "--org", "org_1", env=env).stdout)
    assert (row["subject"], row["organization"], row["created_by"]) == ("org:org_1", "org_1", "user_ann")
    assert "org:org_1" in command("keys", "list", "--org", "org_1", env=env).stdout
    one = command("keys", "revoke", "2", env=env).stdout
    assert " of org:org_1, issued by user_ann, is revoked since " in one
    assert command("keys", "revoke", "--org", "org_1", "--yes", env=env).stdout == "1 key of org:org_1 revoked.\n"
    assert _ids(env, "--status", "active") == [1]
    for words in (("--org", "a b"), ("--org", ""), ("--org", "org_1", "--owner", "user_a")):
        for what in ("list", "revoke", "check"):
            refused = command("keys", what, *words, env=env)
            assert (refused.returncode, refused.stdout) == (2, ""), (what, words)


@pytest.mark.parametrize("words", ["0", "-1", "x", "2x", "9" * 20])
def test_an_invalid_id_revokes_nothing(words: str, env: dict[str, str]) -> None:
    assert command("keys", "revoke", "--", words, env=env).returncode in (1, 2)
    assert _ids(env, "--status", "active") == [3, 2, 1]


@pytest.mark.parametrize(
    "words",
    [
        "keys list",
        "keys revoke 1",
        "decisions tail",
        "decisions export",
        "policy history",
        "policy usage --key 1",
        "policy explain --request x --dir {policies}",
        "db backup copy.db",
        "db vacuum",
    ],
)
def test_a_missing_database_is_named_and_not_created(words: str, tmp_path: Path) -> None:
    names = ("AUTHZ_ISSUER", "AUTHZ_AUDIENCE", "AUTHZ_JWKS_URL")
    env = {**dict.fromkeys(names, "https://issuer.example"), "AUTHZ_POLICY_DIR": str(ROOT / "policies")}
    done = command(*words.format(policies=ROOT / "policies").split(), cwd=tmp_path, env=env)
    assert done.returncode == 1
    assert ".authz/authz.db" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def _admin_actions(env: dict[str, str]) -> list[tuple[str, str, str]]:
    with closing(sqlite3.connect(env["AUTHZ_DATABASE_URL"].removeprefix("sqlite:///"))) as database:
        query = "SELECT action, target, message FROM admin_actions WHERE author LIKE 'cli:%' ORDER BY id"
        return database.execute(query).fetchall()


def test_all_keys_of_an_owner_are_revoked_together(env: dict[str, str]) -> None:
    refused = command("keys", "revoke", "--owner", "user_1", env=env, given="n\n")
    assert refused.returncode == 1
    assert "Revoke all API keys of user_1?" in refused.stderr
    unasked = command("keys", "revoke", "--owner", "user_1", env=env)  # without anybody to answer
    for done in (refused, unasked):
        assert (done.returncode, done.stderr.splitlines()[-1]) == (
            1,
            "authz: nothing was changed; --yes does it without the question.",
        )
    assert _ids(env, "--status", "active") == [3, 2, 1]
    assert command("keys", "revoke", "3", env=env).returncode == 0
    done = command("keys", "revoke", "--owner", "user_1", "--yes", env=env)
    assert (done.returncode, done.stdout) == (0, "1 key of user_1 revoked.\n")
    assert _ids(env, "--status", "active") == [2]
    again = command("keys", "revoke", "--owner", "user_1", "--yes", "--json", env=env)
    assert json.loads(again.stdout) == {"owner": "user_1", "revoked": 0}
    assert (
        command("keys", "revoke", "--owner", "user_unknown", "--yes", env=env).stdout
        == "user_unknown has no key to revoke.\n"
    )
    prefix = [f"{key.prefix} of user_1" for key in (KEYS[2], KEYS[0])]
    assert _admin_actions(env) == [("key.revoke", "key:3", prefix[0]), ("key.revoke", "key:1", prefix[1])]
    for words in (["--owner", "user_1", "7"], []):
        assert command("keys", "revoke", *words, env=env).returncode == 2


def test_the_exit_code_of_check_reports_a_key_beyond_its_owner(env: dict[str, str]) -> None:
    whole = {**env, "AUTHZ_POLICY_DIR": str(ROOT / "policies")}
    fine = command("keys", "check", env=whole)
    assert (fine.returncode, fine.stdout) == (0, "No key has scopes in force that its owner does not hold.\n")
    with closing(sqlite3.connect(env["AUTHZ_DATABASE_URL"].removeprefix("sqlite:///"))) as database, database:
        database.execute("""UPDATE api_keys SET scopes = '["catalog:read"]' WHERE id IN (1, 2)""")
        database.execute("UPDATE api_keys SET token_grants = '[]' WHERE id = 1")
    found = command("keys", "check", "--json", env=whole)
    assert found.returncode == 1
    assert json.loads(found.stdout)["keys"] == [
        {"id": 1, "owner": "user_1", "counting": [], "lost": ["catalog:read"], "token_seen": None},
        {"id": 2, "owner": "user_0", "counting": ["catalog:read"], "lost": [], "token_seen": None},
    ]
    assert command("keys", "check", "--owner", "user_1", env=whole).returncode == 0
