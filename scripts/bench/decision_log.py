"""The cost of the decision log: fills a database with decisions and times each filter.

    python -m scripts.bench.decision_log                   # 1,000,000 decisions in SQLite, a few minutes
    python -m scripts.bench.decision_log --rows 50000
    python -m scripts.bench.decision_log --keep /tmp/log.db    # and keep the file; an existing one is not filled again
    python -m scripts.bench.decision_log --url postgresql://…  # in an empty database of PostgreSQL

2,000 users and 500 keys make requests under ten revisions, each to at most twelve endpoints. The n-th most frequent
caller or endpoint is drawn 1/n as often as the first, unless with --even. A token is renewed after a few requests.

A page is queried as by the API, with a cursor at a random place and an existing value. On a busy machine the time of
the processor says more: that of this process and, on the same machine, of its session of PostgreSQL.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from statistics import median, quantiles
from typing import TypeVar

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.assembly import route_table
from app.audit.batch import Batch
from app.audit.decision_filter import DecisionFilter
from app.audit.log import BATCH_SIZE
from app.audit.record import Record, Unverified, decision_key
from app.db.decision_writer import DecisionWriter
from app.db.decisions import LogPosition, newest_id, page
from app.db.engine import open_engine
from app.db.migrate import upgrade
from app.db.old_decisions import OldDecisions
from app.db.partitions import AHEAD_DAYS
from app.db.planner_statistics import analyze_new_tables
from app.db.session import Sessions, sessions_of
from app.identity.principal import ANONYMOUS, Principal, key_principal, user_principal
from app.policy.engine.live import build
from app.policy.language.load import load

DAYS = 30
PEOPLE = 2_000
KEYS = 500
PAGE = 50
ENDPOINTS = 12  # of a caller
REQUESTS_OF_A_TOKEN = 8
_PERMISSIONS = ("catalog:read", "catalog:write", "holdings:read", "holdings:write", "policies:read")
_T = TypeVar("_T")
_BASE = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp() * 1e6)  # microseconds


class World:
    """Callers and their requests, decided by the shipped policy under ten revisions."""

    def __init__(self, seed: int, *, even: bool = False) -> None:
        self.random = random.Random(seed)
        table = route_table()
        self.snapshot = build(load(Path(__file__).parents[2] / "policies"), table)
        self.routes = sorted((route.template, route.method) for route in table.routes)
        self.people = [self._person(number) for number in range(PEOPLE)]
        self.keys = [self._key(number) for number in range(1, KEYS + 1)]
        self.revisions = [f"{number:016x}" for number in range(10)]
        self._callers = self._drawn([*self.people, *self.keys], even=even)
        endpoints = self._drawn(self.routes, even=even)
        self._endpoints = {
            caller: self._drawn(
                list(dict.fromkeys(self.random.choices(endpoints[0], cum_weights=endpoints[1], k=ENDPOINTS))), even=even
            )
            for caller in (*self.people, *self.keys, ANONYMOUS)
        }
        self._tokens: dict[str, str] = {}

    def _drawn(self, things: Sequence[_T], *, even: bool) -> tuple[Sequence[_T], Sequence[float]]:
        """Things in any order, and the sums of their weights."""
        shuffled = self.random.sample(things, len(things))
        return shuffled, list(accumulate(1.0 if even else 1 / rank for rank in range(1, len(things) + 1)))

    def _token_id(self, principal: Principal) -> str | None:
        if principal.method != "jwt":
            return None
        if principal.subject not in self._tokens or self.random.random() < 1 / REQUESTS_OF_A_TOKEN:
            self._tokens[principal.subject] = f"{self.random.getrandbits(80):020x}"
        return self._tokens[principal.subject]

    def _grants(self) -> list[str]:
        return self.random.sample(_PERMISSIONS, self.random.randint(0, 3))

    def _person(self, number: int) -> Principal:
        return user_principal(f"user_{number:06}", self._grants(), {"jti": f"token-{number}"})

    def _key(self, number: int) -> Principal:
        return key_principal(f"user_{number:06}", number, self.random.choice(["live", "test"]), self._grants())

    def record(self, number: int, rows: int) -> Record:
        """The decision with this number of so many."""
        draw = self.random
        chance = draw.random()
        callers, weights = self._callers
        principal = ANONYMOUS if chance < 0.05 else draw.choices(callers, cum_weights=weights)[0]
        endpoints, weights = self._endpoints[principal]
        ((resource, action),) = draw.choices(endpoints, cum_weights=weights)
        token_id = None
        if chance < 0.99:
            key = decision_key(
                "app", resource, action, principal, self.snapshot.decide(principal.held, resource, action)
            )
            token_id = self._token_id(principal)
        else:
            key = decision_key("app", resource, action, None, Unverified("Token has expired.", self.snapshot.revision))
        at = _BASE + number * (DAYS * 86_400 * 10**6 // rows)
        request_id = (at << 40 | draw.getrandbits(40)).to_bytes(12, "big").hex()  # as the server makes them
        key = key._replace(revision=self.revisions[number * len(self.revisions) // rows])
        return Record(at, draw.randint(20, 900), request_id, token_id, key)


async def make_partitions(old: OldDecisions) -> None:
    """Create the partitions of all days on PostgreSQL, as servers have done day by day."""
    for day in range(0, DAYS, AHEAD_DAYS + 1):
        await old.make_ready(datetime.fromtimestamp(_BASE / 1e6, UTC) + timedelta(days=day))


async def fill(sessions: Sessions, world: World, rows: int) -> tuple[float, float]:
    """Write the decisions in batches as the log does; return the seconds, and those of the processor."""
    writer = DecisionWriter(sessions)
    wrote = processor = 0.0
    for start in range(0, rows, BATCH_SIZE):
        batch = Batch.of([world.record(number, rows) for number in range(start, min(start + BATCH_SIZE, rows))])
        started, used = time.perf_counter(), time.process_time()
        await writer.write(batch)
        wrote += time.perf_counter() - started
        processor += time.process_time() - used
        if (start + BATCH_SIZE) % 100_000 < BATCH_SIZE:
            print(f"{start + len(batch):,} of {rows:,} rows", file=sys.stderr)
    return wrote, processor


async def stored_bytes(sessions: Sessions, file: Path) -> int:
    """The size of the database, or of the tables of the log on PostgreSQL, with their indexes."""
    async with sessions() as session:
        if session.get_bind().dialect.name == "sqlite":
            return sum(part.stat().st_size for part in file.parent.glob(f"{file.name}*"))
        size = text(
            "SELECT sum(pg_total_relation_size(oid)) FROM pg_class "
            "WHERE relkind = 'r' AND relname ~ '^(decision|grant_sets)' AND relnamespace = 'public'::regnamespace"
        )
        return int((await session.execute(size)).scalar_one())


def asked(world: World, rows: int) -> dict[str, Callable[[], DecisionFilter]]:
    """The values for each filter."""
    draw = world.random
    span = DAYS * 86_400 * 10**6

    def hour() -> DecisionFilter:
        since = _BASE + draw.randrange(span)
        return DecisionFilter(since=since, until=since + 3_600 * 10**6)

    return {
        "none": DecisionFilter,
        "subject": lambda: DecisionFilter(subject=draw.choice(world.people).subject),
        "key_id": lambda: DecisionFilter(key_id=draw.choice(world.keys).key_id),
        "route": lambda: DecisionFilter(resource=draw.choice(world.routes)[0]),
        "action": lambda: DecisionFilter(action=draw.choice(world.routes)[1]),
        "verdict": lambda: DecisionFilter(allowed=draw.random() < 0.5),
        "revision": lambda: DecisionFilter(revision=draw.choice(world.revisions)),
        "since, until": hour,
        "unknown subject": lambda: DecisionFilter(subject=f"unknown_{draw.randrange(rows)}"),
        "subject, verdict": lambda: DecisionFilter(
            subject=draw.choice(world.people).subject, allowed=draw.random() < 0.5
        ),
        "route, verdict, day": lambda: DecisionFilter(
            resource=draw.choice(world.routes)[0],
            allowed=draw.random() < 0.5,
            since=(since := _BASE + draw.randrange(span)),
            until=since + 86_400 * 10**6,
        ),
        "revision, verdict": lambda: DecisionFilter(revision=draw.choice(world.revisions), allowed=draw.random() < 0.5),
    }


async def timed(sessions: Sessions, asks: Sequence[tuple[DecisionFilter, LogPosition | None]]) -> dict[str, float]:
    """Percentiles of the milliseconds per page, including its session, and of those of the processor."""
    took, used = [], []
    for filters, mark in asks:
        async with sessions() as session:
            backend = await _backend(session)  # each time, since connections are renewed
        started, processor = time.perf_counter(), _processor(backend)
        async with sessions() as session:
            await page(session, filters, size=PAGE, older_than=mark)
        took.append((time.perf_counter() - started) * 1000)
        used.append((_processor(backend) - processor) * 1000)
    return {
        "p50": median(took),
        "p95": quantiles(took, n=20)[-1],
        "max": max(took),
        "processor_p50": median(used),
        "processor_p95": quantiles(used, n=20)[-1],
    }


async def _backend(session: AsyncSession) -> Path | None:
    """The file with the processor time of the session's process; None on SQLite, and on another machine."""
    if session.get_bind().dialect.name == "sqlite":
        return None
    pid = (await session.execute(text("SELECT pg_backend_pid()"))).scalar_one()
    return _existing(Path(f"/proc/{pid}/schedstat"))


