"""A reload that the caller does not accept changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.policy.engine.live import LivePolicy, Reload
from app.policy.routing.routes import Route, RouteTable
from tests.policy.shipped import write
from tests.policy.small import files

pytestmark = pytest.mark.anyio

TABLE = RouteTable([Route("/x", "GET")])
OPEN, SHUT = "p, anyone, /x, GET, allow", "p, a:read, /x, GET, allow"
ANYONE = frozenset({"anyone"})


class Unwritable(Exception):
    pass


async def test_a_policy_is_active_only_after_the_caller_accepted_it(tmp_path: Path) -> None:
    live = LivePolicy(write(tmp_path / "policies", files(SHUT)), TABLE)
    before, reloads = live.active.revision, dict(live.reloads)
    seen: list[tuple[str, str, str]] = []

    async def accept(reload: Reload) -> None:
        seen.append((reload.outcome, reload.revision, live.active.revision))

    async def refuse(reload: Reload) -> None:
        await accept(reload)
        raise Unwritable

    for content, outcome in ((OPEN, "swapped"), (SHUT, "unchanged")):
        write(live.directory, files(content))
        with pytest.raises(Unwritable):
            await live.reload(refuse)
        assert seen.pop()[0] == outcome
        assert (live.active.revision, live.on_disk, live.reloads) == (before, before, reloads)
        assert not live.active.decide(ANYONE, "/x", "GET")

    write(live.directory, files(f"{OPEN}\nnonsense"))
    assert (await live.reload(refuse)).outcome == "refused", "no acceptance is needed"
    write(live.directory, files(OPEN))
    taken = await live.reload(accept)
    assert seen == [("swapped", taken.revision, before)], "before it is active"
    assert live.active.decide(ANYONE, "/x", "GET")
