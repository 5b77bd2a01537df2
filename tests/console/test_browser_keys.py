"""The key pages in a real browser: from issue to revocation, by keyboard, and a secret that is shown once."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.console.browsing import show
from tests.console.developers import HOSTILE, Subject
from tests.support.browser import check_looks, sign_in
from tests.support.issuer import LiveIssuer
from tests.support.server import Server

TEAMS = "/api/v1/teams/"


def status(console: Server, token: str) -> int:
    return httpx.get(console.url + TEAMS, headers={"Authorization": f"Bearer {token}"}).status_code


def test_a_developer_issues_uses_and_revokes_a_key_and_signs_out(page: Page, console: Server) -> None:
    sign_in(page, console, "Alice Adams")
    page.get_by_role("link", name="Issue a key").click()
    page.get_by_label("Name").fill("my notebook")
    page.get_by_role("checkbox", name="Read the catalog").check()
    page.get_by_role("button", name="Issue the key").click()
    page.get_by_role("heading", name="Copy your key now").wait_for()
    token = page.locator("#plaintext").inner_text()
    assert re.fullmatch(r"grd_live_[0-9a-f]{48}", token)
    check_looks(page)
    assert status(console, token) == 200
    page.get_by_role("link", name="I have stored it").click()
    page.get_by_role("heading", name="my notebook").wait_for()
    check_looks(page)
    page.get_by_role("link", name="Revoke").click()
    check_looks(page)
    page.get_by_role("button", name="Revoke my notebook").click()
    page.get_by_text("The next request with it is refused.").wait_for()
    assert status(console, token) == 401
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.get_by_role("heading", name="You are signed out").wait_for()


def test_a_member_issues_a_key_of_the_organization(page: Page, console: Server, issuer: LiveIssuer) -> None:
    show(page, console, issuer, "/console/org-keys/new", "user_fay")
    page.get_by_label("Name").fill("importer of the organization")
    page.get_by_role("checkbox", name="Read the catalog").check()
    check_looks(page)
    page.get_by_role("button", name="Issue the key").click()
    token = page.locator("#plaintext").inner_text()
    assert status(console, token) == 200
    page.get_by_role("link", name="I have stored it").click()
    page.get_by_role("definition").filter(has_text="user_fay").wait_for()
    check_looks(page)
    page.get_by_role("link", name="Organization keys").click()
    page.get_by_role("heading", name="Keys of acme").wait_for()
    check_looks(page)


def test_the_plaintext_is_gone_after_reload_and_back(
    page: Page, context: BrowserContext, console: Server, issuer: LiveIssuer
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=console.url)
    show(page, console, issuer, "/console/keys/new", "user_alice")
    page.get_by_label("Name").fill("shown once")
    page.get_by_role("checkbox", name="Read the catalog").check()
    page.get_by_role("button", name="Issue the key").click()
    token = page.locator("#plaintext").inner_text()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("status")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == token
    page.reload()
    page.get_by_role("heading", name="shown once").wait_for()
    assert token not in page.content()
    page.get_by_role("link", name="My keys").first.click()
    page.get_by_role("heading", name="My keys").wait_for()
    page.go_back()
    page.get_by_role("heading", name="shown once").wait_for()
    assert token not in page.content()
    page.go_back()
    page.get_by_role("heading", name="Issue a key").wait_for()
    assert token not in page.content()


def test_a_form_that_is_sent_again_without_scripts_issues_no_key(
    page: Page, console: Server, issuer: LiveIssuer
) -> None:
    browser = page.context.browser
    assert browser
    with browser.new_context(java_script_enabled=False) as plain:
        still = plain.new_page()
        sign_in(still, console, "Alice Adams", to="/console/keys/new")
        still.get_by_label("Name").fill("without scripts")
        still.get_by_role("checkbox", name="Read the catalog").check()
        still.get_by_role("button", name="Issue the key").click()
        token = still.locator("#plaintext").inner_text()
        assert status(console, token) == 200
        assert still.get_by_role("button", name="Copy").count() == 0
        still.reload()
        still.get_by_text("This form was sent before.").wait_for()
        still.goto(f"{console.url}/console/keys")
        assert still.get_by_role("link", name="without scripts").count() == 1


def test_rotation_by_keyboard_alone(page: Page, console: Server, issuer: LiveIssuer) -> None:
    show(page, console, issuer, "/console/keys/new", "user_alice")

    def go_to(role: str, name: str) -> None:
        """Press Tab until the element has the focus, and check that the focus is visible."""
        for _ in range(40):
            page.keyboard.press("Tab")
            focused = page.locator(":focus")
            if focused.count() and page.get_by_role(role, name=name, exact=True).and_(focused).count():  # type: ignore[arg-type]  # any role's name
                assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
                return
        pytest.fail(f"no way by Tab to {role} {name}")

    go_to("link", "Skip to the content")
    page.keyboard.press("Enter")
    go_to("textbox", "Name")
    page.keyboard.type("by keyboard")
    go_to("checkbox", "Read the catalog catalog:read")
    page.keyboard.press("Space")
    go_to("button", "Issue the key")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Copy your key now").wait_for()
    old = page.locator("#plaintext").inner_text()
    go_to("link", "I have stored it")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="by keyboard").wait_for()
    go_to("link", "Rotate")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Rotate “by keyboard”").wait_for()
    check_looks(page)
    go_to("combobox", "The old key keeps working")
    page.keyboard.press("ArrowDown")
    go_to("button", "Rotate by keyboard")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Copy your key now").wait_for()
    check_looks(page)
    new = page.locator("#plaintext").inner_text()
    assert new != old
    assert status(console, old) == status(console, new) == 200


def test_the_list_and_the_form_are_accessible_with_hostile_key_names(
    page: Page, console: Server, issuer: LiveIssuer
) -> None:
    alice = Subject(console, "user_bob", ("catalog:read",))
    for name in HOSTILE.values():
        alice.put(name)
    show(page, console, issuer, "/console/keys", "user_bob")
    check_looks(page)
    assert page.locator("script:not([src])").count() == 0
    page.get_by_role("link", name="W" * 20).first.click()
    check_looks(page)
    page.goto(f"{console.url}/console/keys/new")
    page.get_by_label("Name").fill("no scope chosen")
    page.get_by_role("button", name="Issue the key").click()
    page.get_by_role("alert").wait_for()
    check_looks(page)


def test_a_user_without_keys_and_permissions_sees_what_to_do(page: Page, console: Server, issuer: LiveIssuer) -> None:
    show(page, console, issuer, "/console", "user_dan")
    page.get_by_role("heading", name="You have no keys yet").wait_for()
    check_looks(page)
    page.get_by_role("link", name="Issue your first key").click()
    page.get_by_role("heading", name="You cannot issue a key yet").wait_for()
    check_looks(page)


def test_the_layout_is_stable_while_pages_load(page: Page, console: Server) -> None:
    page.add_init_script(
        "window.shifts = 0; new PerformanceObserver(list => { for (const each of list.getEntries()) "
        "window.shifts += each.value; }).observe({type: 'layout-shift', buffered: true});"
    )
    sign_in(page, console, "Alice Adams")
    for path in ("/console/keys", "/console/keys/new", "/console/account"):
        page.goto(console.url + path)
        page.wait_for_load_state("networkidle")
        # Painted while it is still read, the bar at the top makes room for its last button: 0.0005. Good is up to 0.1.
        assert page.evaluate("window.shifts") < 0.002, path
