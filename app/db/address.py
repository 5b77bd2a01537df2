"""Parses the address of a database, as providers print it: a SQLite file, or a libpq URI for PostgreSQL.

The parameters are those of https://www.postgresql.org/docs/current/libpq-connect.html, section 34.1.2. Those that the
driver reads like libpq are passed to it. An error never shows the address or a part of it that may be a password.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn
from urllib.parse import SplitResult, quote, unquote, urlencode, urlsplit

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from app.db.address_options import ConnectionOptions, read_options
from app.db.errors import UnusableDatabase

CONNECT_SECONDS = 2.0
_SQLITE = ("sqlite", "sqlite+aiosqlite")
_POSTGRES = ("postgres", "postgresql", "postgresql+asyncpg")
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_TARGETS = ("any", "primary", "read-write")
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
# The driver reads these from the address itself.
_DRIVER: tuple[str, ...] = (
    *_FILES,
    *("passfile", "service", "sslpassword", "sslnegotiation", "krbsrvname", "gsslib"),
    *("ssl_min_protocol_version", "ssl_max_protocol_version"),
)
_OURS: tuple[str, ...] = (
    *("host", "port", "user", "password", "dbname", "database", "sslmode", "ssl", "channel_binding"),
    *("application_name", "fallback_application_name", "connect_timeout", "options", "target_session_attrs"),
    *("pgbouncer", "statement_cache_size", "prepared_statement_cache_size"),
)
# These are accepted only with the value that has no effect.
_FIXED: Mapping[str, tuple[str, ...]] = {
    "client_encoding": ("utf8", "UTF8", "utf-8", "UTF-8", "auto"),
    "gssencmode": ("disable", "prefer"),
    "load_balance_hosts": ("disable",),
    "sslcompression": ("0",),
    "sslsni": ("1",),
}
KNOWN = (*_DRIVER, *_OURS, *_FIXED)
_SCHEME = re.compile(r"([a-z][a-z0-9+.\-]*)://")
_NAME = re.compile(r"[A-Za-z_]{1,40}")
_HOST = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.%\w]+)\]|(?P<name>[^\[\]:@\s]+))(?::(?P<port>[0-9]{1,5}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class PostgresAddress:
    """The address of a PostgreSQL server, and how to connect to it.

    `hosts` are tried in order; without any, the driver uses the defaults of libpq. `pooled` is None if a pooler has to
    be detected. `verified` requires a certificate that the system trusts, `needs_tls` an encrypted connection.
    """

    hosts: Sequence[tuple[str, int]]
    user: str | None
    password: str | None = field(repr=False)
    database: str | None
    dsn: str = field(repr=False)
    target: str | None
    verified: bool
    needs_tls: bool
    client_certificate: tuple[str, str | None] | None  # with its key, for a connection that is `verified`
    connect_seconds: float
    application_name: str | None
    options: ConnectionOptions
    pooled: bool | None
    caches: bool

    @property
    def gives_password(self) -> bool:
        """Whether a password is given here or where the driver also looks for one (libpq-envars, libpq-pgpass)."""
        stated = self.password or "PGPASSWORD" in os.environ or "PGPASSFILE" in os.environ or "passfile=" in self.dsn
        return bool(stated) or (Path.home() / ".pgpass").exists()

    @property
    def places(self) -> str:
        """The hosts, for a message."""
        places = [host if host.startswith("/") else f"{host}:{port}" for host, port in self.hosts]
        return ", ".join(places) or "the socket of this machine"


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite database; None for PostgreSQL. Raises UnusableDatabase."""
    address = address_of(url)
    return Path(address.database) if isinstance(address, URL) and address.database else None


