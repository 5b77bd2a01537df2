"""Connections to PostgreSQL: made host by host, told apart by what is behind them, and looked at before each use.

A pooler in transaction mode gives each transaction another session, so nothing is left in one: no prepared statement
and no setting. It is recognised by the process id: a pooler makes up its own.
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
from app.db.errors import DatabaseAway, ReadOnlyDatabase
from app.db.reasons import reason_of

# While the server takes no writes, a connection to it is used for so long: its address may lead to another one since.
READ_ONLY_SECONDS = 1.0
# A write that it refused is a reason to look at once, but not for each of many.
_LOOK_SECONDS = 0.2
# Also where the old server stays up and still takes writes, connections follow its address after so long.
RECYCLE_SECONDS = 300
_DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
_READ_ONLY = "25006"
# A session that the server ends, or is about to. Others are noticed by the socket.
_ENDED = ("57P01", "57P02", "57P03", "57P05", "25P03")
# A prepared statement is another session's, or is gone: a pooler that was not recognised.
_OF_A_POOLER = ("42P05", "26000")
_PREPARED = 100  # statements that each connection keeps


class Session(asyncpg.Connection):
    """A connection, and what was found out about its other end."""

    __slots__ = ("is_fresh", "is_pooled", "made_at", "per_transaction")

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.made_at = time.monotonic()
        self.is_fresh = True
        self.is_pooled = False
        self.per_transaction = ""

    async def probe(self, seconds: float) -> tuple[bool, bool]:
        """Whether a pooler is in between, and whether the server takes no writes, in one round trip.

        Raises what the driver does, and TimeoutError. A plain statement, for a pooler may prepare it in one session
        and execute it in another.
        """
        found = await self.execute(
            f"SELECT FROM generate_series(1, (pg_backend_pid() <> {self.get_server_pid()})::int * 2 "
            "+ (current_setting('transaction_read_only') = 'on')::int)",
            timeout=seconds,
        )
        bits = int(found.split()[-1])
        return bool(bits & 2), bool(bits & 1)

    def transaction(self, *, isolation: Any = None, readonly: bool = False, deferrable: bool = False) -> Transaction:
        """A transaction; behind a pooler it begins with the settings of the session."""
        return _Transaction(self, isolation, readonly, deferrable)


class _Transaction(Transaction):
    async def start(self) -> None:
        await super().start()
        session = cast(Session, self._connection)
        if session.per_transaction:
            try:
                await session.execute(session.per_transaction)
            except BaseException:
                session.terminate()  # whatever state it is in
                raise


class Connector:
    """Makes the connections of an engine, and looks at each before it is used."""

    def __init__(
        self, address: PostgresAddress, *, name: str, settings: Mapping[str, str], command_seconds: float | None
    ) -> None:
        self._address = address
        self._is_pooled = bool(address.pooled)
        self._refused_at = float("-inf")  # a write, by a server that takes none
        self._settings = {**settings, **address.options.settings}
        self._startup = {"application_name": address.application_name or name}
        if address.options.startup:
            self._startup["options"] = address.options.startup
        self._command_seconds = command_seconds

    def do_connect(self, dialect: Dialect, _entry: ConnectionPoolEntry, _words: Any, _named: Any) -> Any:
        """A connection for SQLAlchemy's pool. Raises DatabaseAway with the reason."""
        session = await_only(self._connect())

        async def made(**_: Any) -> Session:
            return session

        caches = self._address.caches and not session.is_pooled
        numbers = count(1)
        return dialect.connect(
            async_creator_fn=made,
            prepared_statement_cache_size=_PREPARED if caches else 0,
            # Without a name none is left behind.
            prepared_statement_name_func=(lambda: f"authz_{next(numbers)}") if caches else str,
        )

    async def _connect(self) -> Session:
        """The first of the hosts that takes writes; else, where the address allows it, one that does not."""
        reading: Session | None = None
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
                raise self._away(error) from error  # the host is there and refuses: others are not tried, as in libpq
            if not is_read_only:
                if reading:
                    reading.terminate()
                return session
            if reading:
                session.terminate()
            else:
                reading = session
        if reading:
            return reading
        if isinstance(failure, DatabaseAway):
            raise failure
        raise self._away(failure or OSError()) from failure

    def _away(self, error: BaseException) -> DatabaseAway:
        # With sslmode=prefer the attempt without TLS comes second, and says less.
        if isinstance(error.__cause__, asyncpg.PostgresError):
            error = error.__cause__
        return DatabaseAway(reason_of(error, self._address) or f"{type(error).__name__} while connecting")

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
                statement_cache_size=0,  # the driver's own, which it has before a pooler is recognised
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
        """Look whether a connection of the pool still leads to a server that takes writes.

        Raises InvalidatePoolError, upon which the pool makes a new one, or DatabaseAway for a new one that fails.
        """
        session = cast(Session, cast(Any, connection).driver_connection)
        if session.is_fresh:
            session.is_fresh = False
            return
        try:
            _, is_read_only = await_only(session.probe(CONNECT_SECONDS))
        except (*_DRIVER_ERRORS, OSError) as error:
            session.terminate()  # a farewell would wait for one that does not answer
            raise InvalidatePoolError from error
        if is_read_only and session.made_at < max(time.monotonic() - READ_ONLY_SECONDS, self._refused_at):
            raise InvalidatePoolError

    def handle_error(self, context: ExceptionContext) -> None:
        """Discard a connection that is of no further use: broken, unanswered in time, or to a server without writes."""
        error = context.original_exception
        if isinstance(error, OSError):
            context.is_disconnect = True
            why = f"it does not answer ({type(error).__name__}): start PostgreSQL, or correct AUTHZ_DATABASE_URL"
            raise DatabaseAway(why) from error
        state = getattr(error, "sqlstate", None)
        if state in _ENDED:
            context.is_disconnect = True
        elif state in _OF_A_POOLER:
            self._is_pooled = context.is_disconnect = True
        elif state == _READ_ONLY:
            # Not the whole pool: the others are looked at before they are used.
            if time.monotonic() - self._refused_at > _LOOK_SECONDS:
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
    """A literal, whatever the session's `standard_conforming_strings`."""
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'"