def _existing(file: Path) -> Path | None:
    return file if file.exists() else None


def _processor(backend: Path | None) -> float:
    """The seconds of the processor until now."""
    return time.process_time() + (0 if backend is None else int(backend.read_text().split()[0]) / 1e9)


async def run(options: argparse.Namespace, file: Path) -> dict[str, object]:
    world = World(options.seed, even=options.even)
    url = options.url or f"sqlite:///{file}"
    await upgrade(url)
    engine = open_engine(url)
    sessions = sessions_of(engine)
    async with sessions() as session:
        there = await newest_id(session)
    old, wrote, processor = OldDecisions(sessions), 0.0, 0.0
    if not there:
        await make_partitions(old)
        wrote, processor = await fill(sessions, world, options.rows)
    if engine.dialect.name == "postgresql":
        while await old.release_space():
            pass  # as servers do after each day
        await analyze_new_tables(engine)  # as servers do within seconds
    rows = there or options.rows
    span = DAYS * 86_400 * 10**6
    results = {}
    for name, ask in asked(world, rows).items():
        marks = [
            None if number % 2 else LogPosition(_BASE + world.random.randrange(span), 0)
            for number in range(options.asks)
        ]
        results[name] = await timed(sessions, [(ask(), mark) for mark in marks])
    results["request_id"] = await _by_request_id(sessions, world, options.asks)
    size = await stored_bytes(sessions, file)
    await engine.dispose()
    return {
        "rows": rows,
        "bytes_a_decision": round(size / rows, 1),
        "write_seconds": round(wrote, 1),
        "processor_microseconds_a_decision": round(processor * 1e6 / rows, 2),
        "milliseconds": results,
    }


