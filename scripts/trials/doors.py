"""Compare the verdicts of all doors, for every endpoint of the application and every kind of caller.

    .venv/bin/python -m scripts.trials.doors
    .venv/bin/python -m scripts.trials.doors --caller app --caller key

The doors are the application, nginx, Traefik, Caddy and Envoy, each a real process with the shipped configuration, and
AuthZEN with the subject that introspection finds. Callers are anonymous, users with and without permissions and roles,
members of an organization, API keys, apps on behalf of users, and some with credentials that are not accepted, such as
those of a blocked person. Exits with 1 if two doors disagree.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.support.issuer import LiveIssuer
from tests.support.trials.doors import ROUTES, open_trial


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--caller", action="append", help="only this caller (default all); repeatable")
    options = parser.parse_args()
    wrong = 0
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        trial = open_trial(stack, place, stack.enter_context(LiveIssuer()))
        for caller in trial.callers:
            if options.caller and caller.name not in options.caller:
                continue
            found = list(trial.differences(caller))
            wrong += len(found)
            print(f"{caller.name}: {len(ROUTES)} endpoints, {len(found)} differences", flush=True)
            print("".join(f"  FAULT {fault}\n" for fault in found), end="")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
