"""Records changes of the registry of apps in the admin log, each in its own transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.actor import Actor
from app.audit.admin_log import Detail
from app.db import admin_actions
from app.db.tables.oauth_clients import OAuthClient

_Act = Literal["app.register", "app.change", "app.rotate", "app.disable", "app.enable", "app.remove"]


def record_act(
    session: AsyncSession,
    by: Actor,
    act: _Act,
    row: OAuthClient,
    *,
    now: datetime,
    details: Mapping[str, Detail] | None = None,
) -> None:
    """Record what was done to an app. `details` are added to its kind and its name."""
    admin_actions.record(
        session,
        by,
        act,
        f"app:{row.client_id}",
        now=now,
        message=row.name,
        details={"kind": row.kind, "name": row.name, **(details or {})},
    )
