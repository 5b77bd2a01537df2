"""`authz audit` during the run of a server."""

from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
import threading
from pathlib import Path

from tests.cli.command import command
from tests.support.issuer import LiveIssuer
from tests.support.server import AUTHZ, Server, eventually

KEYS = "/api/v1/api-keys/"


def audit(server: Server, *words: str) -> str:
    used = command("audit", *words, env=server.env, cwd=server.directory)
    assert (used.returncode, used.stderr) == (0, ""), used
    return used.stdout


def targets(output: str) -> list[str]:
    return [json.loads(line)["target"] for line in output.splitlines()]


def test_acts_are_shown_filtered_and_followed(own_server: Server, issuer: LiveIssuer) -> None:
    assert audit(own_server).startswith("No actions yet")
    assert audit(own_server, "--json") == ""
    hostile = 'x  by cli:root (cli)  "<b>שלום'
    with own_server.client(issuer.token(sub=hostile, permissions=["catalog:read"])) as client:
        made = [client.post(KEYS, json={"name": "k"}).json()["api_key"]["id"] for _ in range(3)]
    keys = [f"key:{key_id}" for key_id in made]
    # The environment does not determine who runs a command.
    env = {**own_server.env, "LOGNAME": "mallory", "USER": "mallory"}
    assert command("keys", "revoke", str(made[0]), env=env, cwd=own_server.directory).returncode == 0

    lines = audit(own_server, "-n", "2").splitlines()
    assert len(lines) == 3
    assert f"key.issue               {keys[2]}  by {json.dumps(hostile, ensure_ascii=False)} (api)  " in lines[0]
    account = f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
    assert f"key.revoke              {keys[0]}  by {account} (cli)" in lines[1], "the newest last"
    before = lines[2].removeprefix("Older actions: the same command with --before ")
    assert targets(audit(own_server, "--json", "--before", before)) == keys[:2]

    assert targets(audit(own_server, "--json", "--action", "key.issue", "--since", "1h")) == keys
    assert targets(audit(own_server, "--json", "--target", keys[0])) == [keys[0], keys[0]]
    assert targets(audit(own_server, "--json", "--actor", account)) == [keys[0]]
    assert audit(own_server, "--actor", hostile, "--json").isascii()
    assert audit(own_server, "--actor", "user_none") == "No action matches.\n"
    with own_server.client(issuer.token(permissions=["audit:read"])) as client:
        over_http = client.get("/api/v1/admin-actions/").json()
    (newest,) = audit(own_server, "--json", "-n", "1").splitlines()
    assert json.loads(newest) == over_http[0], "one shape everywhere"

    # A test in the background inherits an ignored SIGINT.
    words = ["env", "--default-signal=INT", str(AUTHZ), "audit", "--follow", "--json", "-n", "0", "--action", "key"]
    following = subprocess.Popen(
        words, env=own_server.env, cwd=own_server.directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    shown: list[str] = []
    out = following.stdout
    assert out
    reading = threading.Thread(target=lambda: shown.extend(iter(out.readline, "")), daemon=True)
    reading.start()
    try:
        with own_server.client(issuer.token(sub="user_b", permissions=[])) as client:
            client.post(KEYS, json={"name": "maybe before it began"})

            def one_more() -> bool:
                client.post(KEYS, json={"name": "k"})
                return bool(shown)

            assert eventually(one_more, 30)
            last = client.post(KEYS, json={"name": "last"}).json()["api_key"]["id"]
        assert eventually(lambda: targets("".join(shown))[-1] == f"key:{last}", 20), shown
    finally:
        following.send_signal(signal.SIGINT)
        _, stderr = following.communicate(timeout=20)
        reading.join(5)
    assert (following.returncode, stderr) == (0, "")
    followed = targets("".join(shown))
    assert len(followed) == len(set(followed)), "each once"
    assert followed == [f"key:{key_id}" for key_id in range(last - len(followed) + 1, last + 1)], "none is left out"


def test_an_invalid_filter_is_a_usage_error(tmp_path: Path) -> None:
    for words, said in (
        (("--since", "yesterday"), "--since cannot be read"),
        (("--action", "key.revoked"), "--action is not an act; choose one of policy"),
        (("--actor", "a\x1b"), "--actor must be printable"),
        (("--follow", "--before", "3"), "name one of --follow and --before"),
        (("--colour", "red"), "No such option"),
    ):
        used = command("audit", *words, cwd=tmp_path)
        assert used.returncode == 2
        assert said in " ".join(used.stderr.split()), used.stderr


def test_a_database_without_migrations_is_named(tmp_path: Path) -> None:
    used = command("audit", cwd=tmp_path)
    assert used.returncode == 1
    assert "authz db upgrade" in used.stderr