async def _by_request_id(sessions: Sessions, world: World, asks: int) -> dict[str, float]:
    ids = []
    for _ in range(asks):
        mark = LogPosition(_BASE + world.random.randrange(DAYS * 86_400 * 10**6), 0)
        async with sessions() as session:
            found = await page(session, DecisionFilter(), size=1, older_than=mark)
        ids += [row.record.request_id for row in found.rows]
    return await timed(sessions, [(DecisionFilter(request_id=request_id), None) for request_id in ids])


_Run = Callable[[argparse.Namespace, Path], Awaitable[dict[str, object]]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="decisions to write (default 1,000,000)")
    parser.add_argument("--asks", type=int, default=200, help="pages for each filter (default 200)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--even", action="store_true", help="draw every caller and endpoint as often")
    parser.add_argument("--url", help="an empty database; without it, one in SQLite")
    parser.add_argument("--keep", type=Path, help="the database file, kept")
    parser.add_argument("--limit", type=float, default=50.0, help="the p95 in milliseconds to stay below (default 50)")
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        told = asyncio.run(run(options, options.keep or Path(directory) / "log.db"))
    if options.json:
        print(json.dumps(told, indent=2))
    else:
        print(f"{told['rows']:,} decisions of {told['bytes_a_decision']} bytes, written in {told['write_seconds']} s,")
        print(f"{told['processor_microseconds_a_decision']} microseconds of the processor each\n")
        print(f"{'filter':<20} {'p50':>8} {'p95':>8} {'max':>8}  ms  {'p50':>8} {'p95':>8}  ms of the processor")
    slow = 0
    for name, found in told["milliseconds"].items():  # type: ignore[attr-defined]  # as `run` made it
        slow += found["p95"] > options.limit
        if not options.json:
            used = f"{found['processor_p50']:>8.2f} {found['processor_p95']:>8.2f}"
            print(f"{name:<20} {found['p50']:>8.2f} {found['p95']:>8.2f} {found['max']:>8.2f}      {used}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
