"""The sample app of `authz dev`: a user allows it in a real browser, and it calls the API."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.support.browser import check_looks, chromium, context, page, profile
from tests.support.dev_server import DevServer

__all__ = ["chromium", "context", "page", "profile"]


def test_a_user_allows_the_sample_app_which_calls_the_api(page: Page, dev: DevServer) -> None:
    address = dev.address("Sample app")
    page.goto(address)
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
    shown = page.url
    page.reload()
    assert page.get_by_role("main").inner_text() == text
    page.get_by_role("link", name="Apps I allowed").click()
    page.get_by_role("button", name="End the access of Sample app").click()
    page.get_by_role("status").wait_for()
    page.goto(shown)
    expect(page.get_by_text("401 Token has been revoked.").first).to_be_visible()
    page.goto(f"{address}/calls?token=x")
    page.get_by_text("This app has no such token").wait_for()
    page.goto(f"{address}/callback?code=x&state=y")
    page.get_by_text("This answer is to no open request of this app").wait_for()
