"""The revision that an edit of the policy files becomes."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.actor import FILES
from app.db import admin_actions, revisions
from app.db.tables.history import PolicyRevision
from app.policy.engine.snapshot import Snapshot


async def add_files(session: AsyncSession, head: PolicyRevision | None, active: Snapshot) -> PolicyRevision:
    """Add the files of the active policy as the revision after `head`, without a commit. Raises ParentConflict."""
    message = "The files were changed in the policy directory." if head else "The policy as it was found."
    now = datetime.now(UTC)
    row = await revisions.add(
        session,
        parent=head,
        revision=active.revision,
        kind="files",
        author="",
        message=message,
        widens=False,
        changes=(),
        files=active.policy.source.files,
        now=now,
    )
    if head is not None:
        details = {"parent": head.revision}
        admin_actions.record(session, FILES, "policy.files", row.revision, now=now, message=message, details=details)
    return row
