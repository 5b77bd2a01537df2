"""Upgrade a database under running servers of an earlier version, and then replace these by servers of this version.

    .venv/bin/python -m scripts.trials.upgrade --old v0.1.0

`--old` is a commit of this repository; its program runs with the packages of this one. Three servers behind nginx, on
PostgreSQL, are asked by JWT and by key and issue keys all the while: before, during and after `authz db upgrade`, and
while each is replaced. Exits with 1 when a request fails, or a server of the earlier version logs an error.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.support.balancer import balancer
from tests.support.breakable import BreakablePostgres
from tests.support.issuer import PARTY, LiveIssuer
from tests.support.load import Load
from tests.support.server import ROOT, Server, free_port
from tests.support.trials.rolling_restart import DRAIN_SECONDS

_PAUSE_SECONDS = 1.5
_PROGRAM = (sys.executable, "-c", "from app.cli import main; main()")


def extracted(ref: str, directory: Path) -> Path:
    """Extract the earlier version of the program."""
    packed = subprocess.run(["git", "archive", ref], cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(directory, filter="data")
    return directory


def prepare(root: Path, database: str) -> None:
    """Run `authz db upgrade` of the program in a directory."""
    env = {"PYTHONPATH": str(root), "AUTHZ_DATABASE_URL": database}
    subprocess.run([*_PROGRAM, "db", "upgrade"], cwd=root, env=env, check=True, capture_output=True)


def server(root: Path, directory: Path, port: int, issuer: LiveIssuer, database: str) -> Server:
    """A server of the program in `root`, with the policy of its version if the directory has none."""
    directory.mkdir(exist_ok=True)
    made = Server(
        directory,
        jwks_url=issuer.jwks_url,
        issuer=issuer.url,
        authorized_parties=PARTY,
        command=(*_PROGRAM, "serve", "--port", str(port)),
        policies=root / "policies",
        database_url=database,
        drain_seconds=DRAIN_SECONDS,
        access_log="false",
        key_issues_per_minute="0",
    )
    made.env["PYTHONPATH"] = str(root)
    if root != ROOT:  # an earlier version may not have these settings
        del made.env["AUTHZ_KEY_MAX_ACTIVE"], made.env["AUTHZ_KEY_ISSUES_PER_MINUTE"]
    return made


def upgrade(old: Path, place: Path, issuer: LiveIssuer, postgres: BreakablePostgres) -> Iterator[str]:
    """Yield the failures; progress goes to standard output."""
    database = postgres.new(prepared=False)
    prepare(old, database)
    before = postgres.psql("SELECT version_num FROM alembic_version")
    jwt = {"Authorization": f"Bearer {issuer.token(permissions=['catalog:read'], exp=2**33)}"}
    body = {"name": "upgrade", "scopes": ["catalog:read"]}
    with ExitStack() as stack:
        ports = [free_port() for _ in range(3)]
        running = [
            stack.enter_context(server(old, place / f"old-{number}", port, issuer, database))
            for number, port in enumerate(ports)
        ]
        (place / "nginx").mkdir()
        url = stack.enter_context(balancer(place / "nginx", [server.url for server in running]))
        with running[0].client() as client:
            key = client.post("/api/v1/api-keys/", json=body, headers=jwt).json()["plaintext"]
        by_key = {"Authorization": f"Bearer {key}"}
        loads = {
            "GET by JWT": Load(url, "/api/v1/teams/", clients=4, headers=jwt, pause=0.01),
            "GET by key": Load(url, "/api/v1/teams/", clients=4, headers=by_key, pause=0.01),
            "POST by JWT": Load(url, "/api/v1/api-keys/", body=body, clients=2, headers=jwt, pause=0.02),
        }
        with loads["GET by JWT"], loads["GET by key"], loads["POST by JWT"]:
            time.sleep(_PAUSE_SECONDS)
            prepare(ROOT, database)
            after = postgres.psql("SELECT version_num FROM alembic_version")
            print(f"upgraded from {before} to {after} under servers of {before}", flush=True)
            time.sleep(_PAUSE_SECONDS)
            for number, port in enumerate(ports):
                running[number].stop()
                new = server(ROOT, place / f"new-{number}", port, issuer, database)
                stack.enter_context(new)
                print(f"{number + 1} of {len(ports)} servers are of {after}", flush=True)
                time.sleep(_PAUSE_SECONDS)
        for each in running:
            for line in each.log:
                if line.get("level") == "error" or "raw" in line:
                    yield f"a server of {before} said {line}"
        for name, load in loads.items():
            print(f"{name}: {dict(load.answers)}, lost {len(load.lost)}, refused {load.refused}", flush=True)
            expected = 201 if "POST" in name else 200
            if set(load.answers) != {expected} or load.lost or load.refused:
                yield f"{name}: {dict(load.answers)}, {load.lost[:3]} lost, {load.refused} refused"
        if before == after:
            print("there was nothing to upgrade, so this says little")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--old", required=True, help="the earlier version: a tag or commit of this repository")
    options = parser.parse_args()
    with LiveIssuer() as issuer, BreakablePostgres() as postgres, tempfile.TemporaryDirectory() as place:
        old = extracted(options.old, Path(place) / "old")
        wrong = list(upgrade(old, Path(place), issuer, postgres))
    print("\n".join(f"FAULT {fault}" for fault in wrong) or "no failed request")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