def address_of(url: str) -> URL | PostgresAddress:
    """Parse a database URL; for SQLite the result is a URL of SQLAlchemy. Raises UnusableDatabase."""
    scheme = _SCHEME.match(url)
    if scheme is None:
        _unreadable()
    if scheme[1] in _POSTGRES:
        return _postgres(url)
    if scheme[1] not in _SQLITE:
        known = ", ".join(sorted((*_POSTGRES, *_SQLITE)))
        raise UnusableDatabase(f"AUTHZ_DATABASE_URL: the database {scheme[1]!r} is not supported; use one of {known}.")
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        _unreadable()
    if (parsed.database or ":memory:") == ":memory:":
        raise UnusableDatabase(
            "AUTHZ_DATABASE_URL: SQLite needs a file, since every connection would have its own memory: sqlite:///path.db."
        )
    return parsed.set(drivername="sqlite+aiosqlite")


def _unreadable() -> NoReturn:
    message = "AUTHZ_DATABASE_URL: cannot be read; write sqlite:///path/to/file.db or postgresql://user@host/database."
    raise UnusableDatabase(message) from None


def _refuse(message: str) -> NoReturn:
    raise UnusableDatabase(f"AUTHZ_DATABASE_URL: {message}.") from None


def _postgres(url: str) -> PostgresAddress:
    parsed = _split(url)
    login, _, places = parsed.netloc.rpartition("@")
    user, _, password = login.partition(":")
    given = _parameters(parsed.query)
    for name, allowed in _FIXED.items():
        if given.get(name, allowed[0]) not in allowed:
            _refuse(f"{name} may only be {' or '.join(allowed)}")
    ssl_mode = _choice(given, "sslmode" if "sslmode" in given else "ssl", _SSL_MODES)
    hosts = _hosts(places or given.get("host", ""), given.get("port", ""))
    verified, ssl_mode = _verification(given, ssl_mode, hosts)
    for name in _FILES:
        _check_file(name, given.get(name, ""))
    passed = {name: value for name, value in given.items() if name in _DRIVER and not (verified and name in _FILES)}
    if ssl_mode:
        passed["sslmode"] = ssl_mode
    pooled = _boolean(given, "pgbouncer")
    caches = (_number(given, "statement_cache_size"), _number(given, "prepared_statement_cache_size"))
    try:
        options = read_options(given.get("options", ""))
    except ValueError as fault:
        _refuse(f"options: {fault}")
    certificate = given.get("sslcert")
    return PostgresAddress(
        hosts=hosts,
        user=unquote(user) or given.get("user"),
        password=unquote(password) or given.get("password"),
        database=unquote(parsed.path[1:]) or given.get("dbname") or given.get("database"),
        dsn=f"postgresql://?{urlencode(passed, quote_via=quote)}" if passed else "postgresql://",
        target=_choice(given, "target_session_attrs", _TARGETS, because="griddy-authz writes, so it needs a primary"),
        verified=verified,
        needs_tls=verified or ssl_mode in ("require", "verify-ca", "verify-full"),
        client_certificate=(certificate, given.get("sslkey")) if certificate else None,
        connect_seconds=float(_number(given, "connect_timeout") or CONNECT_SECONDS),
        application_name=given.get("application_name") or given.get("fallback_application_name"),
        options=options,
        # Tools write `false` without knowing: there may be a pooler nevertheless.
        pooled=pooled or None,
        caches=0 not in caches,
    )


def _split(url: str) -> SplitResult:
    try:
        parsed = urlsplit(url)
    except ValueError:
        _unreadable()
    after = url.partition("://")[2][len(parsed.netloc) :]
    # Otherwise a part of a password would be read as something else, and shown.
    if parsed.fragment or "#" in url or parsed.netloc.count("@") > 1 or ("@" in after and "@" not in parsed.netloc):
        _refuse("write the characters @ : / ? # % [ ] of a user or password in percent-encoding, such as %40 for @")
    if "\0" in unquote(url) or not parsed.netloc.isprintable() or re.search(r"%(?![0-9A-Fa-f]{2})", url):
        _refuse("it contains a control character, or a % that begins no percent-encoding; write %25 for %")
    return parsed


