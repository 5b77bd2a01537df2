"""The processor time of a request by part: unprotected, behind the door, with the decision log, with the access log.

    .venv/bin/python -m scripts.bench.request_cost [--on granian] [--rounds 5] [--seconds 2] [--only key] [--logs both]

It counts the time of all threads of the server until its decisions are written, so that it depends less on other load
than requests per second do. All servers run on one core and are measured in turn, with the load on another core. A
protected GET is compared with an unprotected one, an AuthZEN evaluation with an unprotected POST of its body, and a GET
by JWT, by the key of an organization or by the token of an app with one by key.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from scripts.bench.authzen import ACTION, SUBJECT
from scripts.bench.measuring import Options, in_turn, load, loader, processor_seconds, ratios, spread
from scripts.bench.parts.rates import Side
from scripts.bench.served import PATH, POST_PATH, key_of, organization_key_of, server
from tests.oauth.served import ServedApp
from tests.support.issuer import LiveIssuer
from tests.support.server import Server

# The shares of decisions that are logged, and whether the access log is on.
_LOGS = {"both logs off": ("0", False), "access log off": ("1", False), "shipped defaults": ("1", True)}
_KINDS = ("JWT", "key", "organization key", "app", "authzen")
PUBLIC_URL = "https://bench.example"
WRITTEN_SECONDS = 1.2  # until the decisions of a load are in the database
BODY = json.dumps({"subject": SUBJECT, "action": ACTION, "resource": {"type": "route", "id": "/api/v1/teams/7"}})


@dataclass(frozen=True)
class _Measured:
    server: Server
    side: Side
    options: Options

    def micros(self) -> float:
        """The processor time of a request in µs."""
        before = processor_seconds(self.server)
        sent = load(self.options, self.side.url, self.side.headers, self.side.body)
        time.sleep(WRITTEN_SECONDS)
        return (processor_seconds(self.server) - before) / sent.requests * 1e6


def main() -> None:
    """Print a table for each server."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--on", choices=("uvicorn", "granian"), action="append", help="a server; both without one")
    parser.add_argument("--only", choices=_KINDS, action="append", help="a kind of requests; all without one")
    parser.add_argument("--logs", choices=_LOGS, action="append", help="a choice of logs; all without one")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default 5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of load in a round (default 2)")
    parser.add_argument("--load", choices=("wrk", "own"), default="wrk", help="the load generator; own without wrk")
    given = parser.parse_args()
    options = Options(given.rounds, given.seconds, load=given.load)
    print(f"{options.rounds} rounds of {options.seconds:g} s, load by {loader(options)}")
    for how in given.on or ("uvicorn", "granian"):
        _measure(how, given.only or _KINDS, given.logs or tuple(_LOGS), options)


def _measure(how: str, kinds: tuple[str, ...], choices: tuple[str, ...], options: Options) -> None:
    with ExitStack() as stack:
        issuer = stack.enter_context(LiveIssuer())
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        plain = stack.enter_context(server(place / "plain", issuer, "unprotected", how=how))
        sides = {
            "GET": _Measured(plain, Side(plain.url + PATH), options),
            "POST": _Measured(plain, Side(plain.url + POST_PATH, {"Content-Type": "application/json"}, BODY), options),
        }
        for logs in choices:
            sample, access_log = _LOGS[logs]
            ours = server(place / logs, issuer, "protected", how=how, sample=sample, access_log=access_log)
            ours.env |= {"AUTHZ_PUBLIC_URL": PUBLIC_URL, "AUTHZ_ORGANIZATIONS": "clerk"}
            stack.enter_context(ours)
            sides |= {f"{kind} {logs}": _Measured(ours, _side(kind, ours, issuer), options) for kind in kinds}
        for measured in sides.values():
            measured.micros()  # to fill caches
        found = in_turn(options.rounds, {name: measured.micros for name, measured in sides.items()})
    print(f"\n{how:35}  {'µs a request':>20}  {'unprotected / protected':>24}  {'times a key':>24}")
    for name, micros in found.items():
        taken = spread(micros)
        line = f"{name:35}  {taken.median:6.1f} ({taken.min:.1f} to {taken.max:.1f})"
        if " " in name:
            line = f"{line:57}  {_ratio(found['POST' if name.startswith('authzen') else 'GET'], micros)}"
        logs = next((logs for logs in choices if name.endswith(f" {logs}")), "")
        if not name.startswith(("key", "authzen")) and (key := found.get(f"key {logs}")):
            line = f"{line}  {_ratio(micros, key)}"
        print(line, flush=True)


def _ratio(ours: Sequence[float], others: Sequence[float]) -> str:
    ratio = ratios(ours, others)
    return f"{ratio.median:10.3f} ({ratio.min:.3f} to {ratio.max:.3f})"


def _side(kind: str, ours: Server, issuer: LiveIssuer) -> Side:
    if kind == "authzen":
        token = issuer.token(permissions=["decisions:evaluate"], exp=2**33)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return Side(f"{ours.url}/access/v1/evaluation", headers, BODY)
    return Side(ours.url + PATH, {"Authorization": f"Bearer {token_of(kind, ours, issuer)}"})


def token_of(kind: str, ours: Server, issuer: LiveIssuer) -> str:
    """A new token of this kind of caller that may call the handler."""
    match kind:
        case "JWT":
            return issuer.token(permissions=["catalog:read"], exp=2**33)
        case "organization key":
            return organization_key_of(ours, issuer)
        case "app":  # valid for 15 minutes, so many rounds need a shorter load
            return ServedApp(ours).stored_tokens(scopes=["catalog:read"], resource=PUBLIC_URL).access_token
    return key_of(ours, issuer)


if __name__ == "__main__":
    main()
