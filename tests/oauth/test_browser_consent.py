"""The consent page in a real browser."""

from __future__ import annotations

import time
from urllib.parse import urlencode

from playwright.sync_api import Page, expect

from tests.oauth.asking import request_of
from tests.oauth.sample_site import sample_site
from tests.oauth.served import ServedApp
from tests.support.browser import check_looks, chromium, context, page, profile
from tests.support.server import Server

__all__ = ["chromium", "context", "page", "profile"]


def address_of(app: ServedApp, redirect: str, scope: str = "catalog:read holdings:read") -> str:
    query = request_of(app, redirect_uri=redirect, scope=scope)
    return f"{app.server.url}/oauth/authorize?{urlencode(query)}"


def test_a_user_allows_an_app_a_second_after_the_page_is_visible(page: Page, app_server: Server) -> None:
    app = ServedApp(app_server)
    app.change(redirect_uris=["http://127.0.0.1/cb"], host=None)
    with sample_site() as site:
        page.goto(address_of(app, site.redirect, "everything"))
        check_looks(page)
        page.get_by_role("link", name="Sign in at").click()
        page.get_by_role("button", name="Alice Adams").click()
        # The issuer's page lets its form lead to the console alone, and the consent leads on at once.
        page.wait_for_url(f"{site.redirect}?**")
        assert site.answers.pop()["error"] == "invalid_scope"
        page.goto(address_of(app, site.redirect))
        allow = page.get_by_role("button", name="Allow", exact=True)
        allow.wait_for()
        shown = time.monotonic()
        assert allow.is_disabled()
        expect(allow).to_be_enabled()
        assert time.monotonic() - shown > 0.5, "of the second, some has passed before the page was seen here"
        check_looks(page)
        allow.click()
        page.wait_for_url(f"{site.redirect}?**")
        (answer,) = site.answers
        assert set(answer) == {"code", "state", "iss"}
        assert app.redeem(answer["code"], redirect_uri=site.redirect).status_code == 200
        ServedApp(app_server).tokens(subject="user_alice")  # of the same name, which must not be ambiguous
        page.goto(f"{app_server.url}/console/apps")
        page.get_by_role("heading", name="Apps I allowed").wait_for()
        check_looks(page)
        page.get_by_role("button", name="End the access of Scores").first.click()
        page.get_by_role("status").wait_for()
        check_looks(page)
        page.goto(address_of(app, site.redirect, "holdings:read"))
        page.get_by_role("button", name="Back to the app").wait_for()
        check_looks(page)
        page.get_by_role("button", name="Back to the app").click()
        page.wait_for_url(f"{site.redirect}?**")
        assert site.answers[-1]["error"] == "access_denied"
        page.goto(address_of(app, "http://127.0.0.1/other"))
        page.get_by_role("heading", name="The app gets no answer").wait_for()
        check_looks(page)
        app.change(kind="dynamic")
        page.goto(address_of(app, site.redirect))
        page.get_by_role("heading", name="The app asked for something that it may not have").wait_for()
        check_looks(page)
        page.get_by_role("link", name="Leave to 127.0.0.1").click()
        page.wait_for_url(f"{site.redirect}?**")
        assert site.answers[-1]["error"] == "invalid_scope"


def test_a_pop_up_answers_the_window_that_opened_it_from_another_host_of_the_app(
    page: Page, app_server: Server
) -> None:
    app = ServedApp(app_server)
    app.change(redirect_uris=["http://127.0.0.1/cb"])
    with sample_site(leads_on=True) as site:
        page.goto(site.url)
        with page.expect_popup() as opened:
            page.evaluate("address => { window.open(address, 'consent', 'popup'); }", address_of(app, site.redirect))
        popup = opened.value
        popup.get_by_role("link", name="Sign in at").click()
        popup.get_by_role("button", name="Bob Brown").click()
        popup.get_by_role("button", name="Allow", exact=True).click()
        expect(page).to_have_title("answered")
        assert "code" in site.answers[0]
