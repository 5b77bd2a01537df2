"""Looks up API keys for a verifier."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.digest_lookups import DigestLookups
from app.db.session import Sessions
from app.db.tables.keys import ApiKey
from app.identity.api_keys import KeyRecord
from app.keys.api_keys import RECORD, record_of

UNAVAILABLE = "API keys cannot be verified now."


def key_lookup(sessions: Sessions) -> Callable[[bytes], Awaitable[KeyRecord | None]]:
    """Return a function that looks up the record of the key with a SHA-256, also if it is revoked or expired.

    The function raises CannotVerify when the database does not answer in time.
    """
    return DigestLookups(sessions, _records, noun="API keys", logger="api_keys").find


async def _records(session: AsyncSession, digests: Sequence[bytes]) -> Mapping[bytes, KeyRecord]:
    rows = await session.execute(RECORD.where(col(ApiKey.digest).in_(digests)))
    return {record.digest: record for record in map(record_of, rows)}
