"""Explains to the operator in one line why a database cannot be used, and what to do. Contains no secret."""

from __future__ import annotations

import os
import socket
import sqlite3
import ssl

from app.db.address import PostgresAddress

_MORE = "raise max_connections, or lower AUTHZ_DATABASE_POOL_SIZE"
_ADDRESS = "correct AUTHZ_DATABASE_URL"


def reason_of(error: BaseException, address: PostgresAddress | None = None) -> str | None:
    """The reason, without a full stop; None if the set-up of the database is not the cause.

    With an address, connecting to it failed; without one, a statement failed.
    """
    state = getattr(error, "sqlstate", None)
    message = str(error).partition("\n")[0]
    if state is not None:
        return _of_state(state, message, address)
    if isinstance(error, sqlite3.Error):
        return _of_sqlite(error)
    if address is None:
        return None
    if isinstance(error, OSError):
        return _of_network(error, message, address)
    return _of_driver(message, address)


def _of_state(state: str, message: str, address: PostgresAddress | None) -> str | None:
    role = f'the role "{address.user}"' if address and address.user else "the role"
    database = f'the database "{address.database}"' if address and address.database else "the database"
    lowered = message.lower()
    if address and not address.gives_password and (state == "28P01" or "password" in lowered):
        return f"{role} needs a password and AUTHZ_DATABASE_URL gives none: write postgresql://USER:PASSWORD@HOST/…"
    if state == "28P01" or (address and "authentication failed" in lowered):
        return f"the password of {role} is wrong, or there is no such role: {_ADDRESS}"
    if (state == "28000" and "does not exist" in lowered) or (address and "no such user" in lowered):
        return f"{role} does not exist: create it with CREATE ROLE … LOGIN, or {_ADDRESS}"
    if state == "28000":
        encryption = ", or add sslmode=require" if "no encryption" in lowered else ""
        return f"the server does not let {role} in ({message}): allow it in pg_hba.conf{encryption}"
    if state == "3D000" or (address and "no such database" in lowered):
        return f"{database} does not exist: create it with CREATE DATABASE, or {_ADDRESS}"
    known = {
        "42501": f"the role lacks a right ({message}): GRANT it, or make it the owner of the tables and the schema",
        "3F000": f"the schema does not exist ({message}): create it with CREATE SCHEMA, or correct search_path",
        "25006": "the PostgreSQL server is read-only: point AUTHZ_DATABASE_URL at the primary",
        "53300": f"the server has no connection left ({message}): {_MORE}",
        "57P03": f"the server takes no connections now ({message}): wait until it has started",
    }
    if state in known:
        return known[state]
    if address is None:
        return None
    if "connection was closed" in lowered:
        return (
            f"{address.places} closes the connection: look at its log; it may ask for a certificate (sslcert, sslkey)"
        )
    if "unsupported startup parameter" in lowered:
        return f"the pooler refuses a parameter ({message}): leave it out of AUTHZ_DATABASE_URL, or allow it there"
    return f"the server refuses the connection ({message}; SQLSTATE {state})"


def _of_network(error: OSError, message: str, address: PostgresAddress) -> str:
    where = address.places
    if isinstance(error, ssl.SSLCertVerificationError):
        why = error.verify_message or "it is not trusted"
        return (
            f"the certificate of {where} is not verified ({why}): name the authority with sslrootcert=FILE, "
            "and the host as the certificate has it"
        )
    if isinstance(error, ssl.SSLError):
        return f"TLS with {where} failed ({error.reason or 'no reason given'}): look at sslmode and its files"
    if isinstance(error, socket.gaierror):
        return f"the host of {where} is not known (name resolution failed): {_ADDRESS}"
    if ("rejected SSL upgrade" in message and not address.needs_tls and "PGSSLMODE" not in os.environ) or (
        "connection_lost" in message
    ):
        return f"{where} gives no valid answer, so it is not a PostgreSQL server, or not ready: {_ADDRESS}"
    if "rejected SSL upgrade" in message:
        return f"{where} does not offer TLS, which sslmode asks for: enable ssl on the server, or change sslmode"
    if isinstance(error, TimeoutError):
        return f"{where} did not answer within {address.connect_seconds:g} s: look at the network and its firewalls"
    if isinstance(error, ConnectionRefusedError | FileNotFoundError):
        kind = "connection refused" if isinstance(error, ConnectionRefusedError) else "no such socket"
        return f"nothing listens at {where} ({kind}): start PostgreSQL, or {_ADDRESS}"
    if "Connect call failed" in message and "Errno 111" in message:
        return f"nothing listens at {where} (connection refused): start PostgreSQL, or {_ADDRESS}"
    return f"{where} cannot be reached ({error.strerror or type(error).__name__}): {_ADDRESS}"


def _of_driver(message: str, address: PostgresAddress) -> str:
    if "root certificate file" in message:
        return "sslmode asks for a root certificate and there is none: add sslrootcert=FILE or sslrootcert=system"
    if "password" in message.lower():
        return f"the server asks for a password and there is none: {_ADDRESS}"
    return f"the connection to {address.places} failed ({message})"


def _of_sqlite(error: sqlite3.Error) -> str | None:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        return f"the file is not a SQLite database: {_ADDRESS}"
    if code == sqlite3.SQLITE_CORRUPT:
        return "the SQLite database is damaged: restore it from a backup"
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "another program keeps the SQLite database locked: try again, or end that program"
    return None
