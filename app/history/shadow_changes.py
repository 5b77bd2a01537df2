"""Deploys and withdraws the policy in shadow, and records who did that."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.actor import Actor
from app.audit.shadowing import DeployedShadow, Shadowing
from app.db import admin_actions
from app.policy.engine.snapshot import Snapshot


async def deploy(
    shadowing: Shadowing, session: AsyncSession, snapshot: Snapshot, message: str, by: Actor
) -> DeployedShadow:
    """Deploy a policy in shadow; it replaces another one."""
    async with shadowing.one_at_a_time:
        replaced = shadowing.deployed.shadow.snapshot.revision if shadowing.deployed else None
        admin_actions.record(
            session,
            by,
            "policy.shadow",
            snapshot.revision,
            now=datetime.now(UTC),
            message=message,
            details={"replaces": replaced},
        )
        await session.commit()
        return shadowing.deploy(snapshot, message=message, author=by.subject)


async def withdraw(shadowing: Shadowing, session: AsyncSession, by: Actor) -> None:
    """Withdraw the policy in shadow. Raises NoShadow."""
    async with shadowing.one_at_a_time:
        revision = shadowing.current().shadow.snapshot.revision
        admin_actions.record(session, by, "policy.shadow.withdraw", revision, now=datetime.now(UTC))
        await session.commit()
        shadowing.withdraw()
