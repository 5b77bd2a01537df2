"""Runs a use-case of the registry of apps, and reports why it was refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from app.cli.database import with_session
from app.cli.failure import fail
from app.cli.terminal import quoted

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from app.db.tables.oauth_clients import OAuthClient
    from app.oauth.app_view import AppView

_R = TypeVar("_R")


def in_session(work: Callable[[AsyncSession], Awaitable[_R]]) -> _R:
    """Run `work` with one session. Fails with the message of an AppRefused."""
    from app.oauth.refusals import AppRefused, InvalidAppOrder

    try:
        return with_session(work)
    except InvalidAppOrder as refused:
        first, *others = (f"{fault.field}: {fault.message}" for fault in refused.faults)
        fail(first, *(f"authz: {line}" for line in others))
    except AppRefused as refused:
        fail(str(refused))


def by_client_id(client_id: str, act: Callable[[AsyncSession, int], Awaitable[_R]]) -> _R:
    """Act on the app with this client id. Fails if there is none."""
    from app.oauth.app_list import app_id_of
    from app.oauth.refusals import NoSuchApp

    async def find_and_act(session: AsyncSession) -> _R:
        try:
            app_id = await app_id_of(session, client_id)
            await session.rollback()  # so that the next transaction begins with a write
            return await act(session, app_id)
        except NoSuchApp:
            fail(f"there is no app {quoted(client_id)}; `authz apps list` lists the existing ones.")

    return in_session(find_and_act)


def act_on(client_id: str, act: Callable[[AsyncSession, int], Awaitable[OAuthClient]], now: datetime) -> AppView:
    """Act on an app as `by_client_id` does, and view it afterwards."""
    from app.oauth.app_list import view_app

    async def act_and_view(session: AsyncSession, app_id: int) -> AppView:
        return await view_app(session, await act(session, app_id), now)

    return by_client_id(client_id, act_and_view)
