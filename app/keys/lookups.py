"""Looks up API keys for a verifier; look-ups that wait at the same time share a statement.

A process runs at most `CONCURRENT` of these statements. However many invalid keys arrive, a valid one waits for about
two statements, and other queries find connections in the pool.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.availability import ANSWER_SECONDS, RETRY_AFTER_SECONDS, error_name
from app.db.session import Sessions, read
from app.db.tables.keys import ApiKey
from app.identity.api_keys import KeyRecord
from app.identity.errors import CannotVerify
from app.keys.api_keys import RECORD, record_of

UNAVAILABLE = "API keys cannot be verified now."
CONCURRENT = 2
MAX_BATCH = 256  # digests in a statement; a power of two
_Found = dict[bytes, KeyRecord]
_log = structlog.stdlib.get_logger("api_keys")


def key_lookup(sessions: Sessions) -> Callable[[bytes], Awaitable[KeyRecord | None]]:
    """Return a function that looks up the record of the key with a SHA-256, also if it is revoked or expired.

    The function raises CannotVerify when the database does not answer within `ANSWER_SECONDS`.
    """
    return _KeyLookups(sessions).find


class _KeyLookups:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        # In the order of arrival. Several requests may wait for one digest.
        self._waiting: dict[bytes, list[asyncio.Future[KeyRecord | None]]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def find(self, digest: bytes) -> KeyRecord | None:
        # Never joins a running statement, which may have read the key before it was revoked.
        answer: asyncio.Future[KeyRecord | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(digest, []).append(answer)
        self._start_statement()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await answer
        except TimeoutError:
            raise _unavailable() from None

    def _start_statement(self) -> None:
        if len(self._running) >= CONCURRENT or not self._waiting:
            return
        batch = {digest: self._waiting.pop(digest) for digest in list(islice(self._waiting, MAX_BATCH))}
        # A new context: the statement does not belong to a single request.
        task = asyncio.create_task(self._answer(batch), context=contextvars.Context())
        self._running.add(task)
        task.add_done_callback(self._end_statement)

    def _end_statement(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._start_statement()

    async def _answer(self, batch: dict[bytes, list[asyncio.Future[KeyRecord | None]]]) -> None:
        # Keys whose requests have ended are not looked up.
        answers = {digest: [each for each in waiting if not each.done()] for digest, waiting in batch.items()}
        digests = [digest for digest, waiting in answers.items() if waiting]
        if not digests:
            return
        try:
            found = await read(self._sessions, lambda session: _records(session, digests))
        except (SQLAlchemyError, OSError) as error:  # TimeoutError is an OSError
            _log.error("the database did not answer for API keys", error=error_name(error), keys=len(digests))
            failed: Exception = _unavailable()
        except Exception as error:  # noqa: BLE001  # a defect: each waiting request reports it
            failed = error
        else:
            for digest, waiting in answers.items():
                for each in waiting:
                    if not each.done():
                        each.set_result(found.get(digest))
            return
        for each in (each for waiting in answers.values() for each in waiting if not each.done()):
            each.set_exception(failed)


async def _records(session: AsyncSession, digests: Sequence[bytes]) -> _Found:
    # Padded to a power of two, so that a driver prepares at most nine statements.
    size = 1 << (len(digests) - 1).bit_length()
    padded = [*digests, *([digests[-1]] * (size - len(digests)))]
    rows = await session.execute(RECORD.where(col(ApiKey.digest).in_(padded)))
    return {record.digest: record for record in map(record_of, rows)}


def _unavailable() -> CannotVerify:
    return CannotVerify(UNAVAILABLE, RETRY_AFTER_SECONDS)
