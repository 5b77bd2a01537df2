"""The token endpoint (RFC 6749 sections 4.1.3 and 6): tokens for a code, or for a refresh token."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.db.disk import DiskSpace
from app.db.engine import LOCK_FIRST
from app.oauth.access_tokens import issue_access_token
from app.oauth.client import Client
from app.oauth.client_authentication import ClientCredentials, authenticate_client
from app.oauth.codes import invalid_code, redeem_code, resource_of_code
from app.oauth.errors import OAuthError
from app.oauth.lifetimes import ACCESS_TOKEN
from app.oauth.scope import scopes_of
from app.oauth.token_families import find_family, rotate

GRANT_TYPES = ("authorization_code", "refresh_token")
_NOT_CONSENTED = (
    "The `scope` has a permission that the refresh token is not for: send the user to /oauth/authorize again."
)


@dataclass(frozen=True, slots=True)
class IssuedTokens:
    """The answer to an app. Without a `refresh_token` it keeps the one that it has."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    scopes: tuple[str, ...]
    expires_in: int


class TokenExchange:
    """Exchanges what an app holds for tokens.

    `resource_of` reads the `resource` parameters of a request. `count_bad_secret` is `count_failure` of
    `authenticate_client`.
    """

    def __init__(
        self,
        disk: DiskSpace,
        *,
        resource_of: Callable[[Collection[str]], str],
        count_bad_secret: Callable[[str], int],
    ) -> None:
        self._disk = disk
        self._resource_of = resource_of
        self._count_bad_secret = count_bad_secret

    async def exchange(
        self,
        session: AsyncSession,
        given: ClientCredentials,
        form: Mapping[str, str],
        resources: Collection[str],
        now: datetime,
    ) -> IssuedTokens:
        """Issue tokens in one transaction, and commit it. Raises OAuthError, and DiskShortage."""
        self._disk.require_space()
        # What is read here decides what is written.
        await session.connection(execution_options=LOCK_FIRST)
        client = await authenticate_client(session, given, now, count_failure=self._count_bad_secret)
        match form.get("grant_type"):
            case "authorization_code":
                return await self._redeem(session, client, form, resources, now)
            case "refresh_token":
                return await self._refresh(session, client, form, resources, now)
            case None:
                raise OAuthError("invalid_request", "Send a `grant_type`.")
        raise OAuthError("unsupported_grant_type", "The grant types are authorization_code and refresh_token.")

    async def _redeem(
        self,
        session: AsyncSession,
        client: Client,
        form: Mapping[str, str],
        resources: Collection[str],
        now: datetime,
    ) -> IssuedTokens:
        code, verifier = form.get("code"), form.get("code_verifier")
        if code is None or verifier is None:
            raise OAuthError("invalid_request", "Send a `code` and its `code_verifier`.")
        if resources:
            asked, bound = self._resource_of(resources), await resource_of_code(session, client.client_id, code)
            if bound is not None and asked != bound:
                raise OAuthError("invalid_target", "The code is for another `resource`.")
        redeemed = await redeem_code(
            session, client.client_id, code, verifier=verifier, redirect_uri=form.get("redirect_uri"), now=now
        )
        if redeemed is None:
            await session.commit()
            raise invalid_code()
        family, refresh_token = redeemed
        return await self._issue(session, family.id, family.scopes, refresh_token, now)

    async def _refresh(
        self,
        session: AsyncSession,
        client: Client,
        form: Mapping[str, str],
        resources: Collection[str],
        now: datetime,
    ) -> IssuedTokens:
        token = form.get("refresh_token")
        if token is None:
            raise OAuthError("invalid_request", "Send a `refresh_token`.")
        found = await find_family(session, token)
        if found is None or found.client_id != client.client_id or found.is_ended(now):
            raise _invalid_refresh()
        family = found.family
        # Checked before the token is used, so that a mistake costs nothing.
        scopes = scopes_of(form.get("scope"), family.scopes.__contains__, _NOT_CONSENTED) or tuple(family.scopes)
        if resources and self._resource_of(resources) != family.resource:
            raise OAuthError("invalid_target", "The refresh token is for another `resource`.")
        rotation = await rotate(session, family, token, now, keeps=client.confidential)
        if not rotation.accepted:
            await session.commit()
            raise _invalid_refresh()
        return await self._issue(session, family.id, scopes, rotation.refresh_token, now)

    async def _issue(
        self,
        session: AsyncSession,
        family_id: int,
        scopes: Collection[str],
        refresh_token: str | None,
        now: datetime,
    ) -> IssuedTokens:
        access_token = await issue_access_token(session, family_id, scopes, now)
        await session.commit()
        return IssuedTokens(access_token, refresh_token, tuple(sorted(scopes)), int(ACCESS_TOKEN.total_seconds()))


def _invalid_refresh() -> OAuthError:
    return OAuthError(
        "invalid_grant", "The refresh token is invalid: it is unknown, expired, used, ended, or of another app."
    )
