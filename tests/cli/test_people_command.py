"""`authz people` on the database of a running service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command import command
from tests.support.server import database_copy

UNKNOWN = "No user with this `sub` has signed in to the console or had a key: check its spelling.\n"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The environment of a database without people."""
    return {"AUTHZ_DATABASE_URL": database_copy(tmp_path)}


def run(env: dict[str, str], *words: str) -> str:
    done = command("people", *words, env=env)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def test_the_people_who_are_blocked_are_listed(env: dict[str, str]) -> None:
    assert run(env, "list") == "No person is blocked.\n"
    for sub in ("user_a", "user b", "auth0|c"):
        assert run(env, "block", sub).endswith(f" ended.\n{UNKNOWN}"), "also when it is blocked again"
    assert run(env, "block", "user_a").endswith(UNKNOWN)
    heading, *rows = run(env, "list").splitlines()
    assert heading.split() == ["id", "user", "blocked", "last", "sign-in"]
    assert [row.split("  ")[1].strip() for row in rows] == ["auth0|c", '"user b"', "user_a"]
    assert all(row.rstrip().endswith("never") for row in rows)
    assert run(env, "list", "--limit", "2").endswith("More: authz people list --before 2\n")
    (last,) = json.loads(run(env, "list", "--before", "2", "--json"))
    assert (last["subject"], last["signed_in_at"]) == ("user_a", None)
    assert run(env, "list", "--before", "1") == "Nothing before 1.\n"
    run(env, "unblock", "user_a")
    assert "user_a" not in run(env, "list")


def test_blocking_and_unblocking_say_what_was_so_before(env: dict[str, str]) -> None:
    assert run(env, "unblock", "user_a") == "user_a was not blocked.\n"
    since = run(env, "block", "user_a").split()[4]
    assert run(env, "block", "user_a").startswith(f"user_a was already blocked, since {since} 0 consents")
    assert json.loads(run(env, "block", "user_a", "--json"))["was_blocked"] is True
    assert run(env, "unblock", "user_a") == "user_a is not blocked any more.\n"
    assert json.loads(run(env, "unblock", "user_a", "--json"))["was_blocked"] is False
    assert json.loads(run(env, "block", "user_a", "--json"))["was_blocked"] is False
    assert json.loads(run(env, "unblock", "user_a", "--json"))["was_blocked"] is True
    acts = command("audit", "--action", "person", "--json", env=env).stdout.splitlines()
    expected = ["person.block", "person.unblock"] * 2
    assert [json.loads(act)["action"] for act in acts] == expected, "what changed nothing is no act"
