"""Signing in and out with a real browser."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page

from app.dev.wire import RelyingParty
from tests.console.conftest import console_server
from tests.console.sessions import sign_in as with_session
from tests.support.browser import PATIENCE, check_looks, overflow, sign_in, violations
from tests.support.certificate import make
from tests.support.issuer import CONSOLE, LiveIssuer
from tests.support.server import Server


def test_the_check_finds_an_inaccessible_page(page: Page) -> None:
    page.set_content("<img src=x><p style='width: 4000px; color: #999; background: #fff'>faint</p>")
    assert {found.partition(":")[0] for found in violations(page)} >= {"image-alt", "color-contrast", "html-has-lang"}
    assert overflow(page) > 1000


def test_a_user_signs_in_sees_their_permissions_and_signs_out(
    page: Page, context: BrowserContext, console: Server
) -> None:
    page.goto(f"{console.url}/console/account")
    check_looks(page)
    page.get_by_role("link", name="Sign in at").click()
    check_looks(page)
    page.get_by_role("button", name="Carol Clark").click()
    page.wait_for_url(f"{console.url}/console/account")
    check_looks(page)
    (cookie,) = context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("authz", True, "Lax")
    assert page.evaluate("document.cookie") == ""
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.wait_for_url(f"{console.url}/console/signed-out")
    check_looks(page)
    assert context.cookies() == []
    page.go_back()
    page.reload()
    page.wait_for_url(f"{console.url}/console/sign-in?**")
    page.goto(f"{console.url}/console/signed-out")
    page.get_by_role("link", name="Sign out at").click()
    page.wait_for_url(f"{console.url}/console/signed-out")


def test_cancelling_at_the_issuer_says_what_to_do(page: Page, console: Server) -> None:
    page.goto(f"{console.url}/console/sign-in")
    page.get_by_role("link", name="Sign in at").click()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("heading", name="You are not signed in").wait_for()
    check_looks(page)
    page.get_by_role("link", name="Try again").click()
    page.wait_for_url(f"{console.url}/console/sign-in")


def test_a_session_that_ended_in_another_browser_is_refused(page: Page, console: Server) -> None:
    sign_in(page, console, "Bob Brown", to="/console/account")
    with_session(console, "user_bob").post("/console/sign-out/everywhere")
    page.reload()
    page.wait_for_url(f"{console.url}/console/sign-in?to=%2Fconsole%2Faccount")


def test_over_tls_the_session_is_bound_to_the_host(chromium: Browser, issuer: LiveIssuer, tmp_path: Path) -> None:
    with console_server(issuer, tmp_path, certificate=make(tmp_path)) as server:
        registered = RelyingParty(CONSOLE.id, (f"{server.url}/console/callback",))
        issuer.provider.clients = [registered]
        try:
            with chromium.new_context(ignore_https_errors=True) as context:
                context.set_default_timeout(PATIENCE)
                sign_in(context.new_page(), server, to="/console/account")
                (cookie,) = context.cookies()
        finally:
            issuer.provider.clients = [CONSOLE]
    assert (cookie["name"], cookie["secure"], cookie["httpOnly"]) == ("__Host-authz", True, True)
    assert (cookie["path"], cookie["domain"]) == ("/", "127.0.0.1")
