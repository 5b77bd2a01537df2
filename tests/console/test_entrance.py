"""Only the cookie of a session opens pages, and it opens nothing else."""

from __future__ import annotations

import httpx
import pytest

from tests.console.sessions import Person, sign_in
from tests.support.issuer import LiveIssuer
from tests.support.server import Server


def test_an_anonymous_user_is_redirected_to_the_sign_in_and_back(console: Server) -> None:
    with console.client() as client:
        answer = client.get("/console?tab=1&b=%2F")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/console/sign-in?to=%2Fconsole%3Ftab%3D1%26b%3D%252F"


def test_a_session_opens_pages(console: Server) -> None:
    assert sign_in(console).get("/console").status_code in (200, 303)


def test_a_session_does_not_open_the_api(console: Server) -> None:
    person = sign_in(console, permissions=["catalog:read"])
    assert person.get("/api/v1/teams/").status_code == 401


@pytest.mark.parametrize("header", ["jwt", "key"])
def test_a_token_does_not_open_pages(console: Server, issuer: LiveIssuer, header: str) -> None:
    token = issuer.token(permissions="catalog:read")
    if header == "key":
        with console.client(token) as client:
            body = {"name": "no page", "scopes": ["catalog:read"]}
            token = client.post("/api/v1/api-keys/", json=body).json()["plaintext"]
    with console.client(token) as client:
        assert client.get("/console").headers["location"].startswith("/console/sign-in")


def test_an_expired_session_opens_nothing(console: Server) -> None:
    person = sign_in(console, seconds=-1)
    assert person.get("/console").headers["location"].startswith("/console/sign-in")


def test_a_repeated_cookie_is_ignored(console: Server) -> None:
    token = sign_in(console).token
    for cookie in (f"authz={token}; authz={token}", f"authz={'a' * 43}; authz={token}"):
        answer = httpx.get(f"{console.url}/console", headers={"Cookie": cookie})
        assert answer.headers["location"].startswith("/console/sign-in")


@pytest.mark.parametrize("value", ["", "a", "a" * 43, "é" * 43, "a" * 5000, "'; --"])
def test_a_made_up_cookie_opens_nothing(console: Server, value: str) -> None:
    answer = httpx.get(f"{console.url}/console", headers={b"Cookie": f"authz={value}".encode()})
    assert answer.status_code == 303


def test_a_fact_among_the_permissions_of_a_session_is_ignored(console: Server) -> None:
    person = sign_in(console, permissions=["role:admin", "user:root"])
    assert "/policy" not in person.get("/console").headers.get("location", "")


def test_without_the_settings_there_is_no_console(server: Server) -> None:
    person = Person(server, "a" * 43)
    answer = person.get("/console")
    assert answer.headers["location"].startswith("/console/sign-in")
    for path in ("/console/sign-in", "/console/sign-in/start", "/console/callback", "/console/signed-out"):
        answer = person.get(path)
        assert answer.status_code == 404
        assert "This deployment has no console: AUTHZ_CONSOLE_CLIENT_ID is not set." in answer.text


def test_every_page_forbids_foreign_content(console: Server) -> None:
    person = sign_in(console)
    for path in ("/console", "/console/nowhere", "/console/static/nowhere.css"):
        headers = person.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"


def test_an_unknown_path_of_the_console_is_answered_with_a_page(console: Server) -> None:
    answer = sign_in(console).get("/console/nowhere")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    with console.client() as client:
        assert client.get("/nowhere").json() == {"detail": "Not found."}


def test_static_files_are_cached_by_browsers(console: Server) -> None:
    person = sign_in(console)
    page = person.get("/console/nowhere").text
    address = page.partition('stylesheet" href="')[2].partition('"')[0]
    answer = person.get(address)
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"] == "text/css; charset=utf-8"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_form_without_a_session_gets_a_page_and_no_redirect(console: Server, method: str) -> None:
    with console.client() as client:
        answer = client.request(method, "/console/keys/new")
    if method == "POST":
        assert (answer.status_code, "Your session has ended" in answer.text) == (401, True)
        assert "location" not in answer.headers
    else:
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/sign-in?to=%2Fconsole%2Fkeys%2Fnew")
