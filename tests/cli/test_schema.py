"""`authz schema`: every command with --json has a schema, and what it prints is valid by it.

`command` checks the output of every command of the other tests in this way too.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest
from jsonschema import ValidationError

from app.audit.batch import Batch
from app.audit.record import grant_set
from app.cli import main
from app.cli.json_documents import DIALECT, DOCUMENTS
from app.db.decision_writer import DecisionWriter
from app.db.engine import open_engine
from app.db.session import sessions_of
from app.identity.api_keys import mint
from app.keys import api_keys
from tests.cli.command import command
from tests.cli.json_output import check_json, validator
from tests.db.records import RECORD, varied
from tests.support.server import ROOT, database_copy

READ_LEAGUES = "p, catalog:read, /api/v1/leagues/**, GET|HEAD, allow\n"
ROW = {"file", "line", "column", "row"}


def _commands(group: click.Group, words: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command that is not a group, by its words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        _, found, _ = group.resolve_command(context, [name])
        if isinstance(found, click.Group):
            yield from _commands(found, (*words, name))
        elif found is not None:
            yield " ".join((*words, name)), found


def test_every_command_with_json_has_a_schema() -> None:
    with_json = {
        name for name, found in _commands(main) if any("--json" in parameter.opts for parameter in found.params)
    }
    assert set(DOCUMENTS) == {*with_json, "decisions export"}
    listed = command("schema").stdout.splitlines()
    assert listed == [f"authz schema {name}" for name in DOCUMENTS]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_schema_names_every_key_and_stays_the_same(name: str) -> None:
    printed = command("schema", *name.split())
    assert (printed.returncode, printed.stderr) == (0, "")
    schema = json.loads(printed.stdout)
    assert schema == json.loads(command("schema", "authz", *name.split()).stdout)
    assert (schema["$schema"], schema["title"]) == (DIALECT, f"authz {name}")
    assert schema["$id"] == f"urn:griddy-authz:schema:{name.replace(' ', '-')}"
    validator(name)
    for definition in schema["$defs"].values():
        assert definition["description"] and not definition["description"].startswith("Struct")
        assert definition["additionalProperties"] is False
        assert "place" not in definition["properties"]
        if {"file", "line"} & definition["properties"].keys():
            assert definition["properties"].keys() >= ROW and set(definition["required"]) >= ROW


@pytest.mark.parametrize("words", [("policy",), ("serve",), ("policy", "chekc"), ("policy", "check", "more"), ("",)])
def test_a_command_without_json_has_no_schema(words: tuple[str, ...]) -> None:
    refused = command("schema", *words)
    assert (refused.returncode, refused.stdout) == ((2, "") if any(words) else (0, refused.stdout))


def test_a_key_that_is_not_declared_is_noticed() -> None:
    printed = command("policy", "explain", "--json", "--as", "auth:jwt", "GET", "/api/v1/teams/7").stdout
    words = ("policy", "explain", "--json")
    found = json.loads(printed)
    check_json(words, printed)
    for wrong in (
        {**found, "place": "x.csv:7"},
        {**found, "near": [{**found["near"][0], "place": "x"}]},
        {"allowed": True},
    ):
        with pytest.raises(ValidationError):
            check_json(words, json.dumps(wrong))


class Deployment:
    """A policy directory, a candidate, and a database with a key and decisions of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        shutil.copytree(ROOT / "policies", directory / "policies")
        self.candidate = Path(shutil.copytree(ROOT / "policies", directory / "candidate"))
        url = database_copy(directory)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AUTHZ_")}
        self._env = {**kept, "AUTHZ_DATABASE_URL": url, "AUTHZ_POLICY_DIR": str(directory / "policies")}
        asyncio.run(_fill(url))

    def json(self, code: int, *words: str) -> Any:
        """What a command prints with --json, which `command` has checked; that of JSON Lines is a list."""
        done = command(*words, *(() if "export" in words else ("--json",)), env=self._env, cwd=self.directory)
        assert done.returncode == code, done
        if DOCUMENTS[" ".join(words[:2]) if words[0] != "audit" else "audit"].is_lines:
            return [json.loads(line) for line in done.stdout.splitlines()]
        return json.loads(done.stdout)

    def write(self, old: str, new: str, file: str = "catalog.csv") -> None:
        path = self.candidate / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))


async def _fill(url: str) -> None:
    engine = open_engine(url)
    sessions = sessions_of(engine)
    async with sessions() as session:
        for _ in range(2):
            new = mint("live")
            scopes = ["catalog:read", "catalog:write"]
            await api_keys.insert(
                session, subject="user_a", name="k", new=new, scopes=scopes, now=datetime.now(UTC), token_grants=scopes
            )
        await session.commit()
    now = int(time.time() * 1_000_000)
    row = READ_LEAGUES.strip()
    allowed = varied(
        RECORD,
        at=now - 60_000_000,
        request_id="allowed",
        method="api_key",
        key_id=1,
        subject="user_a",
        resource="/api/v1/leagues",
        rule_place="catalog.csv:4",
        rule_text=row,
        reason="a rule allows it",
        grants=grant_set(frozenset({"anyone", "auth:api_key", "env:live", "catalog:read", "key:"})),
    )
    without_row: dict[str, Any] = {"allowed": False, "rule_place": None, "rule_text": None}
    denied = varied(allowed, request_id="denied", **without_row, resource="/api/v1/sources", missing=("holdings:read",))
    await DecisionWriter(sessions).write(Batch.of([allowed, denied]))
    await engine.dispose()


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path)


