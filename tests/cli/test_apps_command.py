"""`authz apps` on the database of a running service."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import command
from tests.support.server import database_copy

REDIRECT = "https://scores.example/cb"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The environment of a database without apps."""
    return {"AUTHZ_DATABASE_URL": database_copy(tmp_path)}


def run(env: dict[str, str], *words: str) -> str:
    done = command("apps", *words, env=env)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def run_json(env: dict[str, str], *words: str) -> Any:
    return json.loads(run(env, *words, "--json"))


def digests(env: dict[str, str]) -> tuple[bytes | None, bytes | None]:
    with closing(sqlite3.connect(env["AUTHZ_DATABASE_URL"].removeprefix("sqlite:///"))) as database:
        found: tuple[bytes | None, bytes | None] = database.execute(
            "SELECT secret_digest, former_digest FROM oauth_clients"
        ).fetchone()
    return found


def test_a_registered_app_is_shown_with_its_secret_once(env: dict[str, str]) -> None:
    assert run(env, "list") == "No apps yet: `authz apps add` registers one.\n"
    added = run(env, "add", "Scores", "--redirect", REDIRECT, "--confidential").splitlines()
    found = re.fullmatch(r"App (app_[0-9a-f]{24}) \(“Scores”\) is registered\.", added[0])
    secret = re.fullmatch(r"Secret: (grd_ocs_[0-9a-f]{48})", added[1])
    assert found is not None
    assert secret is not None
    assert added[2].startswith("Store this secret now")
    listed = run(env, "list")
    heading, line = (re.split(r" {2,}", row.strip()) for row in listed.splitlines())
    assert heading == ["id", "client id", "name", "kind", "host", "secret", "users", "state"]
    assert line == ["1", found[1], "Scores", "registered", "scores.example", "yes", "0", "enabled"]
    assert secret[1] not in listed
    narrow = run({**env, "FORCE_COLOR": "1", "COLUMNS": "40"}, "list")
    assert ("state" in narrow, "enabled" in narrow, found[1] in narrow) == (True, True, True)
    (row,) = run_json(env, "list")
    assert (row["client_id"], row["host"], row["is_confidential"]) == (found[1], "scores.example", True)
    assert row["created_by"].startswith("cli:")
    assert digests(env) == (hashlib.sha256(secret[1].encode()).digest(), None)


def test_a_public_app_has_no_secret(env: dict[str, str]) -> None:
    words = ("--redirect", "http://127.0.0.1/cb", "--redirect", "com.example.app:/cb")
    assert run(env, "add", "On a device", *words).count("\n") == 1
    shown = run_json(env, "add", "Other", *words)
    assert (shown["client_secret"], shown["warning"], shown["app"]["host"]) == (None, None, None)
    client_id = shown["app"]["client_id"]
    refused = command("apps", "rotate", client_id, env=env)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "authz: This app has no secret: register a confidential one instead.\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("Scores", "--redirect", "http://scores.example/"),
            r"authz: redirect_uris\.0: must begin with https://; .+\n",
        ),
        (("a\u202eb", "--redirect", REDIRECT), r"authz: name: must be printable, .+\n"),
        ((" ", "--redirect", REDIRECT, "--redirect", "x"), r"authz: name: .+\nauthz: redirect_uris\.1: .+\n"),
    ],
)
def test_an_invalid_app_is_refused_by_field(env: dict[str, str], words: tuple[str, ...], message: str) -> None:
    refused = command("apps", "add", *words, env=env)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert re.fullmatch(message, refused.stderr)
    assert run_json(env, "list") == []


def test_rotate_disable_enable_and_remove(env: dict[str, str]) -> None:
    first = run_json(env, "add", "Scores", "--redirect", REDIRECT, "--confidential")
    client_id = first["app"]["client_id"]
    assert "the old one is accepted until 20" in run(env, "rotate", client_id, "--overlap-seconds", "60")
    assert digests(env)[1] == hashlib.sha256(first["client_secret"].encode()).digest()
    again = command("apps", "rotate", client_id, env=env)
    assert (again.returncode, again.stdout) == (1, "")
    last = run_json(env, "rotate", client_id, "--overlap-seconds", "0")
    assert digests(env) == (hashlib.sha256(last["client_secret"].encode()).digest(), None)

    assert re.fullmatch(r"App app_\w+ \(“Scores”\) is disabled since 20\S+Z\.\n", run(env, "disable", client_id))
    assert f"App {client_id} (“Scores”) was already disabled, since 20" in run(env, "disable", client_id)
    assert [row["client_id"] for row in run_json(env, "list", "--status", "disabled")] == [client_id]
    assert run(env, "list", "--status", "enabled") == "No such apps.\n"
    assert run(env, "enable", client_id) == f"App {client_id} (“Scores”) is enabled.\n"
    assert run(env, "enable", client_id) == f"App {client_id} (“Scores”) was already enabled.\n"
    assert run_json(env, "disable", client_id)["is_enabled"] is False
    assert run_json(env, "enable", client_id)["is_enabled"] is True

    asked = command("apps", "remove", client_id, env=env, given="n\n")
    assert (asked.returncode, asked.stdout) == (1, "")
    assert "--yes" in asked.stderr
    assert run_json(env, "remove", client_id, "--yes")["client_id"] == client_id
    assert run_json(env, "list") == []
    acts = [json.loads(line) for line in command("audit", "--action", "app", "--json", env=env).stdout.splitlines()]
    assert {(act["target"], act["door"]) for act in acts} == {(f"app:{client_id}", "cli")}
    assert sorted(act["action"] for act in acts) == sorted(
        ["app.register", *["app.rotate"] * 2, *["app.disable", "app.enable"] * 2, "app.remove"]
    )


@pytest.mark.parametrize("act", ["rotate", "disable", "enable", "remove"])
@pytest.mark.parametrize("client_id", ["app_1", "", "https://app.example/client.json", "a\x1bb", "1"])
def test_an_app_that_does_not_exist(env: dict[str, str], act: str, client_id: str) -> None:
    refused = command("apps", act, client_id, *(["--yes"] if act == "remove" else []), env=env)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert re.fullmatch("authz: there is no app .+; `authz apps list` lists the existing ones.\n", refused.stderr)
    assert refused.stderr.strip().isprintable()


def test_the_list_is_paged(env: dict[str, str]) -> None:
    for number in range(3):
        run(env, "add", f"App {number}", "--redirect", REDIRECT)
    page = run(env, "list", "--kind", "registered", "--limit", "2")
    assert page.endswith("More: authz apps list --kind registered --before 2\n")
    assert [row["id"] for row in run_json(env, "list", "--before", "2")] == [1]
    assert run(env, "list", "--before", "1") == "No such apps before 1.\n"
