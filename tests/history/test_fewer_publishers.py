"""The admin log states that fewer callers can publish, and that this was acknowledged."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlmodel import col, select

from app.db.session import Sessions
from app.db.tables.history import AdminAction
from app.history.acknowledgements import Acknowledgements, Unacknowledged
from app.history.follower import Follower
from app.history.publish import PolicyChange, Publisher
from app.history.recovery import settled
from app.policy.engine.live import LivePolicy
from app.policy.engine.lockout import PUBLISH
from app.policy.routing.routes import RouteTable
from tests.history.processes import ME
from tests.policy import small
from tests.policy.shipped import write

pytestmark = pytest.mark.anyio

WIDER = Acknowledgements(widening=True)
TABLE = RouteTable([*small.TABLE.routes, PUBLISH])
BY = f"p, %s, {PUBLISH.template}, POST, allow"
ROWS = ("p, a:read, /x/**, GET, allow", "p, a:write, /x, POST, allow", "p, anyone, /y, GET, allow")


def policy(*publishers: str) -> dict[str, bytes]:
    return small.files(*ROWS, *(BY % name for name in publishers))


async def messages(sessions: Sessions) -> list[tuple[str, str]]:
    async with sessions() as session:
        rows = await session.scalars(select(AdminAction).order_by(col(AdminAction.id)))
        return [(row.action, row.message) for row in rows]


async def test_the_admin_log_states_lost_publishers(sessions: Sessions, tmp_path: Path) -> None:
    directory = write(tmp_path / "policies", policy("a:write", "b:read"))
    async with settled(sessions, directory) as start:
        live = LivePolicy(directory, TABLE, start.files)
    publisher = Publisher(Follower(live, sessions, start.seen, files_win=False))
    first = live.active.revision

    async def publish(message: str, *publishers: str, acknowledged: bool = False) -> None:
        await publisher.publish(
            policy(*publishers),
            PolicyChange(
                live.active.revision, ME, message, Acknowledgements(widening=True, fewer_publishers=acknowledged)
            ),
        )

    await publish("One may go", "a:write")
    with pytest.raises(Unacknowledged):
        await publish("No publisher is left", "user:ghost")
    await publish("Only the new one", "user:ghost", acknowledged=True)
    await publisher.rollback(first, PolicyChange(live.active.revision, ME, "", WIDER))
    await publish("", "user:me", acknowledged=True)
    lost = f"fewer callers could publish a policy: POST {PUBLISH.template}  for holders of"
    locked_out = "no known caller could publish a policy: only user:ghost"
    *others, (_, last) = await messages(sessions)
    assert last.startswith(f"(acknowledged: {lost} ")
    assert others == [
        ("policy.publish", f"One may go ({lost} b:read, unless they hold a:write)"),
        ("policy.publish", f"Only the new one (acknowledged: {locked_out}, never seen in the decision log)"),
        ("policy.rollback", f"Back to {first}. ({lost} user:ghost, unless they hold a:write or they hold b:read)"),
    ]
