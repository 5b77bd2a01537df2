"""Connects to PostgreSQL host by host, detects poolers, and checks each connection before it is used.

A pooler in transaction mode gives each transaction another session, so no prepared statement and no setting is left in
one. A pooler is detected by the process id, which it makes up.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import Mapping
from itertools import count
from typing import Any, cast

import asyncpg
from asyncpg.transaction import Transaction
from sqlalchemy import Dialect
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import await_only

from app.db.address import CONNECT_SECONDS, PostgresAddress
from app.db.errors import DatabaseUnavailable, ReadOnlyDatabase
from app.db.reasons import reason_of

# How long a connection to a read-only server is used: its address may lead to another server by then.
READ_ONLY_SECONDS = 1.0
# A refused write is a reason to check at once, but not for each of many.
_CHECK_SECONDS = 0.2
# After which connections follow the address to a new server, even if the old one still accepts writes.
RECYCLE_SECONDS = 300
_DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
_READ_ONLY = "25006"
# The server ends the session, or is about to. Other ends are noticed by the socket.
_ENDED_STATES = ("57P01", "57P02", "57P03", "57P05", "25P03")
# A prepared statement belongs to another session, or is missing: a pooler that was not detected.
_POOLER_STATES = ("42P05", "26000")
_PREPARED = 100  # cached statements in a connection


class Session(asyncpg.Connection):
    """A connection, and what was detected about its server."""

    __slots__ = ("is_fresh", "is_pooled", "made_at", "per_transaction")

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.made_at = time.monotonic()
        self.is_fresh = True
        self.is_pooled = False
        self.per_transaction = ""

    async def probe(self, seconds: float) -> tuple[bool, bool]:
        """Whether the connection is behind a pooler, and whether the server is read-only, in one round trip.

        Uses the simple query protocol, since a pooler may prepare a statement in one session and execute it in another.
        Raises the errors of the driver, and TimeoutError.
        """
        found = await self.execute(
            f"SELECT FROM generate_series(1, (pg_backend_pid() <> {self.get_server_pid()})::int * 2 "
            "+ (current_setting('transaction_read_only') = 'on')::int)",
            timeout=seconds,
        )
        bits = int(found.split()[-1])
        return bool(bits & 2), bool(bits & 1)

    def transaction(self, *, isolation: Any = None, readonly: bool = False, deferrable: bool = False) -> Transaction:
        """A transaction, which begins with the settings of the session behind a pooler."""
        return _Transaction(self, isolation, readonly, deferrable)


class _Transaction(Transaction):
    def __init__(self, session: Session, isolation: Any, readonly: bool, deferrable: bool) -> None:
        super().__init__(session, isolation, readonly, deferrable)
        self._session = session

    async def start(self) -> None:
        await super().start()
        session = self._session
        if session.per_transaction:
            try:
                await session.execute(session.per_transaction)
            except BaseException:
                session.terminate()  # whatever state it is in
                raise


class Connector:
    """Makes the connections of an engine, and checks each before it is used."""

    def __init__(
        self, address: PostgresAddress, *, name: str, settings: Mapping[str, str], command_seconds: float | None
    ) -> None:
        self._address = address
        self._is_pooled = bool(address.pooled)
        self._refused_at = float("-inf")  # when a read-only server last refused a write
        self._settings = {**settings, **address.options.settings}
        self._startup = {"application_name": address.application_name or name}
        if address.options.startup:
            self._startup["options"] = address.options.startup
        self._command_seconds = command_seconds

    def do_connect(self, dialect: Dialect, _entry: ConnectionPoolEntry, _args: Any, _params: Any) -> Any:
        """A connection for SQLAlchemy's pool. Raises DatabaseUnavailable with the reason."""
        session = await_only(self._connect())

        async def take_session(**_: Any) -> Session:
            return session

        caches = self._address.caches and not session.is_pooled
        numbers = count(1)
        return dialect.connect(
            async_creator_fn=take_session,
            prepared_statement_cache_size=_PREPARED if caches else 0,
            # A statement without a name leaves nothing in the session.
            prepared_statement_name_func=(lambda: f"authz_{next(numbers)}") if caches else str,
        )

    async def _connect(self) -> Session:
        """Connect to the first host that accepts writes; else, if the address allows it, to a read-only one."""
        read_only: Session | None = None
        failure: BaseException | None = None
        for host in self._address.hosts or (None,):
            try:
                session, is_read_only = await self._connect_to(host)
            except (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError) as error:
                failure = error
                continue
            except asyncpg.exceptions.TargetServerAttributeNotMatched:
                failure = failure or ReadOnlyDatabase()
                continue
            except (*_DRIVER_ERRORS, ValueError) as error:
                raise self._unavailable(error) from error  # a host that refuses ends the attempt, as in libpq
            if not is_read_only:
                if read_only:
                    read_only.terminate()
                return session
            if read_only:
                session.terminate()
            else:
                read_only = session
        if read_only:
            return read_only
        if isinstance(failure, DatabaseUnavailable):
            raise failure
        raise self._unavailable(failure or OSError()) from failure

    def _unavailable(self, error: BaseException) -> DatabaseUnavailable:
        # With sslmode=prefer the second attempt, without TLS, has the less helpful error.
        if isinstance(error.__cause__, asyncpg.PostgresError):
            error = error.__cause__
        return DatabaseUnavailable(reason_of(error, self._address) or f"{type(error).__name__} while connecting")

    async def _connect_to(self, host: tuple[str, int] | None) -> tuple[Session, bool]:
        address = self._address
        seconds = address.connect_seconds
        async with asyncio.timeout(2 * seconds):
            session: Session = await asyncpg.connect(
                dsn=address.dsn,
                host=host[0] if host else None,
                port=host[1] if host else None,
                user=address.user,
                password=address.password,
                database=address.database,
                ssl=_verifying(address) if address.verified else None,
                target_session_attrs=address.target,
                server_settings=dict(self._startup),
                timeout=seconds,
                command_timeout=self._command_seconds,
                statement_cache_size=0,  # the cache of the driver, which exists before a pooler is detected
                connection_class=Session,
            )
            try:
                found_pooled, is_read_only = await session.probe(seconds)
                session.is_pooled = self._is_pooled or found_pooled
                await self._prepare(session)
            except BaseException:
                session.terminate()
                raise
        return session, is_read_only

    async def _prepare(self, session: Session) -> None:
        if not self._settings:
            return
        if session.is_pooled:
            session.per_transaction = _set(self._settings, is_local=True)
            async with session.transaction():
                pass
        else:
            await session.execute(_set(self._settings, is_local=False), timeout=self._address.connect_seconds)

    def checkout(self, connection: DBAPIConnection, _entry: ConnectionPoolEntry, _proxy: Any) -> None:
        """Check that a connection of the pool still leads to a server that accepts writes.

        Raises InvalidatePoolError, so that the pool makes a new one, or DatabaseUnavailable if the new one fails.
        """
        session = cast(Session, cast(Any, connection).driver_connection)
        if session.is_fresh:
            session.is_fresh = False
            return
        try:
            _, is_read_only = await_only(session.probe(CONNECT_SECONDS))
        except (*_DRIVER_ERRORS, OSError) as error:
            session.terminate()  # a clean close would wait for a server that does not answer
            raise InvalidatePoolError from error
        if is_read_only and session.made_at < max(time.monotonic() - READ_ONLY_SECONDS, self._refused_at):
            raise InvalidatePoolError

    def handle_error(self, context: ExceptionContext) -> None:
        """Discard a connection that is broken, timed out, or leads to a read-only server."""
        error = context.original_exception
        if isinstance(error, OSError):
            context.is_disconnect = True
            why = f"it does not answer ({type(error).__name__}): start PostgreSQL, or correct AUTHZ_DATABASE_URL"
            raise DatabaseUnavailable(why) from error
        state = getattr(error, "sqlstate", None)
        if state in _ENDED_STATES:
            context.is_disconnect = True
        elif state in _POOLER_STATES:
            self._is_pooled = context.is_disconnect = True
        elif state == _READ_ONLY:
            # Not the whole pool: other connections are checked before they are used.
            if time.monotonic() - self._refused_at > _CHECK_SECONDS:
                self._refused_at = time.monotonic()
            context.is_disconnect, context.invalidate_pool_on_disconnect = True, False
            raise ReadOnlyDatabase from error


def _verifying(address: PostgresAddress) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if address.client_certificate:
        context.load_cert_chain(*address.client_certificate)
    return context


def _set(settings: Mapping[str, str], *, is_local: bool) -> str:
    assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", name) for name in settings)
    calls = (
        "set_config('{}', {}, {})".format(name, _quoted(value), "true" if is_local else "false")
        for name, value in settings.items()
    )
    return f"SELECT {', '.join(calls)}"


def _quoted(value: str) -> str:
    """A literal that does not depend on `standard_conforming_strings`."""
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'"
