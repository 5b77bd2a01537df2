"""The administration pages in a real browser: a change from draft to rollback, and the accessibility of each page."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.console.admins import OTHER, READ
from tests.console.browsing import show
from tests.support.browser import NARROW, check_looks, use
from tests.support.issuer import LiveIssuer
from tests.support.server import Server

POLICY = "/console/policy"


def edited(page: Page, old: str, new: str) -> None:
    """Change the text in the editor as a typing user would."""
    text = page.get_by_role("textbox", name="catalog.csv")
    before = text.input_value()
    assert old in before
    text.fill(before.replace(old, new))


@pytest.fixture
def caller(own_console: Server, issuer: LiveIssuer) -> Iterator[httpx.Client]:
    """A client that calls the API during the test."""
    with own_console.client(issuer.token(sub="user_caller", permissions="catalog:read")) as client:
        yield client


def test_a_change_is_checked_fixed_previewed_published_and_rolled_back(
    page: Page, own_console: Server, issuer: LiveIssuer, caller: httpx.Client
) -> None:
    assert caller.get("/api/v1/teams").status_code == 200
    show(page, own_console, issuer, POLICY, "user_carol")
    page.get_by_role("link", name="catalog.csv").click()
    edited(page, READ, READ.replace("allow", "alow"))
    fault = page.get_by_label("Faults and findings").get_by_role("listitem")
    expect(fault).to_contain_text("catalog.csv:7:46")
    expect(fault).to_contain_text("did you mean `allow`?")
    expect(page.locator("#gutter .error")).to_have_text("7")
    expect(page.locator("#backdrop mark")).to_have_text("alow")
    check_looks(page)
    page.get_by_role("button", name="Go to the line").click()
    assert page.evaluate("getSelection().toString()") == "alow"
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("heading", name="Edit the policy")).to_be_visible()
    expect(fault).to_contain_text("catalog.csv:7:46")

    page.goto(f"{own_console.url}{POLICY}/edit")
    page.get_by_role("button", name="Resume draft").click()
    edited(page, READ.replace("allow", "alow"), OTHER)
    expect(page.get_by_role("status")).to_contain_text("no fault")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("heading", name="Preview")).to_be_visible()
    expect(page.locator("#replay")).to_contain_text("user_caller")
    expect(page.get_by_text("for holders of catalog:read, unless they hold holdings:read").first).to_be_visible()
    check_looks(page)
    page.get_by_label("Message").fill("Teams are holdings.")
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_text("This change widens access: check the box to confirm.")).to_be_visible()
    expect(page.get_by_text("correct the policy or its tests, or write why this is accepted.")).to_be_visible()
    page.get_by_label("Access widens, as intended").check()
    page.get_by_label("Why failing or removed cases are accepted").fill("The cases follow.")
    page.get_by_role("button", name="Publish").click()
    page.wait_for_url(re.compile("published=yes"))
    check_looks(page)
    assert page.evaluate("sessionStorage.getItem('authz-draft')") is None

    page.goto(f"{own_console.url}/console/decisions?subject=user_caller")
    assert caller.get("/api/v1/teams").status_code == 403
    denial = page.get_by_role("row", name="deny")
    expect(denial).to_contain_text("lacks holdings:read")
    check_looks(page)
    denial.get_by_role("link", name="Why not").click()
    expect(page.get_by_role("heading", name="What was decided then")).to_be_visible()
    expect(page.locator("main")).to_contain_text("Needs holdings:read, which is not held")
    check_looks(page)

    page.get_by_role("link", name="History").click()
    check_looks(page)
    page.get_by_role("link", name="Roll back").click()
    check_looks(page)
    page.get_by_label("Access widens, as intended").check()
    page.get_by_role("button", name="Roll back").click()
    expect(page.get_by_role("heading", name="Revision")).to_be_visible()
    assert caller.get("/api/v1/teams").status_code == 200


def test_a_text_that_is_typed_before_the_script_runs_is_checked(
    page: Page, console: Server, issuer: LiveIssuer
) -> None:
    show(page, console, issuer, POLICY, "user_carol")
    scripts: list[Route] = []

    def delay(script: Route) -> None:
        scripts.append(script)

    page.route("**/editor.js*", delay)
    with page.expect_request("**/editor.js*"):
        page.goto(f"{console.url}{POLICY}/edit?file=catalog.csv", wait_until="commit")
    edited(page, READ, READ.replace("allow", "alow"))
    scripts[0].continue_()
    expect(page.get_by_label("Faults and findings").get_by_role("listitem")).to_contain_text("catalog.csv:7:46")


def test_pages_are_accessible_and_usable_by_keyboard(page: Page, console: Server, issuer: LiveIssuer) -> None:
    with console.client(issuer.token(sub="user_looked_at", permissions="catalog:read")) as client:
        client.post("/api/v1/api-keys/", json={"name": "<b>a key</b> with quite a long name, as people write"})
    show(page, console, issuer, POLICY, "user_carol")
    check_looks(page)
    for path in (
        f"{POLICY}/matrix?q=/api/v1/teams",  # not all rows, for which axe takes seconds
        f"{POLICY}/simulator?as=auth:jwt&method=GET&path=/api/v1/teams/7",
        "/console/admin-actions?action=key&actor=user_looked_at",
        "/console/all-keys?owner=user_looked_at",
    ):
        page.goto(console.url + path)
        check_looks(page)
    page.get_by_role("row", name="user_looked_at").get_by_role("link", name="Revoke").click()
    check_looks(page)
    page.goto(f"{console.url}{POLICY}/simulator?as=unknown&method=GET&path=/nowhere")
    check_looks(page)

    page.goto(f"{console.url}{POLICY}/matrix")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # skip to the content
    page.keyboard.press("Tab")
    page.keyboard.type("post /api/v1/teams")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("q=post"))
    cell = page.get_by_role("link", name="no", exact=True).first
    cell.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="The answer")).to_be_visible()


def test_the_editor_works_without_scripts(chromium: Browser, console: Server, issuer: LiveIssuer) -> None:
    session = chromium.new_context(java_script_enabled=False).new_page()
    show(session, console, issuer, f"{POLICY}/edit?file=catalog.csv", "user_carol")
    edited(session, READ, READ.replace("allow", "alow"))
    session.get_by_role("button", name="Check", exact=True).click()
    expect(session.get_by_label("Faults and findings")).to_contain_text("did you mean `allow`?")
    edited(session, READ.replace("allow", "alow"), OTHER)
    session.get_by_role("button", name="roles.csv").click()
    expect(session.get_by_role("heading", name="roles.csv")).to_be_visible()
    session.get_by_role("button", name="Preview").click()
    session.get_by_role("button", name="Replay").click()
    expect(session.locator("#replay")).to_contain_text("in the last 7 days")
    expect(session.get_by_role("button", name="Publish")).to_be_visible()
    session.context.close()


def test_a_live_log_can_be_paused_and_resumed(page: Page, console: Server, issuer: LiveIssuer) -> None:
    polls: list[Route] = []

    def delay(poll: Route) -> None:
        polls.append(poll)

    page.route("**/console/decisions/newer?**", delay)
    with page.expect_request("**/console/decisions/newer?**"):
        show(page, console, issuer, "/console/decisions?subject=user_paused", "user_carol")
    expect(page.locator("#live")).to_have_text("Live")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#live")).to_have_text("Paused")
    with console.client(issuer.token(sub="user_paused", permissions="catalog:read")) as client:
        client.get("/api/v1/teams")
    polls[0].continue_()  # the answer to it comes while the log is paused
    page.unroute("**/console/decisions/newer?**")
    page.wait_for_timeout(3000)
    expect(page.locator("#log tbody tr")).to_have_count(0)
    expect(page.locator("#live")).to_have_text("Paused")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#log tbody tr")).to_have_count(1)
    expect(page.get_by_text("No decision matches.")).to_have_count(0)


def test_the_editor_completes_what_is_typed(page: Page, console: Server, issuer: LiveIssuer) -> None:
    show(page, console, issuer, f"{POLICY}/edit?file=catalog.csv", "user_carol")
    page.goto(f"{console.url}{POLICY}/edit?file=catalog.csv")
    text, options = page.get_by_role("textbox", name="catalog.csv"), page.get_by_role("option")
    found = page.get_by_role("listbox", name="Completions")
    before = f"\n{text.input_value()}"
    text.fill(before)
    page.keyboard.press("Control+Home")
    page.keyboard.type("p, catalog:w")
    expect(options.first).to_contain_text("catalog:write")
    expect(page.locator("#completions-state")).to_contain_text("Arrow keys choose.")
    assert text.get_attribute("aria-activedescendant") is None
    page.keyboard.press("Enter")  # no option is active: it ends the line
    expect(found).to_be_hidden()
    assert text.input_value() == f"p, catalog:w\n{before}"
    page.keyboard.press("Backspace")
    page.keyboard.press("Control+Space")
    expect(options.first).to_have_attribute("aria-selected", "true")
    check_looks(page)
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowDown")
    chosen = page.get_by_role("option", selected=True)
    expect(chosen).to_contain_text("catalog:write")
    assert text.get_attribute("aria-activedescendant") == chosen.get_attribute("id")
    page.keyboard.press("Enter")
    expect(found).to_be_hidden()
    assert text.input_value() == f"p, catalog:write{before}"
    page.keyboard.press("Control+z")
    assert text.input_value() == f"p, catalog:w{before}"
    page.keyboard.press("Control+Space")
    expect(found).to_be_visible()
    page.keyboard.press("Escape")
    expect(found).to_be_hidden()
    expect(text).to_be_focused()
    # A character beyond the basic plane is one character of the server, and two of the script. The line is longer than
    # the page is wide, so it scrolls while it is typed.
    use(page, "light", NARROW)
    text.fill("# 🏈\np, anyone, /api/v1/teams, GET, allow, \"subject.id == '🏈' && \"\n# end\n")
    page.keyboard.press("Control+End")
    for key in ("ArrowUp", "ArrowUp", "End", "ArrowLeft"):
        page.keyboard.press(key)
    page.keyboard.type("requ")
    options.filter(has_text="request.ip").first.click()
    assert "&& request.ip" in text.input_value()
    page.keyboard.press("Control+Space")
    page.keyboard.press("Tab")
    expect(found).to_be_hidden()
    expect(text).not_to_be_focused()
