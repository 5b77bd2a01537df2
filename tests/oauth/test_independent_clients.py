"""Independent clients run a whole flow: authlib and requests-oauthlib, with a user in a real browser.

Each refreshes, steps up to a further scope that a refusal names, and revokes. Further clients are in tests/dev.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from playwright.sync_api import Page
from requests_oauthlib import OAuth2Session

from tests.oauth.sample_site import Site, sample_site
from tests.oauth.served import ServedApp
from tests.support.browser import chromium, context, page, profile
from tests.support.server import Server

__all__ = ["chromium", "context", "page", "profile"]
SCOPE = "catalog:read"
VERIFIER = "a-verifier-that-is-as-long-as-it-must-be-at-least"


@pytest.fixture
def site() -> Iterator[Site]:
    with sample_site() as started:
        yield started


@pytest.fixture
def plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let both libraries use the loopback address without TLS."""
    for name in ("AUTHLIB_INSECURE_TRANSPORT", "OAUTHLIB_INSECURE_TRANSPORT"):
        monkeypatch.setenv(name, "1")
    assert os.environ["OAUTHLIB_INSECURE_TRANSPORT"] == "1"


def allow(page: Page, address: str, site: Site) -> str:
    """The address to which the user is sent back who allows what an address asks for."""
    page.goto(address)
    if page.get_by_role("link", name="Sign in at").is_visible():
        page.get_by_role("link", name="Sign in at").click()
        page.get_by_role("button", name="Erin Evans").click()
    page.get_by_role("button", name="Allow", exact=True).click()
    page.wait_for_url(f"{site.redirect}?**")
    return page.url


def union(scope: str, refused: Any) -> str:
    """The scopes of an app with those that a refusal names."""
    assert refused.status_code == 403
    found = re.search(r'scope="([^"]+)"', refused.headers["www-authenticate"])
    assert found
    return f"{scope} {found[1]}"


@pytest.mark.usefixtures("plain_http")
@pytest.mark.parametrize("method", ["none", "client_secret_basic", "client_secret_post"])
def test_authlib(page: Page, app_server: Server, site: Site, method: str) -> None:
    app = ServedApp(app_server, confidential=method != "none")
    app.change(redirect_uris=["http://127.0.0.1/cb"])
    url = app_server.url
    with OAuth2Client(
        client_id=app.client_id,
        client_secret=app.secret,
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
        scope=SCOPE,
        redirect_uri=site.redirect,
        code_challenge_method="S256",
        token_endpoint=f"{url}/oauth/token",
        timeout=30,
    ) as client:
        address, state = client.create_authorization_url(f"{url}/oauth/authorize", code_verifier=VERIFIER)
        assert create_s256_code_challenge(VERIFIER) in address
        back = allow(page, address, site)
        token = client.fetch_token(authorization_response=back, state=state, code_verifier=VERIFIER)
        assert token["scope"] == SCOPE
        assert client.get(f"{url}/api/v1/teams").status_code == 200
        before = token["access_token"]
        again = client.refresh_token(f"{url}/oauth/token")
        assert again["access_token"] != before
        assert client.get(f"{url}/api/v1/teams").status_code == 200
        if method == "none":
            client.scope = union(SCOPE, client.get(f"{url}/api/v1/sources"))
            address, state = client.create_authorization_url(f"{url}/oauth/authorize", code_verifier=VERIFIER)
            back = allow(page, address, site)
            again = client.fetch_token(authorization_response=back, state=state, code_verifier=VERIFIER)
            assert again["scope"] == "catalog:read holdings:read"
            assert client.get(f"{url}/api/v1/sources").status_code == 200
        assert client.revoke_token(f"{url}/oauth/revoke", token=again["refresh_token"]).status_code == 200
        assert client.get(f"{url}/api/v1/teams").json() == {"detail": "Token has been revoked."}


@pytest.mark.usefixtures("plain_http")
def test_requests_oauthlib(page: Page, app_server: Server, site: Site) -> None:
    app = ServedApp(app_server)
    app.change(redirect_uris=["http://127.0.0.1/cb"])
    url = app_server.url
    with OAuth2Session(app.client_id, scope=[SCOPE], redirect_uri=site.redirect, pkce="S256") as client:
        address, _ = client.authorization_url(f"{url}/oauth/authorize")
        back = allow(page, address, site)
        token = client.fetch_token(f"{url}/oauth/token", authorization_response=back, include_client_id=True)
        assert token["scope"] == [SCOPE]
        assert client.get(f"{url}/api/v1/teams").status_code == 200
        again = client.refresh_token(f"{url}/oauth/token", client_id=app.client_id)
        assert again["refresh_token"] != token["refresh_token"]
        assert client.get(f"{url}/api/v1/teams").status_code == 200
        client.scope = union(SCOPE, client.get(f"{url}/api/v1/sources")).split()
        back = allow(page, client.authorization_url(f"{url}/oauth/authorize")[0], site)
        again = client.fetch_token(f"{url}/oauth/token", authorization_response=back, include_client_id=True)
        assert client.get(f"{url}/api/v1/sources").status_code == 200
        form = urlencode({"token": again["refresh_token"], "client_id": app.client_id})
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        revoked = client.post(f"{url}/oauth/revoke", data=form, headers=headers, withhold_token=True)
        assert revoked.status_code == 200
        assert client.get(f"{url}/api/v1/teams").status_code == 401
