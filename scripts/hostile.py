"""Send hostile requests through real gateways to a service, and compare what reached it with an oracle.

    .venv/bin/python -m scripts.hostile --gateway all --mixtures 2000 --seed 7

First the whole corpus of tests/gateway/hostile.py, then as many random mixtures of its paths, methods and headers.
Exits with 1 if a forbidden request reached the service, and prints each of them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.gateway.conftest import World, built
from tests.gateway.gateways import INGRESS, NAMES
from tests.gateway.hostile import SUBJECT, Hostile, corpus, faults, mixed
from tests.support.issuer import LiveIssuer

EVERY = (*NAMES, INGRESS)
_TOKEN_REQUESTS = 200  # the tokens of tests expire after five minutes


def requests(issuer: LiveIssuer, seed: int, mixtures: int) -> Iterator[Hostile]:
    """The corpus and the mixtures, in portions with a new token each."""

    def token() -> str:
        return issuer.token(sub=SUBJECT, permissions=["catalog:read"])

    whole = len(corpus(""))
    for start in range(0, whole, _TOKEN_REQUESTS):
        yield from corpus(token())[start : start + _TOKEN_REQUESTS]
    for start in range(0, mixtures, _TOKEN_REQUESTS):
        yield from mixed(token(), seed + start, min(_TOKEN_REQUESTS, mixtures - start))


def run(world: World, issuer: LiveIssuer, name: str, seed: int, mixtures: int) -> int:
    """The faults at one gateway."""
    started = time.monotonic()
    sent, through, wrong = 0, 0, 0
    for hostile in requests(issuer, seed, mixtures):
        for fault in faults(world.gateways[name], world.upstream, hostile):
            print(fault)
            wrong += 1
        sent += 1
        through += len(world.upstream.reached)
    seconds = time.monotonic() - started
    print(f"{name}: {sent} hostile requests, {through} reached the service, {wrong} wrongly ({seconds:.0f} s)")
    if not through:
        print(f"{name}: nothing at all reached the service, so this says nothing")
    return wrong + (not through)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gateway", choices=(*EVERY, "all"), default="all", help="which one (default all)")
    parser.add_argument("--mixtures", type=int, default=1000, help="how many after the corpus (default 1000)")
    parser.add_argument("--seed", type=int, default=1, help="which ones (default 1)")
    options = parser.parse_args()
    names = EVERY if options.gateway == "all" else (options.gateway,)
    with tempfile.TemporaryDirectory() as directory, LiveIssuer() as issuer, ExitStack() as stack:
        world = built(stack, Path(directory), issuer, "orders", names)
        wrong = sum(run(world, issuer, name, options.seed, options.mixtures) for name in names)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
