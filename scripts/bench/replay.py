"""The cost of a replay: fills a decision log and times `authz policy replay`, from the command to its result.

    python -m scripts.bench.replay                        # 1,000,000 decisions in SQLite, a few minutes to write
    python -m scripts.bench.replay --rows 50000 --check   # also decide each of them again, one by one
    python -m scripts.bench.replay --even                 # equally frequent callers and endpoints

2,000 users and 500 keys send requests; few of them send most, to few endpoints. The candidate gives the teams to other
readers and denies the games to keys.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from statistics import median
from typing import Any

from app.assembly import route_table
from app.audit.batch import Batch
from app.audit.decision_filter import DecisionFilter
from app.audit.log import BATCH_SIZE
from app.audit.record import Record, Unverified, decision_key, token_id_of
from app.db.decision_writer import DecisionWriter
from app.db.decisions import everything, newest_id
from app.db.engine import open_engine
from app.db.migrate import upgrade
from app.db.session import Sessions, sessions_of
from app.identity.principal import ANONYMOUS, Principal
from app.policy.engine.live import build
from app.policy.engine.snapshot import Snapshot
from app.policy.language.load import load
from scripts.bench.decision_log import World

ROOT = Path(__file__).parents[2]
DAYS = 7
READ_TEAMS = "p, catalog:read, /api/v1/teams/**, GET|HEAD, allow\n"
OTHERS_READ_TEAMS = "p, holdings:read, /api/v1/teams/**, GET|HEAD, allow\n"
NO_GAMES_FOR_KEYS = "p, auth:api_key, /api/v1/games/**, GET|HEAD, deny\n"


@dataclass(frozen=True, slots=True)
class Crowd:
    """Callers and endpoints with their frequencies."""

    world: World
    callers: Sequence[Principal]
    caller_weights: Sequence[float]
    endpoints: Sequence[tuple[str, str]]
    endpoint_weights: Sequence[float]

    def record(self, at: int) -> Record:
        """A decision made at a time, in microseconds since 1970."""
        draw = self.world.random
        chance = draw.random()
        (principal,) = draw.choices(self.callers, cum_weights=self.caller_weights)
        principal = ANONYMOUS if chance < 0.04 else principal
        ((resource, action),) = draw.choices(self.endpoints, cum_weights=self.endpoint_weights)
        snapshot = self.world.snapshot
        if chance > 0.99:
            key = decision_key("app", resource, action, None, Unverified("Token has expired.", snapshot.revision))
        else:
            key = decision_key("app", resource, action, principal, snapshot.decide(principal.held, resource, action))
        token_id = token_id_of(principal) if chance <= 0.99 else None
        return Record(at, draw.randint(20, 900), f"{draw.getrandbits(96):024x}", token_id, key)


def crowd(seed: int, *, even: bool) -> Crowd:
    """The n-th caller or endpoint is 1/n as frequent as the first, unless all are equal."""
    world = World(seed)

    def weights(things: Sequence[object]) -> list[float]:
        return list(accumulate(1.0 if even else 1 / rank for rank in range(1, len(things) + 1)))

    callers, endpoints = [*world.people, *world.keys], list(world.routes)
    world.random.shuffle(callers)
    world.random.shuffle(endpoints)
    endpoints.sort(key=lambda endpoint: endpoint[1] != "GET")  # more is read than written
    return Crowd(world, callers, weights(callers), endpoints, weights(endpoints))


async def fill(sessions: Sessions, crowd: Crowd, rows: int) -> None:
    """Write the decisions of the last days, evenly, in batches as the log does."""
    writer = DecisionWriter(sessions)
    now = time.time_ns() // 1000
    step = DAYS * 86_400 * 10**6 // (rows + 1)
    for start in range(0, rows, BATCH_SIZE):
        end = min(start + BATCH_SIZE, rows)
        await writer.write(Batch.of([crowd.record(now - (rows - number) * step) for number in range(start, end)]))
        if end % 100_000 < BATCH_SIZE:
            print(f"{end:,} of {rows:,} rows", file=sys.stderr)


def candidate(directory: Path) -> Path:
    """The shipped policy with the change."""
    made = Path(shutil.copytree(ROOT / "policies", directory / "candidate"))
    file = made / "catalog.csv"
    text = file.read_text()
    assert READ_TEAMS in text
    file.write_text(text.replace(READ_TEAMS, OTHERS_READ_TEAMS + NO_GAMES_FOR_KEYS))
    return made


async def one_by_one(sessions: Sessions, snapshot: Snapshot) -> Counter[str]:
    """The result of a replay, by deciding every logged request again."""
    counts: Counter[str] = Counter()
    async for rows in everything(sessions, DecisionFilter()):
        for row in rows:
            record = row.record
            if record.key.held is None:
                counts["unverified"] += 1
                continue
            now = snapshot.decide(record.key.held, record.key.resource, record.key.action)
            counts["same" if now.allowed is record.key.allowed else "gained" if now else "lost"] += 1
    return counts


def replay(policy: Path, url: str) -> tuple[float, dict[str, Any]]:
    """The seconds of the command, and its output."""
    command = [str(Path(sys.executable).parent / "authz"), "policy", "replay", str(policy), "--last", "30d", "--json"]
    started = time.perf_counter()
    done = subprocess.run(command, env={**os.environ, "AUTHZ_DATABASE_URL": url}, capture_output=True, check=False)
    took = time.perf_counter() - started
    print(f"{took:.1f} s", file=sys.stderr)
    if done.returncode not in (0, 1):
        raise SystemExit(done.stderr.decode())
    return took, json.loads(done.stdout)


async def run(options: argparse.Namespace, directory: Path) -> int:
    file = options.keep or directory / "log.db"
    url = f"sqlite:///{file}"
    await upgrade(url)
    engine = open_engine(url)
    sessions = sessions_of(engine)
    async with sessions() as session:
        there = await newest_id(session)
    if not there:
        await fill(sessions, crowd(options.seed, even=options.even), options.rows)
    rows = there or options.rows
    policy = candidate(directory)
    rounds = [replay(policy, url) for _ in range(options.rounds)]
    seconds, told = median(took for took, _ in rounds), rounds[-1][1]
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{told['decisions']:,} of {rows:,} decisions replayed in {seconds:.1f} s, {peak:,.0f} MB at most")
    print(f"{told['counts']}, {len(told['changes']):,} changes told apart")
    if options.check:
        expected = await one_by_one(sessions, build(load(policy), route_table()))
        found = {name: count for name, count in told["counts"].items() if count}
        print("one by one they are the same" if found == dict(expected) else f"one by one they differ: {expected}")
        if found != dict(expected):
            return 1
    await engine.dispose()
    return 1 if seconds > options.limit else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="decisions to write (default 1,000,000)")
    parser.add_argument("--rounds", type=int, default=3, help="replays, of which the median counts (default 3)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--even", action="store_true", help="draw every caller and endpoint as often")
    parser.add_argument("--check", action="store_true", help="compare the counts with deciding one by one")
    parser.add_argument("--keep", type=Path, help="the database file, kept; an existing one is not filled again")
    parser.add_argument("--limit", type=float, default=60.0, help="the seconds to stay below (default 60)")
    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(run(parser.parse_args(), Path(directory)))


if __name__ == "__main__":
    sys.exit(main())
