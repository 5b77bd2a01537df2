"""Consent of a user to an app: what the page shows, and what happens when it is answered."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.actor import Actor
from app.db import admin_actions
from app.db.session import lock_first
from app.db.tables.oauth import Person
from app.identity.app_facts import InvalidApp
from app.identity.principal import Principal, delegated_principal, is_fact
from app.oauth.authorization import CheckedRequest, NoRedirect, answer_to, check_request, redirect_of
from app.oauth.client import Client
from app.oauth.client_document import ClientDocumentRefused
from app.oauth.client_finder import ClientFinder, consented_app
from app.oauth.clients import find_row
from app.oauth.codes import issue_code, scopes_at
from app.oauth.errors import OAuthError
from app.oauth.grants import TooManyGrants, find_grant, store_grant
from app.oauth.people import PersonBlocked, find_person, note_sign_in
from app.oauth.requests import OpenRequest, find_request, finish_request
from app.oauth.scope import is_write
from app.policy.engine.live import LivePolicy
from app.policy.engine.snapshot import Snapshot
from app.policy.language.permissions import Permission

NO_REQUEST = (
    "This request is not open: it was answered, has expired, or was begun in another browser. Go back to the app and "
    "start again."
)

# An app that registered itself keeps its id, and cannot know that it was removed: no address is known to answer to.
NO_APP = (
    "There is no app with the `client_id` of this request. If it registered itself here, it has been removed since: "
    "let the app forget this server, and connect it again."
)
# What they allowed would remain after they stopped acting as the user, and would not name them.
IMPERSONATED = "You act as another user now, so you cannot answer an app for them."
CHANGED = "The app has changed since this page was shown. Go back to the app and start again."


class ConsentRefused(Exception):
    """The user cannot answer, and the app gets no answer. The message is for the page."""


@dataclass(frozen=True, slots=True)
class AskedScope:
    """A scope on the page. One that the user does not hold is not granted."""

    permission: Permission
    is_held: bool
    is_new: bool

    @property
    def is_write(self) -> bool:
        """Whether it is for more than reading."""
        return is_write(self.permission.name)


@dataclass(frozen=True, slots=True)
class ConsentVisit:
    """A request that a signed-in user opens or answers. `browser` is the cookie of the browser that began it."""

    name: str
    browser: str | None
    user: Principal
    by: Actor
    now: datetime


@dataclass(frozen=True, slots=True)
class ConsentPage:
    """What the user is asked.

    `is_again` says that the user allowed the app something before, `allowed_here` what of it for this resource.
    """

    client: Client
    asked: CheckedRequest
    scopes: Sequence[AskedScope]
    is_again: bool
    allowed_here: frozenset[str]

    @property
    def is_allowed(self) -> bool:
        """Whether the user allowed all of this before."""
        return all(
            each.is_held and not each.is_new and each.permission.name in self.allowed_here for each in self.scopes
        )

    @property
    def held(self) -> list[str]:
        """The scopes that can be granted."""
        return [scope.permission.name for scope in self.scopes if scope.is_held]


@dataclass(frozen=True, slots=True)
class DepartureNotice:
    """An error of an app that no administrator registered. `address` has the error, and leads to the redirect."""

    client: Client
    redirect_uri: str
    address: str = field(repr=False)
    error: OAuthError


class Consents:
    """Shows and answers authorization requests of `clients`. `resource_of` reads their `resource` parameters."""

    def __init__(
        self,
        issuer: str,
        live: LivePolicy,
        clients: ClientFinder,
        *,
        resource_of: Callable[[Collection[str]], str],
    ) -> None:
        self._issuer = issuer
        self._live = live
        self._clients = clients
        self._resource_of = resource_of

    async def show(self, session: AsyncSession, visit: ConsentVisit) -> ConsentPage | DepartureNotice | str:
        """The page of a request, or the address of an answer that needs no click: an error, or an earlier consent.

        An error takes the user to the site of a registered app alone. Any other site may be that of an attacker who
        made the error (RFC 9700 section 4.11.2), so that its address is a link on a page. Raises ConsentRefused.
        """
        request, client, redirect_uri = await self._find(session, visit)
        try:
            page = await self._page(session, client, request, redirect_uri, visit.user)
        except OAuthError as error:
            if client.kind != "registered":
                return DepartureNotice(client, redirect_uri, self._error_at(redirect_uri, request, error), error)
            return await self._refuse(session, visit, request, redirect_uri, error)
        # An app without a secret could be another program on the same machine, so its user is asked each time.
        if client.confidential and page.is_allowed:
            return await self._allow(session, visit, request, page, page.held)
        return page

    async def answer(
        self, session: AsyncSession, visit: ConsentVisit, *, allowed: Collection[str] | None, version: str
    ) -> str:
        """Answer a request, and return the address to which the browser takes the answer.

        `allowed` are the scopes that the page showed, None if the user denied it; `version` is that of the app on the
        page. Raises ConsentRefused.
        """
        request, client, redirect_uri = await self._find(session, visit)
        if allowed is None:
            denied = OAuthError("access_denied", "The user did not allow it.")
            return await self._refuse(session, visit, request, redirect_uri, denied)
        if client.version != version:
            raise ConsentRefused(CHANGED)
        try:
            page = await self._page(session, client, request, redirect_uri, visit.user)
        except OAuthError as error:
            return await self._refuse(session, visit, request, redirect_uri, error)
        # What the policy lets the app ask for now, or the user holds now, may be more than the page showed.
        granted = [scope for scope in page.held if scope in allowed]
        if not granted:
            raise ConsentRefused("Nothing on this page can be allowed any more. Go back to the app and start again.")
        return await self._allow(session, visit, request, page, granted)

    async def _find(self, session: AsyncSession, visit: ConsentVisit) -> tuple[OpenRequest, Client, str]:
        if visit.user.impersonator is not None:
            raise ConsentRefused(IMPERSONATED)
        request = await find_request(session, visit.name, visit.browser, visit.now)
        if request is None:
            raise ConsentRefused(NO_REQUEST)
        try:
            client = await self._clients.find(session, request.client_id, visit.now, user=visit.user.subject)
        except ClientDocumentRefused as refused:
            raise ConsentRefused(f"The document at the `client_id` of the app cannot be used: {refused}.") from None
        if client is None:
            raise ConsentRefused(NO_APP)
        try:
            return request, client, redirect_of(client, request)
        except NoRedirect as refused:
            raise ConsentRefused(str(refused)) from None

    async def _page(
        self, session: AsyncSession, client: Client, request: OpenRequest, redirect_uri: str, user: Principal
    ) -> ConsentPage:
        snapshot = self._live.active
        try:
            asked = check_request(client, request, redirect_uri, snapshot, self._resource_of)
            held = _held(user, client, snapshot)
        except InvalidApp:
            raise OAuthError("unauthorized_client", "No row of the policy can name this app.") from None
        row = await find_row(session, client.client_id)
        grant = None if row is None else await find_grant(session, user.subject, row.id)
        before = set() if grant is None or grant.app_version != client.version else set(grant.scopes)
        allowed_here = await scopes_at(session, grant.id, asked.resource) if grant and before else frozenset[str]()
        catalog = snapshot.policy.catalog
        scopes = [AskedScope(catalog[scope], scope in held, scope not in before) for scope in asked.scopes]
        return ConsentPage(client, asked, scopes, bool(before), allowed_here)

    async def _allow(
        self, session: AsyncSession, visit: ConsentVisit, request: OpenRequest, page: ConsentPage, granted: list[str]
    ) -> str:
        await session.rollback()
        await lock_first(session)  # what is read here decides what is written
        if not await finish_request(session, visit.name):
            raise ConsentRefused(NO_REQUEST)
        person, app = await _person(session, visit), await consented_app(session, page.client, visit.now)
        if app is None:
            raise ConsentRefused(CHANGED)
        try:
            grant = await store_grant(session, person, app, granted, visit.now)
        except TooManyGrants:
            raise ConsentRefused("You allow as many apps as one can: end the access of one of them first.") from None
        code = await issue_code(
            session,
            grant.id,
            redirect_uri=page.asked.redirect_uri,
            challenge=page.asked.challenge,
            scopes=granted,
            resource=page.asked.resource,
            now=visit.now,
        )
        admin_actions.record(
            session,
            visit.by,
            "consent.give",
            f"app:{app.client_id}",
            now=visit.now,
            details={"scopes": granted, "resource": page.asked.resource, "name": app.name},
        )
        await session.commit()
        return answer_to(page.asked.redirect_uri, self._issuer, request.parameters.get("state"), code=code)

    async def _refuse(
        self, session: AsyncSession, visit: ConsentVisit, request: OpenRequest, redirect_uri: str, error: OAuthError
    ) -> str:
        await session.rollback()  # on SQLite a transaction that has read may fail at once when it writes
        await lock_first(session)
        if not await finish_request(session, visit.name):
            raise ConsentRefused(NO_REQUEST)
        await session.commit()
        return self._error_at(redirect_uri, request, error)

    def _error_at(self, redirect_uri: str, request: OpenRequest, error: OAuthError) -> str:
        state = request.parameters.get("state")
        return answer_to(redirect_uri, self._issuer, state, error=error.code, error_description=error.description)


def _held(user: Principal, client: Client, snapshot: Snapshot) -> frozenset[str]:
    """The grants that the user side of the app would have."""
    stated = (grant for grant in user.held if not is_fact(grant))
    app = delegated_principal(user.subject, client, (), stated, organization=user.organization)
    return snapshot.sides(app.held).user


async def _person(session: AsyncSession, visit: ConsentVisit) -> Person:
    user = visit.user
    try:
        person = await find_person(session, user.subject, lock=True)
        if person is None:  # the session is older than the table
            stated = (grant for grant in user.held if not is_fact(grant))
            await note_sign_in(session, user.subject, stated, visit.now, user.organization)
            person = await find_person(session, user.subject, lock=True)
    except PersonBlocked:
        person = None
    if person is None or person.blocked_at is not None:
        raise ConsentRefused("An administrator has blocked you, so you cannot allow an app anything.")
    return person
