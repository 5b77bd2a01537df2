"""The cost of AuthZEN: requests per second compared with /healthz, and the time of an item in a batch of 100.

Starts a real server with the shipped policy. Needs `wrk` for the requests per second.

    .venv/bin/python -m scripts.bench.authzen [seconds]
"""

from __future__ import annotations

import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.issuer import LiveIssuer
from tests.support.server import Server

ITEMS = 100
CALLS = 200
SUBJECT = {"type": "user", "id": "user_2abc", "properties": {"permissions": ["catalog:read"]}}
ACTION = {"name": "GET"}


def main() -> None:
    """Print the numbers of one run."""
    seconds = sys.argv[1] if len(sys.argv) > 1 else "5"
    with LiveIssuer() as issuer, tempfile.TemporaryDirectory() as directory:
        token = issuer.token(permissions=["decisions:evaluate"])
        with Server(Path(directory), jwks_url=issuer.jwks_url, issuer=issuer.url, access_log="false") as server:
            _rates(server.url, token, seconds, Path(directory))
            for name, template in (("templates", "/api/v1/teams/{team_id}"), ("paths", "/api/v1/teams/{number}")):
                print(f"an item of {ITEMS}, {name:9}  {item_micros(server, token, template):6.1f} µs")


def _rates(url: str, token: str, seconds: str, directory: Path) -> None:
    if shutil.which("wrk") is None:
        print("no requests a second: wrk is not installed")
        return
    resource = {"type": "route", "id": "/api/v1/teams/7"}
    body = json.dumps({"subject": SUBJECT, "action": ACTION, "resource": resource})
    script = directory / "ask.lua"
    script.write_text(
        f"wrk.method = 'POST'\nwrk.body = [[{body}]]\n"
        f"wrk.headers['Content-Type'] = 'application/json'\nwrk.headers['Authorization'] = 'Bearer {token}'\n"
    )
    plain = _wrk(f"{url}/healthz", seconds)
    asked = _wrk(f"{url}/access/v1/evaluation", seconds, "-s", str(script))
    print(f"/healthz               {plain:8.0f} requests/s")
    print(f"/access/v1/evaluation  {asked:8.0f} requests/s, {asked / plain:.2f} of /healthz")


def _wrk(url: str, seconds: str, *more: str) -> float:
    command = ["wrk", "-t1", "-c16", f"-d{seconds}s", *more, url]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in out:
        raise SystemExit(out)
    return float(re.findall(r"Requests/sec:\s+([\d.]+)", out)[0])


def item_micros(server: Server, token: str, template: str, calls: int = CALLS) -> float:
    """The median time per item of a call, without that of a call with one item, in µs."""
    many = [{"resource": {"type": "route", "id": template.replace("{number}", str(n))}} for n in range(1, ITEMS + 1)]
    times: dict[int, float] = {}
    with server.client(token) as client:
        for items in (many[:1], many):
            body = {"subject": SUBJECT, "action": ACTION, "evaluations": items}
            taken: list[float] = []
            for _ in range(calls):
                started = time.perf_counter()
                answer = client.post("/access/v1/evaluations", json=body)
                taken.append(time.perf_counter() - started)
                assert all(item["decision"] for item in answer.json()["evaluations"])
            times[len(items)] = statistics.median(taken)
    return (times[ITEMS] - times[1]) / (ITEMS - 1) * 1e6


if __name__ == "__main__":
    main()
