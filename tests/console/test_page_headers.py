"""The security headers of every kind of page, in full: one that is left out would go unnoticed in a browser."""

from __future__ import annotations

import httpx
import pytest

from app.console.consent_headers import consent_headers
from app.console.page import static
from tests.console.browsing import Browser
from tests.console.sessions import sign_in
from tests.support.server import Server

BEFORE_FORMS = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
AFTER_FORMS = "; base-uri 'none'; frame-ancestors 'none'"
SAFE = {
    "content-security-policy": f"{BEFORE_FORMS}form-action 'self'{AFTER_FORMS}",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
OTHERS = {"date", "server", "content-length", "content-type", "location", "set-cookie", "www-authenticate", "link"}
OTHERS |= {"x-request-id", "retry-after", "connection", "vary"}


def headers_of(answer: httpx.Response) -> dict[str, str]:
    """The headers that a page has for its security."""
    return {name: value for name, value in answer.headers.items() if name not in OTHERS}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/console/account", 200),
        ("/console/decisions", 200),  # in time slices
        ("/console/sign-in", 303),
        ("/console/signed-out", 200),
        ("/console/callback", 400),
        ("/console/nowhere", 404),
        ("/console/static/nowhere.css", 404),
        ("/console/all-keys", 403),
    ],
)
def test_a_page_of_a_user_has_every_security_header(console: Server, path: str, status: int) -> None:
    answer = sign_in(console, permissions=["decisions:read"]).get(path)
    assert answer.status_code == status
    assert headers_of(answer) == {**SAFE, "cache-control": "no-store"}


def test_a_page_of_an_anonymous_user_has_every_security_header(console: Server, browser: Browser) -> None:
    pages = [
        (browser.get("/console/sign-in"), 200),
        (browser.get("/console/sign-in/start"), 303),
        (httpx.post(f"{console.url}/console/keys/new"), 401),
    ]
    for answer, status in pages:
        assert answer.status_code == status
        assert headers_of(answer) == {**SAFE, "cache-control": "no-store"}, answer.url


def test_a_sign_in_for_an_app_keeps_its_connection_to_the_window_of_the_app(browser: Browser) -> None:
    for path in ("/console/sign-in", "/console/sign-in/start"):
        answer = browser.get(f"{path}?to=/console/consent/x")
        popup = {**SAFE, "cross-origin-opener-policy": "unsafe-none", "cache-control": "no-store"}
        assert headers_of(answer) == popup


@pytest.mark.parametrize("name", ["console.css", "editor.js", "icon.svg"])
def test_a_static_file_has_every_security_header_and_is_cached(console: Server, name: str) -> None:
    answer = httpx.get(console.url + static(name))
    assert answer.status_code == 200
    assert headers_of(answer) == {**SAFE, "cache-control": "public, max-age=31536000, immutable"}


@pytest.mark.parametrize(
    ("redirect", "source"),
    [
        ("https://app.example/callback", "https:"),
        ("http://127.0.0.1:7/", "http:"),
        ("com.example.app:/x", "com.example.app:"),
    ],
)
def test_the_form_of_a_consent_may_lead_to_the_app_and_nothing_else_differs(redirect: str, source: str) -> None:
    assert consent_headers(redirect) == {
        "Cross-Origin-Opener-Policy": "unsafe-none",
        "Content-Security-Policy": f"{BEFORE_FORMS}form-action 'self' {source}{AFTER_FORMS}",
    }
