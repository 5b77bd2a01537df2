"""Consent to apps that a document describes, which may change between page and click."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from app.audit.actor import Actor
from app.db.session import Sessions
from app.identity.principal import user_principal
from app.oauth.client_finder import ClientFinder
from app.oauth.consent import ConsentPage, ConsentRefused, Consents, ConsentVisit, DepartureNotice
from app.oauth.document_clients import DocumentClients
from app.oauth.requests import OpenRequest, open_request
from app.oauth.resource import resource_of
from app.policy.engine.live import LivePolicy
from tests.oauth.document_host import REDIRECT, DocumentHost, document_host
from tests.oauth.flows import NOW, PUBLIC_URL, VERIFIER, challenge_of, sqlite_sessions
from tests.policy.small import TABLE, files

pytestmark = pytest.mark.anyio

BROWSER = "b" * 43
ROWS = (
    "p, app-kind:document, scope:a:read, ask, allow",
    "p, app-kind:document, scope:a:write, ask, allow",
    "p, a:read, /**, GET|POST, allow",
)
USER = user_principal("user_ann", ["a:read", "a:write"], {}, session_id=1)


@pytest.fixture
async def sessions(tmp_path: Path) -> AsyncIterator[Sessions]:
    async with sqlite_sessions(tmp_path) as (sessions, _):
        yield sessions


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[DocumentHost]:
    async with document_host(tmp_path) as started:
        yield started


class Asking:
    """An app with a document, and the browser of its user. Each step fetches the document again."""

    def __init__(self, sessions: Sessions, host: DocumentHost, directory: Path) -> None:
        self.sessions = sessions
        self.host = host
        self._live = LivePolicy(directory, TABLE, files(*ROWS))

    @property
    def consents(self) -> Consents:
        clients = ClientFinder(DocumentClients(self.host.fetch()))
        return Consents(PUBLIC_URL, self._live, clients, resource_of=lambda asked: resource_of(asked, PUBLIC_URL))

    async def begin(self, scope: str = "a:read", redirect_uri: str = REDIRECT) -> ConsentVisit:
        parameters = {
            "response_type": "code",
            "redirect_uri": redirect_uri,
            "scope": scope,
            "code_challenge": challenge_of(VERIFIER),
            "code_challenge_method": "S256",
        }
        async with self.sessions() as session:
            name = await open_request(session, OpenRequest(self.host.url, parameters), "", BROWSER, NOW)
            await session.commit()
        return ConsentVisit(name, BROWSER, USER, Actor("user_ann", door="console"), NOW + timedelta(minutes=1))

    async def found(self, visit: ConsentVisit) -> ConsentPage | DepartureNotice | str:
        async with self.sessions() as session:
            return await self.consents.show(session, visit)

    async def show(self, visit: ConsentVisit) -> ConsentPage:
        page = await self.found(visit)
        assert isinstance(page, ConsentPage)
        return page

    async def allow(self, visit: ConsentVisit, page: ConsentPage) -> dict[str, str]:
        async with self.sessions() as session:
            address = await self.consents.answer(session, visit, allowed=page.held, version=page.client.version)
        assert address.startswith(f"{REDIRECT}?")
        return dict(parse_qsl(urlsplit(address).query))


@pytest.fixture
def asking(sessions: Sessions, host: DocumentHost, tmp_path: Path) -> Asking:
    (tmp_path / "policies").mkdir()
    return Asking(sessions, host, tmp_path / "policies")


async def test_a_user_allows_an_app_with_a_document(asking: Asking) -> None:
    visit = await asking.begin()
    assert asking.host.heads == [], "nothing is fetched before the page is opened"
    page = await asking.show(visit)
    assert (page.client.kind, page.client.name, page.is_again) == ("document", "Scores", False)
    assert page.client.site.startswith("app.example:")
    assert set(await asking.allow(visit, page)) == {"code", "iss"}
    visit = await asking.begin("a:read a:write")
    page = await asking.show(visit)
    assert [(scope.permission.name, scope.is_new, scope.is_write) for scope in page.scopes] == [
        ("a:read", False, False),
        ("a:write", True, True),
    ]


async def test_a_document_that_changes_between_page_and_click_allows_nothing(asking: Asking) -> None:
    visit = await asking.begin()
    page = await asking.show(visit)
    asking.host.serve(asking.host.document(redirect_uris=[REDIRECT, "https://app.example/other"]))
    with pytest.raises(ConsentRefused, match="The app has changed"):
        await asking.allow(visit, page)
    asking.host.serve(asking.host.document(redirect_uris=["https://app.example/other"]))
    with pytest.raises(ConsentRefused, match="not one that is registered"):
        await asking.allow(visit, page)
    asking.host.serve(asking.host.document())
    await asking.allow(visit, page)


async def test_changed_redirects_or_keys_ask_for_all_scopes_again(asking: Asking) -> None:
    visit = await asking.begin()
    await asking.allow(visit, await asking.show(visit))
    assert (await asking.show(await asking.begin())).scopes[0].is_new is False
    asking.host.serve(asking.host.document(redirect_uris=[REDIRECT, "https://app.example/other"]))
    page = await asking.show(await asking.begin())
    assert (page.scopes[0].is_new, page.is_again) == (True, False)


async def test_an_error_does_not_take_the_user_to_the_site_of_a_document(asking: Asking) -> None:
    notice = await asking.found(await asking.begin("a:other"))
    assert isinstance(notice, DepartureNotice)
    assert notice.error.code == "invalid_scope"
    assert notice.address.startswith(f"{REDIRECT}?error=invalid_scope&")


@pytest.mark.parametrize(
    "answer",
    [b"", b"not JSON", b'{"client_id": "https://evil.example/client.json"}', b"x" * 6_000],
    ids=["empty", "no-json", "another", "large"],
)
async def test_a_document_that_describes_no_app_gets_a_page_and_no_redirect(asking: Asking, answer: bytes) -> None:
    visit = await asking.begin()
    asking.host.serve(answer)
    with pytest.raises(ConsentRefused, match="The document at the `client_id` of the app cannot be used"):
        await asking.show(visit)
