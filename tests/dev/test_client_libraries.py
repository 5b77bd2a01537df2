"""Client libraries of other parties, each in a program of its own, with a person in one real browser.

Each runs through a whole flow, a refresh, a step-up to a further scope and a revocation.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.dev.client_programs import ClientProgram, Person, reports
from tests.oauth.sample_site import sample_site
from tests.support.browser import chromium, context, page, profile
from tests.support.dev_server import DevServer
from tests.support.node_packages import NODE, node_packages
from tests.support.trials.conformance import authorization_scenarios

__all__ = ["chromium", "context", "page", "profile"]
PROGRAMS = Path(__file__).parent / "clients"
REVOKED = "Token has been revoked."
LACKING = {
    "status": 403,
    "code": "insufficient_scope",
    "description": "Token is missing one or more required permissions.",
    "scope": "holdings:write",
}


@pytest.fixture(scope="module")
def found(chromium: Browser, dev: DevServer, client_document: tuple[str, Path]) -> Mapping[str, Any]:
    """What each program reports. All run at the same time."""
    packages = node_packages(PROGRAMS)
    for file in PROGRAMS.glob("*.mjs"):  # Node finds packages beside a program
        (packages / file.name).write_bytes(file.read_bytes())
    commands = {
        "mcp-python": [sys.executable, str(PROGRAMS / "mcp_sdk.py")],
        "mcp-typescript-1": [str(NODE), "mcp_sdk.mjs", "1"],
        "mcp-typescript-2": [str(NODE), "mcp_sdk.mjs", "2"],
        "oauth4webapi": [str(NODE), "oauth4webapi.mjs"],
        "openid-client": [str(NODE), "openid_client.mjs"],
    }
    with ExitStack() as opened:
        site = opened.enter_context(sample_site())
        context = opened.enter_context(chromium.new_context())
        _sign_in(context.new_page(), dev)
        given = {
            "api": dev.url,
            "mcp": dev.address("MCP server"),
            "redirect": site.redirect,
            "document": client_document[0],
        }
        programs = {
            name: opened.enter_context(ClientProgram(command, given, packages, os.environ))
            for name, command in commands.items()
        }
        return reports(programs, Person(context, site.redirect))


def _sign_in(page: Page, dev: DevServer) -> None:
    page.goto(f"{dev.url}/console/sign-in?to=/console")
    page.get_by_role("link", name="Sign in at").click()
    page.get_by_role("button", name="Erin Evans").click()
    page.wait_for_url(f"{dev.url}/console**")


def test_the_conformance_runner_finds_no_fault(page: Page, dev: DevServer) -> None:
    _sign_in(page, dev)

    def allow(address: str) -> None:
        page.goto(address)
        page.get_by_role("button", name="Allow", exact=True).click()
        page.wait_for_url("http://127.0.0.1:*/callback?**")

    found = authorization_scenarios(dev, allow)
    assert found.passed, found.output
    assert "authorization-server-metadata-endpoint: 2 passed, 0 failed" in found.output
    assert "authorization-code-grant: 1 passed, 0 failed" in found.output


# What a client in a page of another site sends: each answer can be read by its script.
CALLS_OF_A_PAGE = """async (api) => {
  const form = (fields) => ({ method: "POST", body: new URLSearchParams(fields) });
  const redirect_uris = [`${location.origin}/cb`];
  const metadata = { client_name: "Page", redirect_uris, token_endpoint_auth_method: "none" };
  const json = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(metadata) };
  const { client_id } = await (await fetch(`${api}/oauth/register`, json)).json();
  const request = { client_id, response_type: "code", code_challenge: "x".repeat(43), code_challenge_method: "S256" };
  const sent = {
    "/.well-known/oauth-protected-resource": { headers: { "MCP-Protocol-Version": "2025-11-25" } },
    "/.well-known/oauth-protected-resource/mcp": {},
    "/.well-known/oauth-authorization-server": {},
    "/oauth/par": form({ ...request, redirect_uri: redirect_uris[0] }),
    "/oauth/token": form({ client_id, grant_type: "refresh_token", refresh_token: "x" }),
    "/oauth/revoke": form({ client_id, token: "x" }),
  };
  const statuses = {};
  for (const [path, options] of Object.entries(sent)) {
    statuses[path] = await fetch(api + path, options).then((answer) => answer.status, (error) => String(error));
  }
  return statuses;
}"""


def test_a_client_in_a_page_of_another_site_reads_each_answer(page: Page, dev: DevServer) -> None:
    with sample_site() as site:
        page.goto(site.url)
        assert page.evaluate(CALLS_OF_A_PAGE, dev.url) == {
            "/.well-known/oauth-protected-resource": 200,
            "/.well-known/oauth-protected-resource/mcp": 200,
            "/.well-known/oauth-authorization-server": 200,
            "/oauth/par": 201,
            "/oauth/token": 400,
            "/oauth/revoke": 200,
        }


@pytest.mark.parametrize("library", ["oauth4webapi", "openid-client"])
def test_a_library_of_oauth(found: Mapping[str, Any], library: str) -> None:
    report = found[library]
    assert "fault" not in report, report["fault"]
    assert [report[step]["status"] for step in ("read", "again", "written")] == [200, 200, 201]
    assert report["lacking"] == LACKING
    assert report["scopes"] == ["catalog:read", "catalog:read", "catalog:read holdings:write"]
    assert (report["revoked"]["status"], report["revoked"]["description"]) == (401, REVOKED)
    (first, refresh), (second, other) = report["rotated"]
    assert first != second
    assert (refresh == other) is (library == "openid-client"), "an app with a secret keeps its refresh token"


@pytest.mark.parametrize(
    ("program", "kind"),
    [
        ("mcp-python", "document"),
        ("mcp-python", "registered"),
        ("mcp-typescript-1", "public"),
        ("mcp-typescript-2", "document"),
    ],
)
def test_an_sdk_of_mcp(
    found: Mapping[str, Any], dev: DevServer, client_document: tuple[str, Path], program: str, kind: str
) -> None:
    report = found[program]
    assert "fault" not in report, report["fault"]
    report = report.get(kind, report)
    assert "BUF  Buffalo Bills, AFC East" in report["read"]
    assert "broadcast: As it went on air." in report["again"]
    assert report["written"].startswith("Added the tag from the ")
    assert report["written"].endswith(" for user_erin.")
    assert report["scopes"] == ["catalog:read holdings:read", "catalog:read holdings:read holdings:write"]
    assert set(report["resources"]) == {dev.address("MCP server")}
    assert report["revoked"] == {"status": 401, "description": REVOKED}
    (first, refresh), (second, other) = report["rotated"]
    assert first != second
    assert (refresh == other) is (kind == "registered"), "an app with a secret keeps its refresh token"
    assert (report["client_id"] == client_document[0]) is (kind == "document")


def test_a_client_that_was_removed_registers_again(found: Mapping[str, Any]) -> None:
    report = found["mcp-typescript-1"]
    assert "fault" not in report, report["fault"]
    assert report["invalidated"] == ["all"], "the token endpoint answered `invalid_client`"
    assert report["again_id"] not in (report["client_id"], f"app_{'0' * 24}")
