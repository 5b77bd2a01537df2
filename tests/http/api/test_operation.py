"""Operation: invalid settings prevent the start, health checks are correct, and logs have the request id."""

from __future__ import annotations

import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess

import httpx
import pytest

from tests.support.forked_process import run
from tests.support.issuer import LiveIssuer
from tests.support.server import DATABASE, Server, eventually, prepared_database


@pytest.fixture
def made(issuer: LiveIssuer, tmp_path: Path) -> Server:
    """A server that is not started."""
    return Server(tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url)


def serve(made: Server, **changes: str | None) -> CompletedProcess[str]:
    env = {name: value for name, value in {**made.env, **changes}.items() if value is not None}
    return run("serve", "--port", "0", env=env, cwd=made.directory)


@pytest.fixture(scope="module")
def recovering(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, httpx.Response]]:
    """A server whose issuer was down at its first fetch and is back, with the readiness that it reported.

    It fetches again ten seconds later: the first test starts it, and the last one sees the recovery.
    """
    with LiveIssuer() as issuer:
        issuer.answer = lambda: (500, b"down")
        with Server(tmp_path_factory.mktemp("down"), jwks_url=issuer.jwks_url, issuer=issuer.url) as server:
            down = httpx.get(f"{server.url}/readyz")
            assert httpx.get(f"{server.url}/healthz").status_code == 200
            with server.client(issuer.token(azp=None, permissions=["catalog:read"])) as client:
                refused = client.get("/api/v1/teams/")
            assert refused.status_code == 503
            assert refused.json() == {"detail": "Signing keys are unavailable."}
            assert int(refused.headers["retry-after"]) > 0
            issuer.answer = issuer.publish
            yield server, down


def test_readiness_is_degraded_without_a_key_set(recovering: tuple[Server, httpx.Response]) -> None:
    _, down = recovering
    assert (down.status_code, down.json()["status"]) == (200, "degraded")
    assert down.json()["checks"]["key_set"]["ok"] is False


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AUTHZ_POLICY_DIR", "nowhere"),
        ("AUTHZ_POLICY_DIR", "authz.db"),
        ("AUTHZ_DATABASE_URL", "mysql://user:hidden-word@host/database"),
        ("AUTHZ_DATABASE_URL", "hidden-word"),
        ("AUTHZ_DATABASE_URL", "sqlite:///nowhere.db"),
        ("AUTHZ_HOST", "0.0.0.0:8000"),
        ("AUTHZ_AUTHORISED_PARTIES", "https://app.griddy.example"),
        ("AUTHZ_GATEWAY_SECRETS", "hidden-word"),
    ],
)
def test_an_invalid_setting_is_reported_in_one_line(made: Server, name: str, value: str) -> None:
    (made.directory / "authz.db").touch()
    stopped = serve(made, **{name: value})
    assert stopped.returncode == 1
    (line,) = stopped.stderr.splitlines()
    assert line.startswith("authz: ")
    assert name in line
    assert "hidden-word" not in line
    assert not (made.directory / "nowhere.db").exists()


@pytest.mark.parametrize("name", ["AUTHZ_JWKS_URL", "AUTHZ_ISSUER", "AUTHZ_AUDIENCE"])
def test_serve_needs_an_issuer(made: Server, name: str) -> None:
    stopped = serve(made, **{name: None})
    assert stopped.returncode == 1
    assert f"{name}: not set" in stopped.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AUTHZ_LOG_LEVEL", "loud"),
        ("AUTHZ_KEY_ENVIRONMENTS", "live,prod"),
        ("AUTHZ_KEY_ENVIRONMENTS", ""),
        ("AUTHZ_JWKS_URL", "file:///etc/passwd"),
        ("AUTHZ_KEY_CACHE_SECONDS", "-1"),
    ],
)
def test_an_invalid_setting_is_named(made: Server, name: str, value: str) -> None:
    stopped = serve(made, **{name: value})
    assert stopped.returncode == 1
    assert name in stopped.stderr


def test_serve_refuses_a_database_without_migrations(made: Server) -> None:
    stopped = serve(made)
    assert stopped.returncode == 1
    assert "authz db upgrade" in stopped.stderr


def test_serve_refuses_a_policy_with_faults(made: Server) -> None:
    (made.policy_dir / "catalog.csv").write_text("p, catalog:read, /api/v1/leagues/**, GET|HEAD, denny\n# end\n")
    with pytest.raises(RuntimeError, match=r"catalog\.csv:1:48"):
        made.start()


def test_a_taken_port_is_a_plain_error(server: Server, made: Server) -> None:
    shutil.copy(prepared_database(), made.directory / DATABASE)
    port = server.url.rsplit(":", 1)[1]
    stopped = run("serve", "--port", port, env=made.env, cwd=made.directory)
    assert stopped.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in stopped.stderr


