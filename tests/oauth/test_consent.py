"""Authorization requests over HTTP: what is redirected and when, the consent page, and whose answer counts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from urllib.parse import urlencode

import httpx
import pytest
from markupsafe import escape

from app.console.cookies import csrf_token
from app.db.session import Sessions
from app.db.tables.oauth import Person
from app.oauth.people import find_person
from app.oauth.people_blocks import block_person, unblock_person
from tests.console.browsing import Browser, changed_answers, changed_tokens
from tests.oauth.asking import answer_of, ask, click, fields_of, opened, request_of
from tests.oauth.flows import BY, REDIRECT, VERIFIER, challenge_of
from tests.oauth.served import ServedApp, in_database
from tests.support.issuer import CONSOLE, LiveIssuer
from tests.support.server import Server

Browsers = Callable[[Server], Browser]


@pytest.fixture(scope="module")
def app(app_server: Server) -> ServedApp:
    return ServedApp(app_server)


@pytest.fixture(scope="module")
def confidential(app_server: Server) -> ServedApp:
    return ServedApp(app_server, confidential=True)


def restart(server: Server) -> None:
    """Stop a server, and start it again."""
    server.stop()
    server.lines.clear()  # in which it says that it listens
    server.start()


def header(response: httpx.Response, name: str) -> str:
    return str(response.headers.get(name, ""))


def test_a_user_allows_an_app_which_gets_tokens_and_calls_the_api(
    visitor: Browser, issuer: LiveIssuer, app: ServedApp
) -> None:
    page = opened(visitor, issuer, ask(visitor, app, scope="catalog:read holdings:read openid"))
    assert page.status_code == 200
    for text in ("Scores", "app.example", "Alice Adams", "user_alice"):
        assert text in page.text
    assert fields_of(page)["scopes"] == ["catalog:read"], "she does not hold holdings:read"
    assert "You do not have this permission, so the app does not get it." in page.text
    back = answer_of(click(visitor, page))
    assert set(back) == {"code", "state", "iss"}
    assert (back["state"], back["iss"]) == ("state & more", app.server.url)
    issued = app.redeem(back["code"]).json()
    assert issued["scope"] == "catalog:read"
    with app.server.client(issued["access_token"]) as client:
        assert client.get("/api/v1/teams").status_code == 200
        assert client.get("/api/v1/sources").status_code == 403
        assert client.post("/api/v1/teams", json={}).status_code == 403
        assert client.get("/api/v1/api-keys").status_code == 403
    for line in app.server.written_lines():
        assert back["code"][8:] not in line


def test_a_user_denies(visitor: Browser, issuer: LiveIssuer, app: ServedApp) -> None:
    page = opened(visitor, issuer, ask(visitor, app))
    back = answer_of(click(visitor, page, "deny"))
    assert (back["error"], back["state"], back["iss"]) == ("access_denied", "state & more", app.server.url)
    assert click(visitor, page).status_code == 400, "it is answered"


# What cannot be answered to the app gets our own page, before the sign-in.
@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "app_unknown"},
        {"client_id": None},
        {"client_id": "x" * 600},
        {"redirect_uri": "https://evil.example/cb"},
        {"redirect_uri": REDIRECT + "/"},
        {"redirect_uri": REDIRECT + "?a=b"},
        {"redirect_uri": REDIRECT.upper()},
        {"redirect_uri": "https://app.example/cb/../cb"},
        {"redirect_uri": "https://app.example:443/cb"},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": "//app.example/cb"},
        {"state": "long"},
        {"request_uri": "urn:ietf:params:oauth:request_uri:" + "0" * 48},
        {"request_uri": "https://app.example/request.jwt"},
    ],
    ids=lambda changes: str(changes)[:60],
)
def test_a_mistake_of_an_app_that_cannot_be_answered_redirects_nowhere(
    visitor: Browser, app: ServedApp, changes: dict[str, str | None]
) -> None:
    if changes.get("state"):  # a query of 6,000 characters is accepted
        state = "x" * (6_000 - len(urlencode(request_of(app, state=""))))
        assert ask(visitor, app, state=state).status_code == 303
        changes = {"state": f"{state}x"}
    answer = ask(visitor, app, **changes)
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert "set-cookie" not in answer.headers
    assert "The app gets no answer" in answer.text
    assert ("let the app forget this server" in answer.text) is bool(changes.get("client_id"))


def test_a_repeated_parameter_is_refused(visitor: Browser, app: ServedApp) -> None:
    query = urlencode(request_of(app))
    for more in ("scope=catalog%3Aread", f"client_id={app.client_id}", "redirect_uri=https%3A%2F%2Fapp.example%2Fcb"):
        assert visitor.get(f"/oauth/authorize?{query}&{more}").status_code == 400


@pytest.mark.parametrize("value", ["Bearer x.y.z", "Bearer", "Bearer a b", f"Bearer grd_live_{'0' * 48}", "Basic x"])
def test_an_authorization_header_means_nothing_to_the_authorization_endpoint(
    visitor: Browser, app: ServedApp, value: str
) -> None:
    visitor.http.headers["Authorization"] = value
    assert ask(visitor, app).headers["location"].startswith("/console/consent/")
    refused = ask(visitor, app, client_id="app_unknown")
    assert (refused.status_code, refused.headers["content-type"]) == (400, "text/html; charset=utf-8")


def test_other_mistakes_are_answered_after_the_sign_in(
    visitor: Browser, issuer: LiveIssuer, app: ServedApp, browsers: Browsers
) -> None:
    stranger = browsers(app.server)
    cases: list[tuple[dict[str, str | None], str]] = [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "invalid_request"),
        ({"response_mode": "form_post"}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"scope": "catalog:write"}, "invalid_scope"),
        ({"scope": "catalog:read keys:write"}, "invalid_scope"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"scope": "catalog:read  holdings:read"}, "invalid_scope"),
        ({"resource": "https://other.example"}, "invalid_target"),
        ({"resource": f"{app.server.url}/a?b"}, "invalid_target"),
        ({"resource": app.server.url + "evil"}, "invalid_target"),
        ({"request": "eyJ"}, "request_not_supported"),
    ]
    for changes, error in cases:
        unsigned = stranger.get(ask(stranger, app, **changes).headers["location"])
        assert unsigned.headers["location"].startswith("/console/sign-in?"), "not before the sign-in"
        back = answer_of(opened(visitor, issuer, ask(visitor, app, **changes)))
        assert (back["error"], back["state"], back["iss"]) == (error, "state & more", app.server.url), changes
        assert "code" not in back


def test_several_resources_are_refused(visitor: Browser, issuer: LiveIssuer, app: ServedApp) -> None:
    query = urlencode([*request_of(app).items(), ("resource", app.server.url), ("resource", f"{app.server.url}/mcp")])
    back = answer_of(opened(visitor, issuer, visitor.get(f"/oauth/authorize?{query}")))
    assert back["error"] == "invalid_target"


def test_a_token_is_bound_to_the_resource_of_the_request(visitor: Browser, issuer: LiveIssuer, app: ServedApp) -> None:
    below = f"{app.server.url}/api/v1/teams"
    page = opened(visitor, issuer, ask(visitor, app, resource=below + "/"))
    assert below in page.text
    issued = app.redeem(answer_of(click(visitor, page))["code"], resource=below).json()
    with app.server.client(issued["access_token"]) as client:
        assert client.get("/api/v1/teams").status_code == 200
        assert client.get("/api/v1/leagues").json() == {"detail": "Invalid audience."}


def test_the_headers_of_these_pages(visitor: Browser, issuer: LiveIssuer, app: ServedApp) -> None:
    answer = ask(visitor, app)
    page = opened(visitor, issuer, answer)
    sent = click(visitor, page)
    for each in (answer, page, sent):
        assert header(each, "cross-origin-opener-policy") == "unsafe-none"
        assert header(each, "cache-control") == "no-store"
        assert "frame-ancestors 'none'" in header(each, "content-security-policy")
    assert "form-action 'self' https:;" in header(page, "content-security-policy")
    assert header(sent, "referrer-policy") == "no-referrer"
    cookie = header(answer, "set-cookie")
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()
    assert "max-age=1800" in cookie.lower()
    for other in ("/console/account", "/console/sign-in"):
        plain = visitor.get(other)
        assert header(plain, "cross-origin-opener-policy") == "same-origin"
        assert "form-action 'self';" in header(plain, "content-security-policy")


def test_a_consent_counts_only_in_the_browser_that_began_it(
    visitor: Browser, issuer: LiveIssuer, app: ServedApp, browsers: Browsers
) -> None:
    answer = ask(visitor, app)
    page = opened(visitor, issuer, answer)
    other = browsers(app.server)
    other.sign_in(issuer)
    seen = other.get(answer.headers["location"])
    assert (seen.status_code, "begun in another browser" in seen.text) == (400, True)
    own = opened(other, issuer, ask(other, app))  # its own request gives it a cookie, which is another one
    forged = other.http.post(
        answer.headers["location"],
        data={**fields_of(own), "decision": "allow"},
        headers={"Origin": app.server.url},
    )
    assert (forged.status_code, "location" in forged.headers) == (400, False)
    assert "code" in answer_of(click(visitor, page)), "the first browser still may"


def test_a_user_who_changed_between_page_and_click_allows_nothing(
    visitor: Browser, issuer: LiveIssuer, app: ServedApp
) -> None:
    page = opened(visitor, issuer, ask(visitor, app))
    visitor.sign_in(issuer, "user_bob")
    assert click(visitor, page).status_code == 403
    again = visitor.get(page.request.url.path)
    assert "Bob Brown" in again.text
    assert "code" in answer_of(click(visitor, again))


def test_a_click_from_another_site_or_without_the_token_of_the_session_allows_nothing(
    visitor: Browser, issuer: LiveIssuer, app: ServedApp
) -> None:
    page = opened(visitor, issuer, ask(visitor, app))
    assert click(visitor, page, csrf="0" * 64).status_code == 403
    foreign = visitor.http.post(
        page.request.url.path, data={**fields_of(page), "decision": "allow"}, headers={"Origin": "https://evil.example"}
    )
    assert foreign.status_code == 403
    assert click(visitor, page, "perhaps").status_code == 400
    for both in (["deny", "allow"], ["allow", "deny"], ["allow", "allow"]):
        assert click(visitor, page, both).status_code == 400
    assert "code" in answer_of(click(visitor, page)), "nothing of that answered it"


def test_a_form_is_answered_once(visitor: Browser, issuer: LiveIssuer, app: ServedApp) -> None:
    page = opened(visitor, issuer, ask(visitor, app))
    assert "code" in answer_of(click(visitor, page))
    for again in (click(visitor, page), click(visitor, page, "deny"), visitor.get(page.request.url.path)):
        assert (again.status_code, "location" in again.headers) == (400, False)


def test_of_many_clicks_at_the_same_time_one_is_answered(visitor: Browser, issuer: LiveIssuer, app: ServedApp) -> None:
    page = opened(visitor, issuer, ask(visitor, app))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda each: click(visitor, page, each), ["allow", "allow", "allow", "deny"] * 3))
    assert sorted(answer.status_code for answer in answers) == [303, *[400] * 11]


def test_more_than_the_page_showed_is_not_granted(visitor: Browser, issuer: LiveIssuer, app: ServedApp) -> None:
    page = opened(visitor, issuer, ask(visitor, app))
    sent = click(visitor, page, scopes=["catalog:read", "catalog:write", "holdings:read", "keys:write"])
    assert app.redeem(answer_of(sent)["code"]).json()["scope"] == "catalog:read"
    page = opened(visitor, issuer, ask(visitor, app))
    assert click(visitor, page, scopes=[]).status_code == 400
    assert click(visitor, page, version="0" * 32).status_code == 400


def test_an_app_that_changed_under_the_page_is_not_allowed(
    visitor: Browser, issuer: LiveIssuer, app_server: Server
) -> None:
    app = ServedApp(app_server)
    page = opened(visitor, issuer, ask(visitor, app))
    app.change(version="f" * 32)
    assert click(visitor, page).status_code == 400
    page = opened(visitor, issuer, ask(visitor, app))
    app.change(redirect_uris=["https://app.example/new"])
    refused = click(visitor, page)
    assert (refused.status_code, "location" in refused.headers) == (400, False)


def test_nothing_redirects_to_a_disabled_app(visitor: Browser, issuer: LiveIssuer, app_server: Server) -> None:
    app = ServedApp(app_server)
    page = opened(visitor, issuer, ask(visitor, app))
    began, mistaken = ask(visitor, app), ask(visitor, app, scope="keys:write")
    app.change(disabled_at=datetime.now(UTC))
    for answer in (
        ask(visitor, app),
        click(visitor, page),
        click(visitor, page, "deny"),
        visitor.get(began.headers["location"]),
        visitor.get(mistaken.headers["location"]),
    ):
        assert (answer.status_code, "location" in answer.headers) == (400, False)
        assert "An administrator has disabled this app" in answer.text


def test_a_public_app_always_asks_and_one_with_a_secret_only_for_more(
    visitor: Browser, issuer: LiveIssuer, app_server: Server
) -> None:
    # Apps of its own: the user may have allowed the shared ones already.
    app, confidential = ServedApp(app_server), ServedApp(app_server, confidential=True)
    for each in (app, confidential):
        answer_of(click(visitor, opened(visitor, issuer, ask(visitor, each))))
    assert opened(visitor, issuer, ask(visitor, app)).status_code == 200
    back = answer_of(opened(visitor, issuer, ask(visitor, confidential)))
    assert confidential.redeem(back["code"]).status_code == 200
    confidential.change(version="e" * 32)
    asked = opened(visitor, issuer, ask(visitor, confidential))
    assert asked.status_code == 200, "an app with other redirects or keys is asked for again"
    answer_of(click(visitor, asked))
    more = opened(visitor, issuer, ask(visitor, confidential, scope="catalog:read holdings:read"))
    assert more.status_code == 200


def test_a_consent_is_silent_only_for_its_resource(visitor: Browser, issuer: LiveIssuer, app_server: Server) -> None:
    app = ServedApp(app_server, confidential=True)
    whole, part = app_server.url, f"{app_server.url}/api/v1/seasons"

    def answer(resource: str) -> httpx.Response:
        return opened(visitor, issuer, ask(visitor, app, resource=resource))

    answer_of(click(visitor, answer(part)))
    for resource, status in ((part, 303), (f"{part}/7", 303), (f"{part}7", 200), (whole, 200)):
        assert answer(resource).status_code == status, resource
    answer_of(click(visitor, answer(whole)))
    assert answer(f"{app_server.url}/api/v1/teams").status_code == 303


def test_what_is_new_is_shown(visitor: Browser, issuer: LiveIssuer, app_server: Server) -> None:
    app = ServedApp(app_server)
    visitor.sign_in(issuer, "user_bob")
    first = opened(visitor, issuer, ask(visitor, app, scope="holdings:read"), "user_bob")
    assert "Back to the app" in first.text
    assert 'value="allow"' not in first.text, "he holds nothing of it"
    assert answer_of(click(visitor, first, "deny"))["error"] == "access_denied"
    page = opened(visitor, issuer, ask(visitor, app, scope="catalog:read"), "user_bob")
    assert ">New<" not in page.text
    answer_of(click(visitor, page))
    assert ">New<" not in opened(visitor, issuer, ask(visitor, app, scope="catalog:read"), "user_bob").text


def test_a_pushed_request_is_used_once_by_its_app(
    visitor: Browser, issuer: LiveIssuer, confidential: ServedApp, app: ServedApp
) -> None:
    def push(**changes: str | None) -> httpx.Response:
        return confidential.send("/oauth/par", **request_of(confidential, **changes))

    pushed = push(scope="catalog:read")
    assert pushed.status_code == 201
    assert set(pushed.json()) == {"request_uri", "expires_in"}
    assert pushed.json()["expires_in"] == 60
    uri = pushed.json()["request_uri"]
    assert (
        visitor.get(f"/oauth/authorize?{urlencode({'client_id': app.client_id, 'request_uri': uri})}").status_code
        == 400
    )
    used = visitor.get(f"/oauth/authorize?{urlencode({'client_id': confidential.client_id, 'request_uri': uri})}")
    page = opened(visitor, issuer, used)
    response = page if page.status_code == 303 else click(visitor, page)
    assert "code" in answer_of(response)
    again = visitor.get(f"/oauth/authorize?{urlencode({'client_id': confidential.client_id, 'request_uri': uri})}")
    assert again.status_code == 400
    for changes, error in (
        ({"scope": "catalog:write"}, "invalid_scope"),
        ({"redirect_uri": "https://evil.example"}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"request_uri": uri}, "invalid_request"),
        ({"resource": "https://other.example"}, "invalid_target"),
    ):
        assert push(**changes).json()["error"] == error
    assert push(client_secret="wrong").status_code == 401


def test_without_a_redirect_the_only_one_of_the_app_is_used(
    visitor: Browser, issuer: LiveIssuer, app: ServedApp
) -> None:
    page = opened(visitor, issuer, ask(visitor, app, redirect_uri=None, state=None))
    back = answer_of(click(visitor, page))
    assert set(back) == {"code", "iss"}


@pytest.mark.parametrize(
    "redirects",
    [
        ("http://127.0.0.1/cb", "http://127.0.0.1:49152/cb", "http:;"),
        ("http://localhost/cb", "http://localhost:49152/cb", "http:;"),
        ("http://[::1]/cb", "http://[::1]:49152/cb", "http:;"),
        ("com.example.app:/cb", "com.example.app:/cb", "com.example.app:;"),
        ("https://app.example/cb?a=b", "https://app.example/cb?a=b", "https:;"),
    ],
)
def test_redirects_of_apps_on_devices(
    visitor: Browser, issuer: LiveIssuer, app_server: Server, redirects: tuple[str, str, str]
) -> None:
    registered, asked, source = redirects
    app = ServedApp(app_server)
    app.change(redirect_uris=[registered])
    page = opened(visitor, issuer, ask(visitor, app, redirect_uri=asked))
    assert f"form-action 'self' {source}" in header(page, "content-security-policy")
    back = answer_of(click(visitor, page), asked)
    assert app.redeem(back["code"], redirect_uri=asked).status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "a\u202eb",
        "x" * 60,
        "\"'><img src=x>",
        "{{ 7 * 7 }}",
        "\u05d0\u05d1\u05d2 (1",
        "</bdi>",
    ],
)
def test_a_name_is_only_text(visitor: Browser, issuer: LiveIssuer, app_server: Server, name: str) -> None:
    app = ServedApp(app_server)
    app.change(name=name)
    page = opened(visitor, issuer, ask(visitor, app))
    # In an element that letters of another direction do not leave.
    shown = "a⟨U+202E⟩b" if "\u202e" in name else str(escape(name))
    assert page.text.count(f"“<bdi>{shown}</bdi>”") == 2
    assert "<script>alert" not in page.text
    assert "<img" not in page.text
    assert "\u202e" not in page.text


def test_authorization_requests_have_a_budget(own_apps: Callable[[], Server], browsers: Browsers) -> None:
    server = own_apps()
    app = ServedApp(server)
    browser = browsers(server)
    accepted = 0
    while (answer := ask(browser, app)).status_code == 303:
        accepted += 1
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert 60 <= accepted < 120, "a minute's budget, and what it gained meanwhile"
    assert ask(browsers(server), app).status_code == 303


def test_sign_ins_that_fail_have_a_budget(visitor: Browser, issuer: LiveIssuer, browsers: Browsers) -> None:
    for _ in range(3):
        assert visitor.sign_in(issuer).status_code == 303
    accepted = 0
    while (answer := visitor.get("/console/callback?state=invented&code=invented")).status_code == 400:
        accepted += 1
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert 120 <= accepted < 240, "a minute's budget, and what it gained meanwhile"
    assert browsers(visitor.server).sign_in(issuer).status_code == 303


def test_a_flow_survives_a_restart(issuer: LiveIssuer, own_apps: Callable[[], Server], browsers: Browsers) -> None:
    server = own_apps()
    app, browser = ServedApp(server), browsers(server)
    browser.http.headers["Connection"] = "close"
    answer = ask(browser, app)
    restart(server)
    page = opened(browser, issuer, answer)
    restart(server)
    code = answer_of(click(browser, page))["code"]
    restart(server)
    issued = app.redeem(code).json()
    restart(server)
    with server.client(issued["access_token"]) as client:
        assert client.get("/api/v1/teams").status_code == 200
    assert app.send(grant_type="refresh_token", refresh_token=issued["refresh_token"]).status_code == 200


def test_the_verifier_of_the_app_is_needed(visitor: Browser, issuer: LiveIssuer, app: ServedApp) -> None:
    """A code that was injected into the session of another user of the app is useless without its verifier."""
    other = "another-verifier-of-forty-three-characters-xx"
    page = opened(visitor, issuer, ask(visitor, app, code_challenge=challenge_of(other)))
    code = answer_of(click(visitor, page))["code"]
    assert app.redeem(code, code_verifier=VERIFIER).json()["error"] == "invalid_grant"
    assert app.redeem(code, code_verifier=other).status_code == 200


def sign_in_as(visitor: Browser, issuer: LiveIssuer, user: str) -> httpx.Response:
    """Sign in with a token that says who acts as the user."""
    asked = visitor.begin("/console/apps")
    callback = visitor.choose(issuer, asked, user)
    token = issuer.token(sub=user, aud=CONSOLE.id, azp=CONSOLE.id, nonce=asked["nonce"], act={"sub": "user_support"})
    with changed_answers(issuer, changed_tokens(issuer, lambda sent: {**sent, "id_token": token})):
        return visitor.get(callback)


def test_who_acts_as_a_user_allows_no_app(visitor: Browser, issuer: LiveIssuer, app: ServedApp) -> None:
    assert sign_in_as(visitor, issuer, "user_alice").status_code == 303
    page = opened(visitor, issuer, ask(visitor, app))
    assert page.status_code == 400
    assert "You act as another user now, so you cannot answer an app for them." in page.text
    form = {"decision": "allow", "csrf": csrf_token(visitor.session or ""), "scopes": ["catalog:read"]}
    answer = visitor.http.post(page.request.url.path, data=form, headers={"Origin": visitor.server.url})
    assert (answer.status_code, "You act as another user now" in answer.text) == (400, True)


def test_the_apps_of_a_user_go_by_the_own_sign_ins_of_the_user(
    visitor: Browser, issuer: LiveIssuer, app: ServedApp, app_server: Server
) -> None:
    token = app.tokens(subject="user_bob", permissions=["holdings:read"])["access_token"]

    async def find(sessions: Sessions) -> Person | None:
        async with sessions() as session:
            return await find_person(session, "user_bob")

    async def block(sessions: Sessions, act: Callable[..., Awaitable[object]]) -> None:
        async with sessions() as session:
            await act(session, "user_bob", BY, datetime.now(UTC))

    before = in_database(app_server, find)
    assert sign_in_as(visitor, issuer, "user_bob").status_code == 303
    after = in_database(app_server, find)
    assert before is not None
    assert after is not None
    assert (after.permissions, after.signed_in_at) == (["holdings:read"], before.signed_in_at)
    paths = [f"{app_server.url}/api/v1/{each}" for each in ("teams", "sources")]
    answers = [httpx.get(path, headers={"Authorization": f"Bearer {token}"}) for path in paths]
    assert [each.status_code for each in answers] == [403, 200]
    in_database(app_server, lambda sessions: block(sessions, block_person))
    try:
        refused = sign_in_as(visitor, issuer, "user_bob")
        assert (refused.status_code, "An administrator has blocked you" in refused.text) == (403, True)
    finally:
        in_database(app_server, lambda sessions: block(sessions, unblock_person))
