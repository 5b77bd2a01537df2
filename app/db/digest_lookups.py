"""Looks up stored credentials by their digest; look-ups that wait at the same time share a statement.

A process runs at most `CONCURRENT` of these statements for a kind of credential. However many invalid ones arrive, a
valid one waits for about two statements, and other queries find connections in the pool.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import islice
from typing import Generic, TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.availability import ANSWER_SECONDS, RETRY_AFTER_SECONDS, error_name
from app.db.session import Sessions, read
from app.identity.errors import CannotVerify

CONCURRENT = 2
MAX_BATCH = 256  # digests in a statement; a power of two
_Record = TypeVar("_Record")


class DigestLookups(Generic[_Record]):
    """Look-ups of one kind of credential, which `noun` names.

    `records` returns the records of many digests, also of credentials that are not accepted any more; some of the
    digests are repeated, so that the driver prepares few statements.
    """

    def __init__(
        self,
        sessions: Sessions,
        records: Callable[[AsyncSession, Sequence[bytes]], Awaitable[Mapping[bytes, _Record]]],
        *,
        noun: str,
        logger: str,
    ) -> None:
        self._sessions = sessions
        self._records = records
        self._noun = noun
        self._log = structlog.stdlib.get_logger(logger)
        # In the order of arrival. Several requests may wait for one digest.
        self._waiting: dict[bytes, list[asyncio.Future[_Record | None]]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def find(self, digest: bytes) -> _Record | None:
        """The record of a digest. Raises CannotVerify when the database does not answer within `ANSWER_SECONDS`."""
        # Never joins a running statement, which may have read the credential before it was revoked.
        answer: asyncio.Future[_Record | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(digest, []).append(answer)
        self._start_statement()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await answer
        except TimeoutError:
            raise self._unavailable() from None

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

    async def _answer(self, batch: dict[bytes, list[asyncio.Future[_Record | None]]]) -> None:
        # Credentials whose requests have ended are not looked up.
        answers = {digest: [each for each in waiting if not each.done()] for digest, waiting in batch.items()}
        digests = [digest for digest, waiting in answers.items() if waiting]
        if not digests:
            return
        # Padded to a power of two, so that a driver prepares at most nine statements.
        size = 1 << (len(digests) - 1).bit_length()
        padded = [*digests, *([digests[-1]] * (size - len(digests)))]
        try:
            found = await read(self._sessions, lambda session: self._records(session, padded))
        except (SQLAlchemyError, OSError) as error:  # TimeoutError is an OSError
            self._log.error(
                f"the database did not answer for {self._noun}", error=error_name(error), number=len(digests)
            )
            failed: Exception = self._unavailable()
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

    def _unavailable(self) -> CannotVerify:
        return CannotVerify(f"{self._noun[0].upper()}{self._noun[1:]} cannot be verified now.", RETRY_AFTER_SECONDS)
