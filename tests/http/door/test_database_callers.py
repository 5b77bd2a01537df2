"""Who has the turns of a request to use the database."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from app.db.connection_turns import Caller, caller_of_request
from app.policy.engine.live import LivePolicy
from tests.http.door.test_shut_door import ROWS, TABLE, Opened
from tests.policy.small import files

pytestmark = pytest.mark.anyio


@dataclass
class Identified(Opened):
    """A door whose handler and look-ups of keys note who has the turns."""

    callers: list[Caller] = field(default_factory=list)

    async def handler(self, scope: Any, receive: Any, send: Any) -> None:
        self._note()
        await super().handler(scope, receive, send)

    async def find(self, digest: bytes) -> Any:
        self._note()
        return await super().find(digest)

    def _note(self) -> None:
        identify = caller_of_request.get()
        assert identify is not None
        self.callers.append(identify())


@pytest.fixture
def door(tmp_path: Path) -> Identified:
    return Identified(live=LivePolicy(tmp_path, TABLE, files(*ROWS)))


@pytest.mark.parametrize(
    ("client", "peer"),
    [
        (("192.0.2.1", 1), "192.0.2.1"),
        (("192.0.2.1", 2), "192.0.2.1"),
        (("2001:db8::1", 1), "2001:db8::/64"),
        (None, ""),
    ],
)
async def test_requests_without_a_known_caller_are_those_of_an_address(
    door: Identified, client: tuple[str, int] | None, peer: str
) -> None:
    assert (await door.ask(b"/open", client))[0] == 200
    assert door.callers == [("address", peer)]


async def test_keys_of_one_owner_have_the_turns_of_the_owner_once_they_are_known(door: Identified) -> None:
    for _ in range(2):
        assert (await door.ask(b"/shut", bearer=door.key("a:read", "b:read")))[0] == 200
    assert door.callers == [("address", "127.0.0.1"), ("subject", "user_a")] * 2


async def test_nothing_of_a_request_stays_in_its_context_after_it(door: Identified) -> None:
    await door.ask(b"/open", ("192.0.2.1", 1))
    identify = caller_of_request.get()
    assert identify is not None
    assert identify() == ("address", "")
