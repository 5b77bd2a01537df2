"""Transient refusals of PostgreSQL are answered with 503, never 500, and retried if that is safe."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.history.replicas import another
from tests.history.test_publish import PUBLISH, active, admin, body
from tests.support.databases import Postgres
from tests.support.issuer import PARTY, LiveIssuer
from tests.support.server import Server, eventually

# A name such as `40001` makes the statement fail with this SQLSTATE; `once 40001` only the first time.
FAILING = """
CREATE SEQUENCE failures;
CREATE FUNCTION fail() RETURNS trigger AS $$ BEGIN
  IF NEW.name ~ '^[0-9A-Z]{5}$' THEN RAISE EXCEPTION 'made up' USING ERRCODE = NEW.name; END IF;
  IF NEW.name ~ '^once [0-9A-Z]{5}$' AND nextval('failures') % 2 = 1 THEN
    RAISE EXCEPTION 'made up' USING ERRCODE = right(NEW.name, 5);
  END IF;
  RETURN NEW;
END $$ LANGUAGE plpgsql;
CREATE FUNCTION fail_message() RETURNS trigger AS $$ BEGIN
  IF NEW.message ~ '^[0-9A-Z]{5}$' THEN RAISE EXCEPTION 'made up' USING ERRCODE = NEW.message; END IF;
  RETURN NEW;
END $$ LANGUAGE plpgsql;
CREATE TRIGGER fail_actions BEFORE INSERT ON admin_actions FOR EACH ROW EXECUTE FUNCTION fail_message();
CREATE TRIGGER fail_keys BEFORE INSERT ON api_keys FOR EACH ROW EXECUTE FUNCTION fail();
CREATE TRIGGER fail_leagues BEFORE INSERT ON leagues FOR EACH ROW EXECUTE FUNCTION fail();
"""
STATES = ["08006", "25006", "40001", "40P01", "53300", "55P03", "57P01", "57P02", "57P03"]


@pytest.fixture(scope="module")
def served(postgres: Postgres, issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    url = postgres.new(prepared=True)
    postgres.run(url, FAILING)
    with Server(
        tmp_path_factory.mktemp("failing"),
        jwks_url=issuer.jwks_url,
        issuer=issuer.url,
        authorized_parties=PARTY,
        database_url=url,
        database_pool_size="2",
        access_log="false",
    ) as server:
        yield server


@pytest.fixture(scope="module")
def client(served: Server, issuer: LiveIssuer) -> Iterator[httpx.Client]:
    token = issuer.token(permissions=["catalog:read", "catalog:write"], exp=2**33)
    with served.client(token) as opened:
        yield opened


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("path", ["/api/v1/api-keys/", "/api/v1/leagues/"])
def test_a_transient_refusal_is_503(state: str, path: str, client: httpx.Client) -> None:
    body = {"name": state} | ({"abbreviation": state, "country": "US"} if "leagues" in path else {})
    answer = client.post(path, json=body)
    assert (answer.status_code, answer.headers.get("retry-after")) == (503, "1"), answer.text
    assert "made up" not in answer.text
    assert client.get(path).status_code == 200  # a connection that was discarded has a successor


@pytest.mark.parametrize("state", ["25006", "40001", "40P01"])
def test_a_rolled_back_transaction_is_retried_once(state: str, client: httpx.Client) -> None:
    answer = client.post("/api/v1/leagues/", json={"name": f"once {state}", "abbreviation": state, "country": "US"})
    assert answer.status_code == 201, answer.text
    assert len([row for row in client.get("/api/v1/leagues/").json()["results"] if state in row["name"]]) == 1


def test_a_commit_of_unknown_outcome_is_not_retried(client: httpx.Client) -> None:
    answer = client.post("/api/v1/leagues/", json={"name": "once 57P01", "abbreviation": "57P01", "country": "US"})
    assert answer.status_code == 503


@pytest.mark.parametrize("state", ["25006", "40001", "40P01", "57P01"])
def test_a_rolled_back_publication_is_not_served(state: str, served: Server, issuer: LiveIssuer) -> None:
    with admin(served, issuer) as client:
        before = active(client)
        content = another(served)
        answer = client.post(PUBLISH, json=body(client, content) | {"message": state})
        assert answer.status_code == 503, answer.text
        is_known = state != "57P01"  # else the history has to tell
        assert (answer.json()["detail"] == "The database does not answer now.") is is_known
        assert (served.policy_dir / ".publishing").exists() is not is_known
        assert active(client) == before
        answer = client.post(PUBLISH, json=body(client, content))
        assert answer.status_code == 200, answer.text


def test_readers_wait_for_a_connection(served: Server, client: httpx.Client) -> None:
    """64 concurrent requests share two connections, each of which is held for a while."""
    with ThreadPoolExecutor(64) as threads:
        answers = list(threads.map(lambda _: client.get("/api/v1/leagues/").status_code, range(200)))
    assert set(answers) == {200}


def test_no_connection_in_time_is_503(postgres: Postgres, issuer: LiveIssuer, tmp_path: Path) -> None:
    url = postgres.new(prepared=True)
    server = Server(
        tmp_path,
        jwks_url=issuer.jwks_url,
        issuer=issuer.url,
        authorized_parties=PARTY,
        database_url=url,
        database_pool_size="1",
        database_pool_wait_seconds="0.2",
    )
    token = issuer.token(permissions=["catalog:read", "catalog:write"])
    with server, server.client(token) as client, ThreadPoolExecutor(1) as threads:
        postgres.run(
            url,
            "CREATE FUNCTION slow() RETURNS trigger AS 'BEGIN PERFORM pg_sleep(2); RETURN NEW; END' "
            "LANGUAGE plpgsql; CREATE TRIGGER slow BEFORE INSERT ON leagues "
            "FOR EACH ROW EXECUTE FUNCTION slow()",
        )
        body = {"name": "Slow", "abbreviation": "SLOW", "country": "US"}
        writing = threads.submit(client.post, "/api/v1/leagues/", json=body)
        assert eventually(lambda: _is_refused(client.get("/api/v1/leagues/")))
        assert writing.result().status_code == 201


def _is_refused(answer: httpx.Response) -> bool:
    return (answer.status_code, answer.headers.get("retry-after")) == (503, "1")
