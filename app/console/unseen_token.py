"""The permissions of a user's token, which the simulator does not know; the decision log has the last known ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from sqlalchemy.ext.asyncio import AsyncSession

from app.db.last_grants import last_grants
from app.http.api.past_request import may_also
from app.policy.engine.delegation import is_delegated
from app.policy.engine.snapshot import Snapshot
from app.services import AnyRequest

_USER = "user:"


@dataclass(frozen=True, slots=True)
class UnseenToken:
    """A user whose token may hold permissions that a question does not state.

    `lacking` are the permissions needed to read the last known ones; otherwise `seen` is when they were logged, None if
    they were not. `permissions` are those of the catalogue, and `address` is the question with them.
    """

    user: str
    lacking: tuple[str, ...] = ()
    seen: datetime | None = None
    permissions: tuple[str, ...] = ()
    address: str = ""


async def unseen_token(
    request: AnyRequest, session: AsyncSession, fields: Mapping[str, str], snapshot: Snapshot, *, log: str, path: str
) -> UnseenToken | None:
    """The unknown token of a question's user; None if there is no user, or the question states permissions.

    `log` is the page of the decision log, which the caller must be allowed to open; `path` is the page that asks.
    """
    stated = fields["as"].split()
    users = [fields["user"]] if fields["user"] else [grant[len(_USER) :] for grant in stated if grant.startswith(_USER)]
    catalog = snapshot.policy.catalog
    if is_delegated(stated) or len(users) != 1 or fields["key"] or any(grant in catalog for grant in stated):
        return None
    user = users[0]
    decision = may_also(request, "console", log, "GET")
    if not decision:
        return UnseenToken(user, lacking=decision.missing)
    last = await last_grants(session, user) if user.isprintable() else None
    if last is None:
        return UnseenToken(user)
    permissions = tuple(sorted(grant for grant in last.held if grant in catalog))
    more = {**fields, "as": " ".join([*stated, *permissions])}
    address = f"{path}?{urlencode({name: value for name, value in more.items() if value})}" if permissions else ""
    return UnseenToken(user, seen=last.seen, permissions=permissions, address=address)
