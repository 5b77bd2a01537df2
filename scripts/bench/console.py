"""The cost of the console's pages: fills a database, starts a server on it, and requests each page.

    python -m scripts.bench.console                  # 1,000,000 decisions and 10,000 keys, some minutes to fill
    python -m scripts.bench.console --decisions 50000 --keys 1000
    python -m scripts.bench.console --keep /tmp/console.db    # keep the file; an existing one is not filled again

A page must stay below 100 KB and, at the median, below 200 ms. Exits with 1 if one does not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median

import httpx
from sqlalchemy import update

from app.db.decisions import newest_id
from app.db.engine import open_engine
from app.db.migrate import upgrade
from app.db.session import Sessions, sessions_of
from app.db.tables.base import table_of
from app.db.tables.decisions import LoggedDecision
from app.identity.api_keys import mint
from app.keys import api_keys, listing
from app.keys.listing import KeyFilter
from scripts.bench.decision_log import World, fill
from tests.console.conftest import console_server
from tests.console.sessions import Person, sign_in
from tests.support.issuer import LiveIssuer
from tests.support.server import DATABASE, ROOT

MAX_BYTES = 100_000
MAX_MS = 200.0
PERMISSIONS = ("policies:read", "policies:write", "decisions:read", "keys:read", "keys:write", "catalog:read")
SUBJECT = "user_000007"
_SCOPES = ("catalog:read", "catalog:write", "holdings:read", "holdings:write")
_AT_ONCE = 1_000
_decisions = table_of(LoggedDecision)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A page and its request."""

    name: str
    ask: Callable[[], httpx.Response]


@dataclass(frozen=True, slots=True)
class Timed:
    """The answer, and its latencies in milliseconds."""

    page: str
    status: int
    size: int
    p50: float
    most: float

    @property
    def is_over(self) -> bool:
        """Whether the page is too large, too slow or missing."""
        return self.size > MAX_BYTES or self.p50 > MAX_MS or self.status != 200


async def fill_keys(sessions: Sessions, count: int, seed: int) -> None:
    """Insert keys of many users, some used, some expired, some revoked."""
    draw = random.Random(seed)
    now = datetime.now(UTC)
    for start in range(0, count, _AT_ONCE):
        async with sessions() as session:
            for number in range(start, min(start + _AT_ONCE, count)):
                created = now - timedelta(minutes=count - number)
                key = await api_keys.insert(
                    session,
                    subject=f"user_{draw.randrange(count // 5 + 1):06}",
                    name=f"key {number}",
                    new=mint(draw.choice(("live", "test"))),
                    scopes=draw.sample(_SCOPES, draw.randint(0, 3)),
                    now=created,
                    expires_at=draw.choice((None, now + timedelta(days=draw.randint(-30, 300)))),
                )
                key.last_used_at = draw.choice((None, now - timedelta(minutes=draw.randint(0, 90_000))))
                key.revoked_at = now if draw.random() < 0.1 else None
            await session.commit()


async def crowd_one_key(sessions: Sessions) -> None:
    """Attribute every third request to a key of the viewer."""
    async with sessions() as session:
        mine = (await api_keys.list_for(session, SUBJECT))[-1].id
        every_third = update(_decisions).where(_decisions.c.id % 3 == 0)
        await session.execute(every_third.values(key_id=mine, subject=SUBJECT, allowed=True))
        await session.commit()


async def prepare(file: Path, decisions: int, keys: int, seed: int) -> tuple[int, int]:
    """Fill a database unless it is filled; return the numbers of decisions and keys."""
    url = f"sqlite:///{file}"
    await upgrade(url)
    engine = open_engine(url)
    sessions = sessions_of(engine)
    async with sessions() as session:
        there = await newest_id(session)
        newest = await listing.page(session, KeyFilter(), now=datetime.now(UTC), after=None, limit=1)
    if not there:
        await fill(sessions, World(seed), decisions)
    if not newest:
        await fill_keys(sessions, keys, seed)
        await crowd_one_key(sessions)
    await engine.dispose()
    return there or decisions, newest[0].id if newest else keys


