"""`authz decisions head` and `verify`: output, documents for programs, exit status and refusals."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from app.audit.chain.signatures import SigningKey
from app.db.engine import open_engine
from app.db.session import sessions_of
from tests.cli.command import command
from tests.db.chained import run, seal, write
from tests.db.test_decision_store import NOW, PLAIN
from tests.support.server import prepared_database

KEYS = tuple(Ed25519PrivateKey.generate() for _ in range(2))


@pytest.fixture
def env(tmp_path: Path) -> Mapping[str, str]:
    """The settings of a database with sealed decisions; before the last segment there was no key."""
    shutil.copy(prepared_database(), tmp_path / "authz.db")
    for number, key in enumerate(KEYS):
        pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / f"public{number}.pem").write_bytes(pem)
    private = KEYS[0].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "private.pem").write_bytes(private)
    return {"AUTHZ_DATABASE_URL": f"sqlite:///{tmp_path / 'authz.db'}"}


def change(env: Mapping[str, str], *statements: str, decisions: int = 0, key: SigningKey | None = None) -> None:
    """Write and seal decisions, or run statements."""

    async def act() -> None:
        engine = open_engine(env["AUTHZ_DATABASE_URL"])
        sessions = sessions_of(engine)
        if decisions:
            await write(sessions, [PLAIN._replace(request_id=f"r{number}") for number in range(decisions)])
            await seal(sessions, key=key)
        if statements:
            await run(sessions, *statements)
        await engine.dispose()

    asyncio.run(act())


def decisions(env: Mapping[str, str], tmp_path: Path, *words: str) -> CompletedProcess[str]:
    return command("decisions", *words, env=env, cwd=tmp_path)


def test_a_chain_is_verified_with_keys_and_heads(env: Mapping[str, str], tmp_path: Path) -> None:
    assert json.loads(decisions(env, tmp_path, "head", "--json").stdout) == []
    change(env, decisions=3)
    unsigned = decisions(env, tmp_path, "head").stdout.split()[0]
    assert unsigned.startswith("decisions:1:")
    unkeyed = decisions(env, tmp_path, "verify")
    assert unkeyed.returncode == 0
    assert "The head is not signed" in unkeyed.stdout
    change(env, decisions=2, key=SigningKey(KEYS[0]))
    (head,) = json.loads(decisions(env, tmp_path, "head", "--json").stdout)
    assert (head["log"], head["key_id"]) == ("decisions", SigningKey(KEYS[0]).key_id)
    assert "Signatures are not checked: name the public keys" in decisions(env, tmp_path, "verify").stdout

    shown = decisions(env, tmp_path, "verify", "--public-key", "public0.pem").stdout
    assert "signature     decisions: entry 1 of " in shown
    assert "decisions: 1 fault. 5 rows were compared" in shown
    assert "with --unsigned-until." in shown
    with_key = ("verify", "--json", "--public-key", "public0.pem")
    found = decisions(env, tmp_path, *with_key, "--unsigned-until", unsigned, "--head", head["head"])
    document = json.loads(found.stdout)
    assert (found.returncode, document["ok"], document["signatures_checked"], document["faults"]) == (0, True, True, [])
    log = document["logs"][0]
    assert (log["entries"], log["checked"], log["signed"], log["unsigned"], log["head"]) == (2, 5, 1, 1, head["head"])
    for words in (
        with_key,
        ("verify", "--public-key", "public1.pem", "--unsigned-until", unsigned),
        ("verify", "--head", unsigned[:-1] + ("0" if unsigned[-1] != "0" else "1")),
        ("verify", "--head", f"admin:7:{'0' * 64}"),
    ):
        assert decisions(env, tmp_path, *words).returncode == 3, words


def test_rows_that_differ_are_named(env: Mapping[str, str], tmp_path: Path) -> None:
    change(
        env, "UPDATE decision_rows SET latency = 1 WHERE id = 2", "DELETE FROM decision_rows WHERE id = 3", decisions=4
    )
    found = decisions(env, tmp_path, "verify", "--json")
    document = json.loads(found.stdout)
    assert (found.returncode, document["ok"]) == (3, False)
    assert [(fault["kind"], fault["row_id"], fault["entry"]) for fault in document["faults"]] == [
        ("altered", 2, 1),
        ("removed", 3, 1),
    ]
    today = f"{datetime.fromtimestamp(NOW / 10**6, UTC):%Y-%m-%d}"
    assert document["faults"][0]["time"].startswith(today)
    shown = decisions(env, tmp_path, "verify", "--day", today)
    assert shown.returncode == 3
    assert "row 2 of decision_rows" in shown.stdout
    assert "decisions: 2 faults." in shown.stdout
    assert decisions(env, tmp_path, "verify", "--day", "2020-01-01").returncode == 0


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--public-key", "private.pem"), 1, "private.pem has no public Ed25519 key"),
        (("--public-key", "missing.pem"), 1, "`missing.pem` cannot be used"),
        (("--head", "decisions:812"), 2, "is not a head as `authz decisions head` prints it"),
        (("--unsigned-until", "5"), 2, "is not a head"),
        (("--day", "yesterday"), 2, "does not match the format"),
    ],
)
def test_unusable_arguments_are_refused(
    env: Mapping[str, str], tmp_path: Path, words: tuple[str, ...], code: int, message: str
) -> None:
    found = decisions(env, tmp_path, "verify", *words)
    assert (found.returncode, found.stdout) == (code, "")
    assert message in " ".join(found.stderr.replace("│", " ").split())