def test_what_commands_print_about_policies_is_valid(deployment: Deployment) -> None:
    ask = ("GET", "/api/v1/leagues")
    assert deployment.json(0, "policy", "check")["findings"][0].keys() >= ROW
    assert deployment.json(0, "policy", "explain", "--as", "catalog:read", *ask)["rule"].keys() == ROW
    assert deployment.json(1, "policy", "explain", "--as", "auth:jwt", *ask)["near"][0].keys() >= ROW
    assert deployment.json(0, "policy", "reach", "--as", "role:viewer")["results"][0]["rule"].keys() == ROW
    assert deployment.json(0, "policy", "who", *ask)["ways"][0]["rule"].keys() == ROW
    assert deployment.json(0, "policy", "routes")["routes"][0]["rules"][0].keys() >= ROW
    assert deployment.json(0, "policy", "test", "--coverage")["coverage"]["rows"]["missing"] is not None
    assert deployment.json(0, "policy", "diff", "policies", "candidate")["changes"] == []
    deployment.write(READ_LEAGUES, READ_LEAGUES.replace("catalog:read", "holdings:read"))
    deployment.write("# end", "g, user:bob, role:admin\n# end", "roles.csv")
    changed = deployment.json(1, "policy", "diff", "policies", "candidate")
    assert changed["changes"][0]["rows"][0].keys() >= ROW
    assert changed["summary"][0]["rows"][0].keys() >= ROW
    assert changed["entries"][0].keys() >= ROW
    failed = deployment.json(1, "policy", "test", "candidate")
    assert failed["cases"][0].keys() >= ROW and failed["failed"]
    deployment.write("holdings:read, /api/v1/leagues/**", "holdings:raed, /api/v1/leagues/**")
    for words in (
        ("check", "candidate"),
        ("test", "candidate"),
        ("routes", "candidate"),
        ("explain", "--as", "auth:jwt", *ask, "--dir", "candidate"),
        ("reach", "--as", "auth:jwt", "--dir", "candidate"),
        ("who", *ask, "--dir", "candidate"),
        ("usage", "--key", "1", "--dir", "candidate"),
        ("diff", "policies", "candidate"),
        ("replay", "candidate"),
        ("publish", "candidate", "-m", "x"),
    ):
        (fault,) = deployment.json(1, "policy", *words)["faults"]
        assert (fault["file"], fault["line"], fault["column"], fault["length"]) == ("catalog.csv", 4, 4, 13), words
        assert fault["row"] == READ_LEAGUES.strip().replace("catalog:read", "holdings:raed")


def test_what_commands_print_from_the_database_is_valid(deployment: Deployment) -> None:
    assert deployment.json(0, "policy", "history") == []
    denied = deployment.json(1, "policy", "explain", "--request", "denied")
    assert (denied["then"]["rule"], denied["others"]) == (None, 0)
    allowed = deployment.json(0, "policy", "explain", "--request", "allowed")
    assert allowed["then"]["rule"] == allowed["now"]["rule"] | {"column": None}
    assert len(deployment.json(0, "decisions", "tail")) == len(deployment.json(0, "decisions", "export")) == 2
    assert deployment.json(0, "policy", "who", "GET", "/api/v1/leagues", "--keys")["keys"][0]["id"] == 1
    used = deployment.json(1, "policy", "usage", "--key", "1")
    assert (used["used"][0]["scope"], used["unused"]) == ("catalog:read", ["catalog:write"])
    assert len(deployment.json(0, "keys", "list")) == 2
    assert deployment.json(0, "keys", "revoke", "2")["state"] == "revoked"
    assert deployment.json(0, "keys", "revoke", "--owner", "user_b", "--yes")["revoked"] == 0
    assert deployment.json(1, "keys", "check")["keys"][0]["token_seen"] is None

    deployment.write(READ_LEAGUES, READ_LEAGUES.replace("catalog:read", "holdings:read"))
    changes = deployment.json(1, "policy", "replay", "candidate")["changes"]
    assert [change["change"] for change in changes] == ["lost"]
    publish = ("policy", "publish", "candidate", "-m", "x")
    accepted = ("--acknowledge-widening", "--accept-failing", "The cases follow.")
    refused = deployment.json(1, *publish)
    assert refused["cases"]["failures"][0].keys() >= ROW
    assert deployment.json(1, *publish, "--dry-run")["reasons"] == refused["reasons"]
    done = deployment.json(0, *publish, *accepted)
    assert {each["kind"] for each in done["rows"]} == {"added", "removed"} and done["rows"][0].keys() >= ROW
    assert deployment.json(0, "policy", "show", done["revision"])["files"].keys() >= {"catalog.csv", "roles.csv"}
    back = deployment.json(1, "policy", "rollback", done["parent"])
    assert (back["published"], back["widens"]) == (False, True)
    assert deployment.json(0, "policy", "rollback", done["parent"], *accepted, "--wait", "0")["published"] is True
    assert len(deployment.json(0, "policy", "history")) == 3
    assert {act["action"] for act in deployment.json(0, "audit")} == {"key.revoke", "policy.publish", "policy.rollback"}
