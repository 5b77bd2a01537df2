"""The admin log in the database. None of these functions commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.audit.actor import Actor
from app.audit.admin_log import Action, AdminActionView, AdminFilter, Detail
from app.audit.sanitize import without_whole_secrets
from app.db.tables.fields import MAX_ID
from app.db.tables.history import AdminAction


def record(
    session: AsyncSession,
    actor: Actor,
    action: Action,
    target: str,
    *,
    now: datetime,
    message: str = "",
    details: Mapping[str, Detail] | None = None,
) -> None:
    """Record an action in the transaction that performs it: neither is stored without the other."""
    session.add(
        AdminAction(
            at=now,
            action=action,
            target=without_whole_secrets(target),
            author=actor.subject,
            key_id=actor.key_id,
            client_id=actor.client_id,
            impersonator=actor.impersonator,
            request_id=actor.request_id,
            message=without_whole_secrets(message),
            door=actor.door,
            method=actor.method,
            session_id=actor.session_id,
            token_id=actor.token_id,
            revision=actor.revision,
            details={name: _without_secrets(value) for name, value in (details or {}).items()},
        )
    )


async def page(
    session: AsyncSession, filters: AdminFilter, *, before: int | None = None, limit: int
) -> Sequence[AdminActionView]:
    """The newest actions that match, or the newest of those with an id below `before`."""
    query = _matching(filters).order_by(col(AdminAction.id).desc()).limit(limit)
    if before is not None:
        query = query.where(col(AdminAction.id) < before)
    return [_view(row) for row in await session.scalars(query)]


async def following(
    session: AsyncSession, filters: AdminFilter, *, after: int, limit: int, up_to: int = MAX_ID
) -> Sequence[AdminActionView]:
    """The first actions that match and have an id above `after`, and at most `up_to`, oldest first."""
    in_range = (col(AdminAction.id) > after) & (col(AdminAction.id) <= up_to)
    query = _matching(filters).where(in_range).order_by(col(AdminAction.id)).limit(limit)
    return [_view(row) for row in await session.scalars(query)]


async def newest_id(session: AsyncSession) -> int:
    """The id of the newest action; 0 without any."""
    newest = select(col(AdminAction.id)).order_by(col(AdminAction.id).desc()).limit(1)
    return (await session.scalar(newest)) or 0


def _matching(filters: AdminFilter) -> Select[AdminAction]:
    query = select(AdminAction)
    if filters.actions is not None:
        query = query.where(col(AdminAction.action).in_(filters.actions))
    for column, value in (
        (AdminAction.author, filters.actor),
        (AdminAction.target, filters.target),
        (AdminAction.request_id, filters.request_id),
    ):
        if value is not None:
            query = query.where(col(column) == value)
    if filters.since is not None:
        query = query.where(col(AdminAction.at) >= filters.since)
    if filters.until is not None:
        query = query.where(col(AdminAction.at) < filters.until)
    return query


def _view(row: AdminAction) -> AdminActionView:
    return AdminActionView(
        id=row.id,
        time=row.at,
        action=row.action,
        target=row.target,
        actor=row.author,
        door=row.door,
        method=row.method,
        key_id=row.key_id,
        client_id=row.client_id,
        impersonator=row.impersonator,
        session_id=row.session_id,
        token_id=row.token_id,
        revision=row.revision,
        request_id=row.request_id,
        message=row.message,
        details=row.details or {},
    )


def _without_secrets(value: Detail) -> Detail:
    if isinstance(value, list):
        return [without_whole_secrets(text) for text in value]
    return without_whole_secrets(value) if isinstance(value, str) else value
