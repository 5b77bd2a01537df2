"""An outage of the database through each shipped gateway configuration: the answers are those of the program."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import httpx

from tests.gateway.conftest import built
from tests.gateway.gateways import INGRESS, NAMES, Answer
from tests.support.balancer import balancer
from tests.support.breakable import BreakablePostgres
from tests.support.issuer import LiveIssuer
from tests.support.server import Server, eventually

AWAY = {"detail": "The database does not answer now."}
REQUESTS = 60


def test_nginx_passes_the_answers_of_the_program_without_postgresql(
    breakable: BreakablePostgres, issuer: LiveIssuer, tmp_path: Path
) -> None:
    url = breakable.new()
    token = issuer.token(permissions="catalog:read policies:read")
    with ExitStack() as stack:
        replicas = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            server = Server(
                tmp_path / name,
                jwks_url=issuer.jwks_url,
                issuer=issuer.url,
                database_url=url,
                database_timeout_seconds="1",
            )
            replicas.append(stack.enter_context(server).url)
        nginx = stack.enter_context(balancer(tmp_path, replicas))
        headers = {"Authorization": f"Bearer {token}"}
        client = stack.enter_context(httpx.Client(base_url=nginx, headers=headers, timeout=20))
        assert client.get("/api/v1/teams/").status_code == 200
        breakable.stop()
        try:
            answers = [client.get("/api/v1/teams/") for _ in range(REQUESTS)]
            assert Counter(answer.status_code for answer in answers) == {503: REQUESTS}
            assert all((a.json(), a.headers["retry-after"]) == (AWAY, "1") for a in answers)
            # Decisions that need no database are unaffected.
            decided = Counter(client.get("/api/v1/policies/").status_code for _ in range(REQUESTS))
            assert decided == {200: REQUESTS}
            assert client.get("/api/v1/api-keys/", headers={"Authorization": "Bearer x"}).status_code == 401
        finally:
            breakable.start()
        assert eventually(lambda: client.get("/api/v1/teams/").status_code == 200, 5)


def test_gateways_keep_deciding_and_pass_retry_after_without_postgresql(
    breakable: BreakablePostgres, issuer: LiveIssuer, tmp_path: Path
) -> None:
    jwt = issuer.token(permissions=["catalog:read"])
    with ExitStack() as stack:
        world = built(
            stack, tmp_path, issuer, "orders", (*NAMES, INGRESS), database_url=breakable.new(), key_cache_seconds="0"
        )
        with world.server.client(jwt) as client:
            body = {"name": "k", "scopes": ["catalog:read"]}
            key = client.post("/api/v1/api-keys/", json=body).json()["plaintext"]

        def call(token: str) -> dict[str, Answer]:
            bearer = {"Authorization": f"Bearer {token}"}
            return {name: gateway.ask("GET", "/v1/orders/7", **bearer) for name, gateway in world.gateways.items()}

        def statuses(token: str) -> set[int]:
            return {answer.status for answer in call(token).values()}

        assert statuses(key) == {200}
        breakable.stop()
        try:
            for _ in range(5):
                assert statuses(jwt) == {200}
                for name, answer in call(key).items():
                    assert answer.status == 403, name
                    if name != INGRESS:  # which answers with its own pages
                        assert json.loads(answer.body) == {"detail": "API keys cannot be verified now."}
                        assert answer.headers["retry-after"] == "1"
        finally:
            breakable.start()
        assert eventually(lambda: statuses(key) == {200}, 5)