def test_every_answer_and_its_log_line_share_a_request_id(server: Server) -> None:
    for path in ("/healthz", "/api/v1/teams/", "/nowhere"):
        request_id = httpx.get(server.url + path).headers["x-request-id"]
        entry = server.wait_for_log(lambda line, wanted=request_id: line.get("request_id") == wanted)  # type: ignore[misc]
        assert (entry["event"], entry["path"]) == ("request", path)


def test_an_invalid_request_id_is_replaced(server: Server) -> None:
    kept = httpx.get(f"{server.url}/healthz", headers={"X-Request-ID": "abc-123"}).headers["x-request-id"]
    replaced = httpx.get(f"{server.url}/healthz", headers={"X-Request-ID": "a b"}).headers["x-request-id"]
    assert kept == "abc-123"
    assert replaced != "a b"


def test_a_key_in_a_path_or_query_is_not_logged(server: Server) -> None:
    secret = "grd_live_" + "ab" * 24
    httpx.get(f"{server.url}/{secret}/x?token={secret}", headers={"X-Request-ID": "with-a-secret"})
    server.wait_for_log(lambda line: line.get("request_id") == "with-a-secret")
    assert secret not in "\n".join(server.written_lines())


def test_the_documentation_loads_nothing_from_other_hosts(server: Server) -> None:
    page = httpx.get(f"{server.url}/docs", timeout=60)
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert "<script" not in page.text
    assert "catalog:read" in page.text


@pytest.mark.parametrize(("path", "cached"), [("/docs", "no-cache"), ("/docs/style.css", "max-age=300")])
def test_the_documentation_has_every_security_header(server: Server, path: str, cached: str) -> None:
    found = httpx.get(server.url + path, timeout=60).headers
    expected = {
        "content-security-policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": cached,
    }
    assert {name: found.get(name) for name in expected} == expected


def test_the_openapi_document_describes_tokens_and_required_permissions(server: Server) -> None:
    document = httpx.get(f"{server.url}/openapi.json", timeout=60).json()
    assert document["openapi"].startswith("3.1")
    assert set(document["components"]["securitySchemes"]) == {"jwt", "api_key"}
    listing = document["paths"]["/api/v1/teams"]["get"]
    assert listing["security"] == [{"jwt": []}, {"api_key": []}]
    assert listing["x-needs"] == [["catalog:read"]]
    assert document["paths"]["/api/v1/api-keys"]["post"]["security"] == [{"jwt": []}]
    assert document["paths"]["/healthz"]["get"]["security"] == [{}]


def test_it_stops_cleanly(made: Server) -> None:
    made.start()
    assert made.stop() == -signal.SIGTERM, "it ends with the signal, after a clean shutdown"
    assert made.log[-1]["event"] == "stopped"


def test_without_its_database_a_key_is_503_and_a_jwt_is_accepted(own_server: Server, issuer: LiveIssuer) -> None:
    token = issuer.token(permissions=["catalog:read", "policies:read"])
    with own_server.client(token) as client:
        issued = client.post("/api/v1/api-keys/", json={"name": "cut off", "scopes": ["policies:read"]}).json()
    with closing(sqlite3.connect(own_server.directory / "authz.db")) as database:
        database.execute("DROP TABLE api_keys")
        database.commit()
    with own_server.client(issued["plaintext"]) as program:
        refused = program.get("/api/v1/policies/")
    assert refused.status_code == 503
    assert refused.json() == {"detail": "API keys cannot be verified now."}
    assert refused.headers["retry-after"] == "1"
    with own_server.client(token) as person:
        assert person.get("/api/v1/policies/").status_code == 200


def test_cross_origin_calls_need_an_allowed_origin(issuer: LiveIssuer, tmp_path: Path) -> None:
    origin = "https://app.griddy.example"
    with Server(tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url, allowed_origins=origin) as server:
        asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
        preflight = httpx.options(f"{server.url}/api/v1/teams/", headers={"Origin": origin, **asked})
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == origin
        stranger = httpx.options(f"{server.url}/api/v1/teams/", headers={"Origin": "https://evil.example", **asked})
        assert "access-control-allow-origin" not in stranger.headers
        for caller, allowed in ((origin, origin), ("https://evil.example", None)):
            answer = httpx.get(f"{server.url}/api/v1/teams/", headers={"Origin": caller})
            assert answer.status_code == 401, "a preflight opens nothing"
            assert answer.headers.get("access-control-allow-origin") == allowed


def test_readiness_recovers_with_a_key_set(recovering: tuple[Server, httpx.Response]) -> None:
    server, _ = recovering
    assert eventually(lambda: httpx.get(f"{server.url}/readyz").json()["status"] == "ready", 15)
