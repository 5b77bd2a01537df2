"""The installed SDK for TypeScript in a page of another origin and at the edge."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page

from tests.clients.failing_server import FailingServer, Handler
from tests.support.browser import chromium, context, page, profile
from tests.support.issuer import LiveIssuer
from tests.support.node_packages import node_packages
from tests.support.server import Server
from tests.support.static_site import StaticSite

__all__ = ["chromium", "context", "page", "profile"]
EDGE = Path(__file__).parent / "edge"
# The same program in a page and at the edge.
PROGRAM = """async ({ url, token, other }) => {
  const { Forbidden, Griddy, NotFound, Unauthenticated } = griddy_package;
  const griddy = new Griddy(url, async () => token);
  const kind = async (promise) => promise.catch((error) => error);
  const teams = [];
  for await (const team of griddy.teams.list()) teams.push(team.nickname);
  const keys = [];
  for await (const key of griddy.apiKeys.list()) keys.push(key.id);
  const forbidden = await kind(griddy.sources.create({ kind: "shop", name: "x" }));
  const missing = await kind(griddy.teams.retrieve(0));
  const unknown = await kind(new Griddy(url, "grd_test_" + "0".repeat(48)).teams.retrieve(1));
  const issued = await griddy.apiKeys.issue("page", ["catalog:read"]);
  const revoked = await griddy.apiKeys.revoke(issued.api_key.id);
  const moved = await kind(new Griddy(other, token).request("GET", "/moved"));
  return {
    teams: teams.length,
    keys: keys.length > 100 && new Set(keys).size === keys.length,
    forbidden: [forbidden instanceof Forbidden, forbidden.missing, typeof forbidden.requestId],
    missing: [missing instanceof NotFound, missing.detail],
    unknown: [unknown instanceof Unauthenticated, unknown.detail],
    revoked: revoked.is_active,
    moved: moved.name,
  };
}"""
KEYS = 101  # more than a page of keys
EXPOSED = {"www-authenticate", "x-request-id", "retry-after", "link"}


@pytest.fixture(scope="module")
def token(sample_server: Server, issuer: LiveIssuer) -> str:
    """The token of a user with more than a page of keys."""
    token = issuer.token(sub="user_with_keys", permissions=["catalog:read"])
    with sample_server.client(token) as client:
        for number in range(KEYS):
            client.post("/api/v1/api-keys/", json={"name": f"key {number}"}).raise_for_status()
    return token


@pytest.fixture
def order(sample_server: Server, token: str) -> Iterator[dict[str, str]]:
    """What the program needs, with the address of another server that redirects, also the requests of pages."""
    headers = {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Headers": "Authorization",
        "Location": "/other",
    }

    def redirect(handler: Handler) -> None:
        handler.answer(204 if handler.command == "OPTIONS" else 302, headers, None)

    with FailingServer() as started:
        started.follow([redirect])
        yield {"url": sample_server.url, "token": token, "other": started.url}
    assert {path for _, path, _ in started.requests} == {"/moved"}


def check(found: Mapping[str, Any]) -> None:
    """Check what the program returned."""
    assert found == {
        "teams": 32,
        "keys": True,
        "forbidden": [True, ["holdings:write"], "string"],
        "missing": [True, "Team not found."],
        "unknown": [True, "Invalid API key."],
        "revoked": False,
        "moved": "RefusedRequest",
    }


def test_in_a_page_of_another_origin(
    page: Page, other_origin: StaticSite, order: dict[str, str], installed: Path
) -> None:
    shutil.copytree(installed / "node_modules" / "griddy" / "dist", other_origin.directory / "griddy")
    (other_origin.directory / "index.html").write_text("<!doctype html><title>App</title><link rel=icon href=data:,>")
    page.goto(other_origin.url)
    page.evaluate("import('/griddy/index.js').then((found) => { window.griddy_package = found; })")
    check(page.evaluate(PROGRAM, order))


def test_a_page_of_another_origin_can_read_each_response(
    other_origin: StaticSite, sample_server: Server, issuer: LiveIssuer
) -> None:
    reader, writer = issuer.token(permissions=["catalog:read"]), issuer.token(permissions=["catalog:write"])
    requests = [
        ("GET", "/api/v1/teams/", reader, 200),
        ("GET", "/api/v1/teams/", None, 401),
        ("GET", "/api/v1/teams/", "grd_live_x", 401),
        ("GET", "/api/v1/teams/", writer, 403),
        ("GET", "/api/v1/teams/0/", reader, 404),
        ("GET", "/nowhere", None, 404),
        ("DELETE", "/api/v1/teams/", writer, 405),
        ("POST", "/api/v1/teams/", writer, 415),
    ]
    for method, path, token, status in requests:
        with sample_server.client(token) as client:
            answer = client.request(method, path, headers={"Origin": other_origin.url})
        assert answer.status_code == status, (method, path, answer.text)
        assert answer.headers["Access-Control-Allow-Origin"] == other_origin.url, (method, path, status)
        exposed = answer.headers["Access-Control-Expose-Headers"].lower().split(", ")
        assert set(exposed) >= EXPOSED, (method, path, status)


WORKER = f"""
import * as griddy_package from "./griddy/index.js";

const program = {PROGRAM};
export default {{ fetch: async (request) => Response.json(await program(await request.json())) }};
"""
WORKERD = """
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [MODULES],
      compatibilityDate = "2024-01-01",
    )),
    (name = "internet", network = (allow = ["public", "private"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
"""


def test_at_the_edge(order: dict[str, str], installed: Path, tmp_path: Path) -> None:
    """In the runtime of Cloudflare's Workers."""
    shutil.copytree(installed / "node_modules" / "griddy" / "dist", tmp_path / "griddy")
    (tmp_path / "worker.mjs").write_text(WORKER)
    names = ["worker.mjs", *(f"griddy/{file.name}" for file in (tmp_path / "griddy").glob("*.js"))]
    modules = ", ".join(f'(name = "{name}", esModule = embed "{name}")' for name in names)
    (tmp_path / "config.capnp").write_text(WORKERD.replace("MODULES", modules))
    # The program itself: `workerd/bin/workerd` starts it in a process of its own, which would outlive the test.
    (workerd,) = (node_packages(EDGE) / "node_modules" / "@cloudflare").glob("workerd-*/bin/workerd")
    command = [str(workerd), "serve", "config.capnp", "--control-fd=1"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout
            port = json.loads(running.stdout.readline())["port"]
            answer = httpx.post(f"http://127.0.0.1:{port}/", json=order, timeout=60)
        finally:
            running.terminate()
    check(answer.json())