def _parameters(query: str) -> dict[str, str]:
    """The parameters of an address. The last of a repeated one counts, as in libpq; repeated hosts are a list."""
    found: dict[str, str] = {}
    for part in query.split("&") if query else ():
        name, is_given, value = part.partition("=")
        name, value = unquote(name), unquote(value)
        if not is_given or not _NAME.fullmatch(name):
            _refuse("a parameter is not of the form name=value")
        if name not in KNOWN:
            near = get_close_matches(name, KNOWN, n=1)
            _refuse(f"the parameter {name} is not supported" + (f"; did you mean {near[0]}?" if near else ""))
        found[name] = f"{found[name]},{value}" if name == "host" and name in found else value
    return found


def _hosts(places: str, ports: str) -> Sequence[tuple[str, int]]:
    each = places.split(",") if places else []
    default = ports.split(",") if ports else ["5432"]
    if not all(re.fullmatch(r"[0-9]{0,5}", port, re.ASCII) for port in default):
        _refuse("a port is a number from 1 to 65535")
    if len(default) not in (1, max(len(each), 1)):
        _refuse(f"there are {len(default)} ports for {len(each)} hosts")
    if not each and ports:
        each = ["localhost"]
    hosts = []
    for number, place in enumerate(each):
        match = _HOST.fullmatch(place)
        if match is None:
            _refuse("a host is written name, name:port, [IPv6 address]:port or /directory of a socket")
        port = int(match["port"] or default[number if len(default) > 1 else 0] or "5432")
        if not 0 < port < 65_536:
            _refuse("a port is a number from 1 to 65535")
        hosts.append((unquote(match["six"] or match["name"]), port))
    return tuple(hosts)


def _verification(
    given: Mapping[str, str], ssl_mode: str | None, hosts: Sequence[tuple[str, int]]
) -> tuple[bool, str | None]:
    """Whether an authority of the system must have signed the server's certificate, and the mode for the driver."""
    is_local = not hosts or any(host.startswith("/") for host, _ in hosts)
    binding = _choice(given, "channel_binding", ("disable", "prefer", "require"))
    root = given.get("sslrootcert")
    if root == "system" and ssl_mode not in (None, "verify-full"):
        _refuse("sslrootcert=system requires sslmode=verify-full")
    if binding == "require":
        # The driver cannot bind the password to the TLS channel. Verifying the certificate prevents
        # the same attack, by a server in between.
        if is_local or ssl_mode in ("disable", "allow", "prefer"):
            _refuse("channel_binding=require needs TLS: add sslmode=verify-full, or leave it out")
        if root or ssl_mode in ("verify-ca", "verify-full"):
            ssl_mode = "verify-full"
        else:
            root = "system"
    return (True, None) if root == "system" and not is_local else (False, None if root == "system" else ssl_mode)


def _check_file(name: str, file: str) -> None:
    if not file or (name == "sslrootcert" and file == "system"):
        return
    try:
        with Path(file).open("rb"):
            pass
    except OSError as refused:
        _refuse(f"{name}: the file {file} cannot be read: {refused.strerror}")


def _choice(given: Mapping[str, str], name: str, allowed: Sequence[str], because: str = "") -> str | None:
    value = given.get(name) or None
    if value is not None and value not in allowed:
        _refuse(f"{name} is one of {', '.join(allowed)}" + (f": {because}" if because else ""))
    return value


def _boolean(given: Mapping[str, str], name: str) -> bool | None:
    value = given.get(name)
    if value is not None and value not in _BOOLEANS:
        _refuse(f"{name} is true or false")
    return _BOOLEANS[value] if value is not None else None


def _number(given: Mapping[str, str], name: str) -> int | None:
    value = given.get(name)
    if value is not None and not re.fullmatch(r"[0-9]{1,4}", value, re.ASCII):
        _refuse(f"{name} is a whole number from 0 to 9999")
    return int(value) if value is not None else None
