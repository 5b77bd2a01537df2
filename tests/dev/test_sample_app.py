"""The sample app of `authz dev`: a user allows it in a real browser, and it calls the API."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.support.browser import check_looks, chromium, context, page
from tests.support.server import AUTHZ, ROOT, eventually, free_port

__all__ = ["chromium", "context", "page"]


def test_a_user_allows_the_sample_app_which_calls_the_api(page: Page, tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AUTHZ_")}
    env = {**clean, "AUTHZ_POLICY_DIR": str(ROOT / "policies")}
    log = tmp_path / "log"
    run = [str(AUTHZ), "dev", "--port", str(free_port()), "--issuer-port", "0", "--data-dir", "data"]
    with log.open("w") as out, subprocess.Popen(run, cwd=tmp_path, env=env, stdout=out, stderr=out) as dev:
        try:
            assert eventually(lambda: "Stop with Ctrl-C." in log.read_text(), 60), log.read_text()
            found = re.search(r"Sample app +(\S+)", log.read_text())
            assert found
            page.goto(found[1])
            check_looks(page)
            page.get_by_role("link", name="Ask for access").click()
            page.get_by_role("link", name="Sign in at").click()
            page.get_by_role("button", name="Alice Adams").click()
            expect(page.get_by_text("Not yours")).to_be_visible()
            page.get_by_role("button", name="Allow", exact=True).click()
            page.get_by_role("heading", name="Access").wait_for()
            check_looks(page)
            text = page.get_by_role("main").inner_text()
            assert "You allowed: catalog:read" in text
            assert re.search(r"GET /api/v1/teams/\s+200, \d+ results", text)
            assert re.search(r"GET /api/v1/sources/\s+403 Token is missing one or more required permissions", text)
            assert re.search(r"GET /api/v1/api-keys/\s+403", text)
            page.goto(f"{found[1]}/callback?code=x&state=y")
            page.get_by_text("This answer belongs to no request of mine.").wait_for()
        finally:
            dev.terminate()
            dev.wait(20)
