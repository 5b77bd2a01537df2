"""Time how soon changes reach all replicas: revocations and policies, with notifications, without, and after a pause.

.venv/bin/python -m scripts.trials.replicas                            # 1,000 revocations, 200 policy changes
.venv/bin/python -m scripts.trials.replicas --revocations 50 --changes 10 --cut 20 --pauses 5

Starts PostgreSQL, an issuer and three `authz serve` with their own policy directories. The time of a change is from its
answer until another replica refuses what it allowed. Exits with 1 if a bound is broken. On a shared machine, consider
how long this program itself had to wait: no server can be faster.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx

from tests.history.replicas import replica
from tests.history.test_publish import active, files
from tests.support.databases import Postgres
from tests.support.issuer import LiveIssuer
from tests.support.server import Server
from tests.support.trials.notifications import without_listeners, without_notifications
from tests.support.trials.timings import Timings, until

EVERYTHING = ["catalog:read", "policies:read", "policies:write"]
# The polled request must be cheap, since the servers load a policy meanwhile.
STYLE = "/docs/style.css"
OPEN = f"p, anyone, {STYLE}, GET|HEAD, allow"
SHUT = f"p, policies:write, {STYLE}, GET|HEAD, allow"
LEAGUES = "/api/v1/leagues/"  # which every policy allows
BOUND = 1.0  # seconds, with notifications
# Without notifications: keys are cached for a second, and revisions polled each second. Loading takes time too.
BOUND_UNNOTIFIED = 2.0


class Trial:
    """Three servers and their measurements."""

    def __init__(self, servers: list[Server], issuer: LiveIssuer, url: str) -> None:
        self.servers = servers
        self.url = url
        for_hours = int(time.time()) + 24 * 3600
        self.admin = servers[0].client(issuer.token(sub="user_admin", permissions=EVERYTHING, exp=for_hours))
        reader = issuer.token(sub="user_reader", permissions=["catalog:read"], exp=for_hours)
        self.readers = [server.client(reader) for server in servers]
        self.shared = files(servers[0])
        self.timings = Timings()

    def revocation(self) -> Callable[[], float]:
        """Issue a key that every replica caches; return a function that revokes it and times this at another."""
        answer = self.admin.post("/api/v1/api-keys/", json={"name": "trial", "scopes": ["catalog:read"]})
        assert answer.status_code == 201, answer.text
        made = answer.json()
        asked = random.choice(self.servers[1:]).client(made["plaintext"])
        assert asked.get(LEAGUES).status_code == 200

        def revoke() -> float:
            done = self.admin.post(f"/api/v1/api-keys/{made['api_key']['id']}/revoke/")
            started = time.monotonic()
            assert done.status_code == 200, done.text
            try:
                return until(lambda: asked.get(LEAGUES).status_code == 401, started)
            finally:
                asked.close()

        return revoke

    def change(self, *, shut: bool) -> Callable[[], float]:
        """Prepare a policy that closes or opens an endpoint; return a function that publishes and times it."""
        public = self.shared["public.csv"]
        assert OPEN in public
        content = {**self.shared, "public.csv": public.replace(OPEN, SHUT)} if shut else self.shared
        body = {"files": content, "parent": active(self.admin), "message": "Trial.", "acknowledge_widening": True}
        body["accept_failing_cases"] = "The shipped cases are of the shipped policy."

        def publish() -> float:
            done = self.admin.post("/api/v1/policies/publish", json=body)
            started = time.monotonic()
            assert done.status_code == 200, done.text
            wanted = 403 if shut else 200
            return max(
                until(lambda: client.get(STYLE).status_code == wanted, started)  # noqa: B023  # called at once
                for client in self.readers[1:]
            )

        return publish


def paused(trial: Trial, act: Callable[[], float]) -> float:
    """The time from the end of a pause until a replica applies the changes made meanwhile."""
    resumed = [0.0]

    def resume() -> None:
        resumed[0] = time.monotonic()
        for server in trial.servers[1:]:
            server.signal(signal.SIGCONT)

    for server in trial.servers[1:]:
        server.signal(signal.SIGSTOP)
    timer = threading.Timer(random.uniform(0.5, 2.5), resume)
    timer.start()
    act()
    ended = time.monotonic()
    timer.join()
    return ended - resumed[0]


def run(trial: Trial, options: argparse.Namespace) -> None:
    """Run the trials, each with its bound."""
    shut = [False]

    def change() -> Callable[[], float]:
        shut[0] = not shut[0]
        return trial.change(shut=shut[0])

    trial.timings.report("revocations", [trial.revocation()() for _ in range(options.revocations)], BOUND)
    trial.timings.report("policy changes", [change()() for _ in range(options.changes)], BOUND)
    with without_listeners(trial.url) as ended:
        revoked = [trial.revocation()() for _ in range(options.cut)]
        changed = [change()() for _ in range(options.cut)]
    trial.timings.report("revocations, listeners cut off at random", revoked, BOUND_UNNOTIFIED)
    trial.timings.report("policy changes, listeners cut off at random", changed, BOUND_UNNOTIFIED)
    if options.cut:
        print(f"  ({ended[0]} connections were ended)")
    with without_notifications(trial.url):
        trial.timings.report(
            "revocations, no notification", [trial.revocation()() for _ in range(options.cut)], BOUND_UNNOTIFIED
        )
        trial.timings.report(
            "policy changes, no notification", [change()() for _ in range(options.cut)], BOUND_UNNOTIFIED
        )
    trial.timings.report(
        "revocations, the others paused",
        [paused(trial, trial.revocation()) for _ in range(options.pauses)],
        BOUND_UNNOTIFIED,
    )
    trial.timings.report(
        "policy changes, the others paused", [paused(trial, change()) for _ in range(options.pauses)], BOUND_UNNOTIFIED
    )


def main() -> None:
    """Start everything, and run the trials."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--revocations", type=int, default=1000, help="keys revoked at one, used at another")
    parser.add_argument("--changes", type=int, default=200, help="policies published at one, obeyed by the others")
    parser.add_argument("--cut", type=int, default=100, help="of each, while connections are ended")
    parser.add_argument("--pauses", type=int, default=20, help="of each, while the others are paused")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    random.seed(options.seed)
    postgres = Postgres()
    try:
        url = postgres.new(prepared=True)
        with ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            issuer = stack.enter_context(LiveIssuer())
            servers = [stack.enter_context(replica(directory / name, issuer, url)) for name in ("one", "two", "three")]
            trial = Trial(servers, issuer, url)
            try:
                run(trial, options)
            except (httpx.HTTPError, RuntimeError, AssertionError):
                for server in servers:
                    print("\n".join(line for line in server.lines if '"request"' not in line)[-5000:], file=sys.stderr)
                raise
        sys.exit(1 if trial.timings.broken else 0)
    finally:
        postgres.stop()


if __name__ == "__main__":
    main()
