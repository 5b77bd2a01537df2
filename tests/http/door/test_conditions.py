"""Conditions in the application: subject, resource and request; an error never allows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.issuer import LiveIssuer
from tests.support.server import Server

ALLOWED = 404  # through the door, to a table without rows
OLD = "p, catalog:read, /api/v1/teams/**, GET|HEAD, allow\n"
NEW = """p, catalog:read, /api/v1/teams, GET|HEAD, allow
p, catalog:read, /api/v1/teams/{team_id}, GET|HEAD, allow, "params.team_id == '7' && request.ip == '127.0.0.1'"
p, catalog:write, /api/v1/teams/{team_id}, GET|HEAD, allow, "subject.claims.tier == 'gold'"
p, holdings:read, /api/v1/teams/{team_id}, GET|HEAD, deny, "subject.claims.suspended == true"
"""


@pytest.fixture
def conditional(issuer: LiveIssuer, tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url)
    file = server.policy_dir / "catalog.csv"
    assert OLD in file.read_text()
    file.write_text(file.read_text().replace(OLD, NEW))
    with server:
        yield server


def test_a_condition_reads_the_request_and_the_claims(conditional: Server, issuer: LiveIssuer) -> None:
    def status(path: str, permissions: str, **claims: Any) -> int:
        with conditional.client(issuer.token(permissions=permissions, **claims)) as client:
            return client.get(path).status_code

    assert status("/api/v1/teams/7/", "catalog:read") == ALLOWED
    assert status("/api/v1/teams/8/", "catalog:read") == 403
    assert status("/api/v1/teams/", "catalog:read") == 200
    assert status("/api/v1/teams/8/", "catalog:write", tier="gold") == ALLOWED
    assert status("/api/v1/teams/8/", "catalog:write", tier="tin") == 403
    assert status("/api/v1/teams/8/", "catalog:write") == 403, "a missing claim opens nothing"
    assert status("/api/v1/teams/7/", "catalog:read holdings:read", suspended=False) == ALLOWED
    assert status("/api/v1/teams/7/", "catalog:read holdings:read", suspended=True) == 403
    assert status("/api/v1/teams/7/", "catalog:read holdings:read") == 403, "a deny that cannot be evaluated denies"