def pages(person: Person, browser: httpx.Client) -> list[PageRequest]:
    """Every administration page, the key pages, and the forms of a change, as a browser requests them."""
    edit = person.get("/console/policy/edit?file=catalog.csv").text
    parent = re.search(r'name="parent" value="([0-9a-f]+)"', edit)
    assert parent
    text = (
        (ROOT / "policies" / "catalog.csv").read_text().replace("catalog:read, /api/v1/teams", "anyone, /api/v1/teams")
    )
    draft: dict[str, str | list[str]] = {"parent": parent[1], "file": "catalog.csv", "text": text}
    meant = {"message": "A change.", "acknowledge": "yes", "accept": "The cases follow."}
    published = person.post("/console/policy/edit/publish", **meant, **draft)
    assert published.status_code == 303, published.text
    back = person.post(f"/console/policy/history/{parent[1]}/rollback", parent=published.headers["location"][24:40])
    assert back.status_code == 303, back.text
    first = person.get("/console/all-keys?sort=used").text
    following = re.search(r'rel="next" href="([^"]+)"', first)
    assert following
    denied = re.search(r"request_id=([0-9a-f]+)", person.get("/console/decisions?verdict=deny").text)
    assert denied
    older = re.search(r'rel="next" href="([^"]+)"', person.get("/console/decisions").text)
    assert older
    mine = re.search(r'href="/console/keys/([0-9]+)"', person.get("/console/keys?down=false").text)
    assert mine
    addresses = [
        "/console/policy",
        "/console/policy/matrix",
        "/console/policy/matrix?page=2",
        "/console/policy/simulator?as=auth:jwt&method=GET&path=/api/v1/teams/7",
        f"/console/policy/simulator?request_id={denied[1]}",
        "/console/policy/edit?file=tests/public.yaml",
        "/console/policy/history",
        published.headers["location"],
        f"{published.headers['location'].partition('?')[0]}/rollback",
        "/console/decisions",
        older[1].replace("&amp;", "&"),
        f"/console/decisions?subject={SUBJECT}",
        f"/console/decisions?subject={SUBJECT}&verdict=deny",
        "/console/decisions?route=/api/v1/teams/{team_id}&action=GET&verdict=deny",
        "/console/decisions?since=7d&verdict=allow",
        "/console/all-keys",
        following[1].replace("&amp;", "&"),
        "/console/all-keys?sort=expires&status=active",
        "/console/all-keys?status=unused",
        "/console/all-keys?prefix=grd_live_a",
        "/console/all-keys/17/revoke",
        "/console/account",
        "/console/keys",
        "/console/keys?sort=used&state=active",
        "/console/keys/new",
        f"/console/keys/{mine[1]}",
        f"/console/keys/{mine[1]}/rotate",
        f"/console/keys/{mine[1]}/revoke",
    ]
    found = [PageRequest(address, partial(browser.get, address)) for address in addresses]
    return found + [
        PageRequest(
            f"POST …/edit/{form}",
            partial(browser.post, f"/console/policy/edit/{form}", data={"csrf": person.csrf, **draft}),
        )
        for form in ("check", "preview")
    ]


def timed(asked: PageRequest, times: int) -> Timed:
    """Request once to load everything, then `times` times."""
    took: list[float] = []
    answer = asked.ask()
    for _ in range(times):
        started = time.perf_counter()
        answer = asked.ask()
        took.append((time.perf_counter() - started) * 1000)
    return Timed(asked.name, answer.status_code, len(answer.content), median(took), max(took))


def run(options: argparse.Namespace, directory: Path) -> tuple[tuple[int, int], Sequence[Timed]]:
    file = directory / DATABASE
    if options.keep and options.keep.exists():
        shutil.copy(options.keep, file)
    counts = asyncio.run(prepare(file, options.decisions, options.keys, options.seed))
    if options.keep and not options.keep.exists():
        shutil.copy(file, options.keep)
    with LiveIssuer() as issuer, console_server(issuer, directory, decision_log_retention_days="0") as server:
        person = sign_in(server, SUBJECT, PERMISSIONS, seconds=36_000)
        headers = {"Cookie": f"authz={person.token}", "Origin": server.url}
        with httpx.Client(base_url=server.url, headers=headers, timeout=60) as browser:
            return counts, [timed(asked, options.asks) for asked in pages(person, browser)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=int, default=1_000_000, help="in the log (default 1,000,000)")
    parser.add_argument("--keys", type=int, default=10_000, help="of all people (default 10,000)")
    parser.add_argument("--asks", type=int, default=9, help="for each page (default 9)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="a database to take, or to keep")
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        (decisions, keys), told = run(options, Path(directory))
    if options.json:
        print(json.dumps({"decisions": decisions, "keys": keys, "pages": [asdict(each) for each in told]}, indent=2))
    else:
        print(f"{decisions:,} decisions, {keys:,} keys\n\n{'KB':>6} {'p50 ms':>8} {'max ms':>8}  page")
        for each in told:
            note = "  <- over the limit" if each.is_over else ""
            print(f"{each.size / 1000:>6.1f} {each.p50:>8.1f} {each.most:>8.1f}  {each.page}{note}")
    return 1 if any(each.is_over for each in told) else 0


if __name__ == "__main__":
    sys.exit(main())
