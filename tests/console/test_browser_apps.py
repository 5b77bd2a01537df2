"""The registry of apps in a real browser: from registering to removing, and the accessibility of each page."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

from playwright.sync_api import Page, expect

from tests.support.browser import check_looks, sign_in
from tests.support.server import DATABASE, Server

PATH = "/console/registered-apps"


def allow(server: Server, app_id: int) -> None:
    """Store that a user allows an app something."""
    now = str(datetime.now(UTC).replace(tzinfo=None))
    with closing(sqlite3.connect(server.directory / DATABASE, timeout=10)) as database, database:
        person = database.execute(
            "INSERT INTO people (subject, permissions) VALUES ('auth0|5f7c9ab1c2d3e4f5a6b7c8d9', '[]')"
        ).lastrowid
        database.execute(
            "INSERT INTO oauth_grants (person_id, app_id, scopes, app_version, created_at, changed_at)"
            " VALUES (?, ?, '[\"catalog:read\", \"holdings:read\"]', '1', ?3, ?3)",
            (person, app_id, now),
        )


def test_an_app_is_registered_rotated_disabled_and_removed(page: Page, console: Server) -> None:
    sign_in(page, console, "Carol Clark", to=PATH)
    page.get_by_role("link", name=re.compile("Register (an|the first) app")).first.click()
    check_looks(page)
    page.get_by_label("Name").fill("Scores of a third party")
    page.get_by_label("Redirect URIs").fill("http://app.example/callback")
    page.get_by_role("radio", name="On a server").check()
    page.get_by_role("button", name="Register the app").click()
    expect(page.get_by_role("alert")).to_contain_text("No app was registered")
    expect(page.get_by_label("Name")).to_have_value("Scores of a third party")
    expect(page.get_by_role("radio", name="On a server")).to_be_checked()
    check_looks(page)
    page.get_by_label("Redirect URIs").fill("https://app.example/callback")
    page.get_by_role("button", name="Register the app").click()
    page.get_by_role("heading", name="Copy the secret now").wait_for()
    secret = page.locator("#plaintext").inner_text()
    assert re.fullmatch("grd_ocs_[0-9a-f]{48}", secret)
    check_looks(page)
    page.reload()
    page.get_by_role("heading", name="Scores of a third party").wait_for()
    assert secret not in page.content()
    check_looks(page)
    page.get_by_role("link", name="Rotate the secret").click()
    check_looks(page)
    page.get_by_role("button", name="Rotate the secret").click()
    assert page.locator("#plaintext").inner_text() != secret
    page.get_by_role("link", name="I have stored it").click()
    expect(page.get_by_text("The old one is accepted, too")).to_be_visible()
    allow(console, int(page.url.rpartition("/")[2]))
    page.reload()
    expect(page.get_by_role("row", name="auth0|5f7c9ab1c2d3e4f5a6b7c8d9")).to_contain_text("holdings:read")
    check_looks(page)
    page.locator("#main").get_by_role("link", name="Edit").click()
    check_looks(page)
    page.get_by_label("Name").fill("Results of a third party")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Results of a third party is changed.")
    page.get_by_role("link", name="What was done to it").click()
    expect(page.get_by_text("Rotated the secret of an app").last).to_be_visible()
    page.go_back()
    page.get_by_role("link", name="Disable").click()
    check_looks(page)
    page.get_by_role("button", name="Disable Results of a third party").click()
    expect(page.get_by_role("status")).to_contain_text("Nothing that it was given is accepted any more.")
    check_looks(page)
    page.get_by_role("link", name="Registered apps").first.click()
    check_looks(page)
    page.get_by_role("link", name="Results of a third party").click()
    page.get_by_role("link", name="Remove").click()
    check_looks(page)
    page.get_by_role("button", name="Remove Results of a third party").click()
    expect(page.get_by_role("status")).to_contain_text("The app is removed")
