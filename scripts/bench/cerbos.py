"""A Cerbos server with an equal number of rules, from the npm package that scripts/bench/run fetches."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from app.cli.server.listening import bind
from scripts.bench.measuring import ROOT, pinned
from scripts.bench.parts.rates import Side

PACKAGE = ROOT / ".authz" / "bench" / "cerbos" / "node_modules" / "@cerbos" / "cerbos-linux-x64"
BINARY = PACKAGE / "cerbos-linux-x64"
START_SECONDS = 60.0
_ROLE = "catalog_read"


def version() -> str:
    """The version of the package."""
    return str(json.loads((PACKAGE / "package.json").read_text())["version"])


@contextmanager
def cerbos(place: Path, rules: int) -> Iterator[Side]:
    """Run a server; yields a function that checks whether a role may read a resource. Raises RuntimeError."""
    (place / "policies").mkdir(parents=True)
    for number in range(rules):
        rule = {"actions": ["GET"], "effect": "EFFECT_ALLOW", "roles": [_ROLE]}
        policy = {"version": "default", "resource": f"t{number}", "rules": [rule]}
        document = {"apiVersion": "api.cerbos.dev/v1", "resourcePolicy": policy}
        (place / "policies" / f"t{number}.json").write_text(json.dumps(document))
    listeners = [bind("127.0.0.1", 0) for _ in range(2)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    settings = {
        "server": {"httpListenAddr": f"127.0.0.1:{ports[0]}", "grpcListenAddr": f"127.0.0.1:{ports[1]}"},
        "storage": {"driver": "disk", "disk": {"directory": str(place / "policies"), "watchForChanges": False}},
        "telemetry": {"disabled": True},
    }
    (place / "settings.json").write_text(json.dumps(settings))
    command = pinned(str(BINARY), "server", f"--config={place / 'settings.json'}", "--log-level=error")
    env = {**os.environ, "CERBOS_NO_TELEMETRY": "1", "GOMAXPROCS": "1"}
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{ports[0]}"
    try:
        _wait(process, f"{url}/_cerbos/health")
        asked = {
            "principal": {"id": "user_2abc", "roles": [_ROLE]},
            "resources": [{"actions": ["GET"], "resource": {"kind": f"t{rules // 2}", "id": "7"}}],
        }
        yield Side(f"{url}/api/check/resources", {"Content-Type": "application/json"}, json.dumps(asked), 32)
    finally:
        process.terminate()
        process.wait(20)


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urlopen(url, timeout=5).close()
        except (URLError, OSError):
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("Cerbos did not start")
