"""A caller whose requests all wait for a lock of the database, and another caller meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.db.session import Sessions
from app.keys.capacity import lock_owner
from tests.support.issuer import PARTY, LiveIssuer
from tests.support.server import Server

pytestmark = pytest.mark.anyio
OWNER = "user_of_many"
REQUESTS = 40  # more than a process has connections
SOON = 1.0  # seconds; the requests of the owner wait for longer


@pytest.fixture
def served(url: str, issuer: LiveIssuer, tmp_path: Path) -> Iterator[Server]:
    with Server(
        tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url, authorized_parties=PARTY, database_url=url
    ) as server:
        yield server


async def test_a_caller_whose_requests_wait_for_a_lock_leaves_connections_to_others(
    served: Server, sessions: Sessions, issuer: LiveIssuer
) -> None:
    owner, other = (
        {"Authorization": f"Bearer {issuer.token(sub=name, permissions='catalog:read')}"} for name in (OWNER, "user_b")
    )
    async with httpx.AsyncClient(base_url=served.url, timeout=20) as client, asyncio.TaskGroup() as tasks:
        key = (
            await client.post("/api/v1/api-keys", headers=other, json={"name": "k", "scopes": ["catalog:read"]})
        ).json()
        async with sessions() as holding:
            await lock_owner(holding, OWNER)
            rotate = "/api/v1/api-keys/999/rotate"
            waiting = [tasks.create_task(client.post(rotate, headers=owner, json={})) for _ in range(REQUESTS)]
            await asyncio.sleep(0.3)
            assert not any(task.done() for task in waiting)
            program = {"Authorization": f"Bearer {key['plaintext']}"}
            for headers in (other, program):
                async with asyncio.timeout(SOON):
                    assert (await client.get("/api/v1/teams", headers=headers)).status_code == 200
            async with asyncio.timeout(SOON):
                assert (await client.get("/readyz")).json()["status"] == "ready"
        assert {(await task).status_code for task in waiting} == {404}
