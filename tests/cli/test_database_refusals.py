"""An unusable database is reported in one line, with the reason and what to do, by every command."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.db.errors import DatabaseUnavailable
from app.db.migrate import schema_fault, upgrade
from tests.cli.command import command
from tests.support.breakable import BreakablePostgres
from tests.support.certificate import Certificate, make
from tests.support.cluster import directory_in_memory
from tests.support.forwarder import Forwarder
from tests.support.issuer import LiveIssuer
from tests.support.pooler import Pooler
from tests.support.server import AUTHZ, Server, free_port

PASSWORD = "hunter2-%2F"  # with a slash in it, percent-encoded
COMMANDS = [
    ("db", "upgrade"),
    ("keys", "list"),
    ("keys", "revoke", "1"),
    ("decisions", "tail"),
    ("policy", "history"),
    ("policy", "publish", "policies", "-m", "Because."),
    ("policy", "rollback", "0123456789abcdef"),
]


@dataclass(frozen=True)
class Loopback:
    """PostgreSQL on a port of 127.0.0.1 with an upgraded database, and roles with few or no privileges."""

    postgres: BreakablePostgres
    port: int
    database: str

    def url(self, login: str = "postgres", database: str = "", query: str = "") -> str:
        return f"postgresql://{login}@127.0.0.1:{self.port}/{database or self.database}{query}"


@pytest.fixture(scope="module")
def loopback() -> Iterator[Loopback]:
    with BreakablePostgres(place=directory_in_memory()) as postgres, Forwarder(postgres.socket) as forwarder:
        database = postgres.new().partition("@/")[2].partition("?")[0]
        for statement in (
            "CREATE ROLE app LOGIN PASSWORD 'hunter2-/'",
            "CREATE ROLE powerless LOGIN",
            "CREATE ROLE limited LOGIN CONNECTION LIMIT 0",
            "CREATE SCHEMA authz",
            "CREATE DATABASE empty TEMPLATE template0",
        ):
            postgres.psql(statement)
        rules = postgres.socket / "pg_hba.conf"
        rules.write_text(f"local all app scram-sha-256\nlocal all outsider reject\n{rules.read_text()}")
        postgres.psql("SELECT pg_reload_conf()")
        yield Loopback(postgres, forwarder.port, database)


def refusal(url: str, *words: str, cwd: Path) -> str:
    """The message of a command about an unusable database."""
    done = command(*(words or ("keys", "list")), cwd=cwd, env={"AUTHZ_DATABASE_URL": url})
    assert done.returncode == 1, done.stdout + done.stderr
    assert "hunter2" not in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


REFUSALS = {
    "unknown role": ("stranger", "", "", 'the role "stranger" does not exist: create it'),
    "wrong password": ("app:hunter2-wrong", "", "", 'the password of the role "app" is wrong'),
    "no password": ("app", "", "", 'the role "app" needs a password and AUTHZ_DATABASE_URL gives none'),
    "no entry": ("outsider", "", "", 'the server does not let the role "outsider" in'),
    "unknown database": ("postgres", "missing", "", 'the database "missing" does not exist: create it'),
    "no rights": ("powerless", "", "", "permission denied for table alembic_version"),
    "too many": ("limited", "", "", 'too many connections for role "limited"'),
    "no TLS": ("postgres", "", "?sslmode=require", "does not offer TLS"),
    "no TLS to verify": ("postgres", "", "?sslmode=verify-full&sslrootcert=system", "does not offer TLS"),
    "an option": ("postgres", "", "?options=-cno_such_setting%3D1", "no_such_setting"),
    "primary": ("postgres", "", "?target_session_attrs=standby", "target_session_attrs is one of any, primary"),
    "unknown parameter": ("postgres", "", "?sslmod=require", "sslmod is not supported; did you mean sslmode?"),
    "root certificate": ("postgres", "", "?sslrootcert=missing.pem", "missing.pem cannot be read: No such file"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_each_reason_is_one_line(case: str, loopback: Loopback, tmp_path: Path) -> None:
    login, database, query, expected = REFUSALS[case]
    assert expected in refusal(loopback.url(login, database, query), cwd=tmp_path)


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("no-such-host.invalid", "the host of no-such-host.invalid:5432 is not known"),
        ("127.0.0.1:1", "nothing listens at 127.0.0.1:1 (connection refused): start PostgreSQL"),
        ("%2Fno%2Fsocket", "nothing listens at /no/socket (no such socket)"),
        ("127.0.0.1:1,127.0.0.1:2", "nothing listens at 127.0.0.1:1, 127.0.0.1:2"),
        ("[::1]:1", "::1:1"),
    ],
)
def test_an_unknown_host_is_named(place: str, expected: str, tmp_path: Path) -> None:
    assert expected in refusal(f"postgresql://u:hunter2@{place}/d", cwd=tmp_path)


def test_a_silent_host_times_out(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        said = refusal(f"postgresql://u:hunter2@127.0.0.1:{port}/d?connect_timeout=1", cwd=tmp_path)
    assert "did not answer within 1 s" in said


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b""])
@pytest.mark.parametrize("query", ["", "?sslmode=prefer"])
def test_another_protocol_is_not_reported_as_missing_tls(answer: bytes, query: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(8)
        writer.write(answer)
        writer.close()

    async def ask() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            await schema_fault(f"postgresql://u:hunter2@127.0.0.1:{port}/d{query}")

    with pytest.raises(
        DatabaseUnavailable, match=r"127\.0\.0\.1:[0-9]+ gives no valid answer, so it is not a PostgreSQL"
    ):
        asyncio.run(ask())


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_reports_it_in_one_line(words: tuple[str, ...], loopback: Loopback, tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    assert "does not exist: create it" in refusal(loopback.url("stranger"), *words, cwd=tmp_path)


def test_missing_privileges_are_reported_in_one_line(loopback: Loopback, tmp_path: Path) -> None:
    said = refusal(loopback.url("powerless", "empty"), "db", "upgrade", cwd=tmp_path)
    assert "permission denied for schema public" in said
    said = refusal(
        loopback.url("postgres", "empty", "?options=-csearch_path%3Dno_schema"), "db", "upgrade", cwd=tmp_path
    )
    assert "create it with CREATE SCHEMA" in said


def test_a_read_only_server_is_reported(loopback: Loopback, tmp_path: Path) -> None:
    url = loopback.url(query="?options=-cdefault_transaction_read_only%3Don")
    assert "read-only" in refusal(url, "keys", "revoke", "1", cwd=tmp_path)
    assert command("keys", "list", cwd=tmp_path, env={"AUTHZ_DATABASE_URL": url}).returncode == 0


ACCEPTED = [
    "",
    "?sslmode=disable",
    "?sslmode=allow",
    "?sslmode=prefer",
    "?application_name=billing%20service",
    "?connect_timeout=10",
    "?options=-csearch_path%3Dauthz",
    "?options=-c%20search_path%3Dauthz%20-c%20statement_timeout%3D5s",
    "?target_session_attrs=read-write",
    "?target_session_attrs=primary",
    "?pgbouncer=true",
    "?statement_cache_size=0",
    "?prepared_statement_cache_size=0&application_name=x",
    "?sslmode=prefer&channel_binding=prefer&gssencmode=disable&client_encoding=utf8",
]


@pytest.mark.parametrize("query", ACCEPTED)
def test_the_parameters_that_providers_print_work(query: str, loopback: Loopback, tmp_path: Path) -> None:
    env = {"AUTHZ_DATABASE_URL": loopback.url(f"postgres:{PASSWORD}", query=query)}
    done = command("db", "upgrade", cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr


def test_options_choose_the_schema(loopback: Loopback) -> None:
    loopback.postgres.psql("CREATE DATABASE own_schema TEMPLATE template0")
    loopback.postgres.psql("CREATE SCHEMA authz", database="own_schema")
    asyncio.run(upgrade(loopback.url(database="own_schema", query="?options=-csearch_path%3Dauthz")))
    where = "SELECT schemaname FROM pg_tables WHERE tablename = 'api_keys'"
    assert loopback.postgres.psql(where, database="own_schema") == "authz"


@pytest.mark.parametrize("places", ["127.0.0.1:1,127.0.0.1:{port}", "?host=127.0.0.1,127.0.0.1&port=1,{port}"])
def test_of_several_hosts_the_first_that_answers_is_used(places: str, loopback: Loopback, tmp_path: Path) -> None:
    place, _, query = places.format(port=loopback.port).partition("?")
    url = f"postgresql+asyncpg://postgres@{place}/{loopback.database}{'?' + query if query else ''}"
    assert command("keys", "list", cwd=tmp_path, env={"AUTHZ_DATABASE_URL": url}).returncode == 0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def over_tls(loopback: Loopback, certificate: Certificate) -> Iterator[Pooler]:
    url = f"postgresql://postgres@/{loopback.database}?host={loopback.postgres.socket}"
    with Pooler(url, certificate=certificate, password="hunter2") as pooler:
        yield pooler


TLS = {
    "require": ("?sslmode=require", None),
    "by default": ("", None),
    "verify-ca": ("?sslmode=verify-ca&sslrootcert=CERTIFICATE", None),
    "verify-full": ("?sslmode=verify-full&sslrootcert=CERTIFICATE&channel_binding=require", None),
    "channel binding": (
        "?sslmode=require&channel_binding=require",
        "the certificate of 127.0.0.1:PORT is not verified",
    ),
    "the system's": ("?sslrootcert=system", "the certificate of 127.0.0.1:PORT is not verified"),
    "another root": ("?sslmode=require&sslrootcert=OTHER", "the certificate of 127.0.0.1:PORT is not verified"),
    "no root": ("?sslmode=verify-full", "add sslrootcert=FILE or sslrootcert=system"),
    "no TLS": ("?sslmode=disable", "SSL required"),
}


@pytest.mark.parametrize("case", TLS)
def test_tls_modes_are_those_of_libpq(
    case: str, over_tls: Pooler, certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    query, expected = TLS[case]
    other = make(tmp_path).certificate
    query = query.replace("CERTIFICATE", str(certificate.certificate)).replace("OTHER", str(other))
    env = {"AUTHZ_DATABASE_URL": over_tls.url + query, "HOME": str(tmp_path)}
    if expected is None:
        done = command("keys", "list", cwd=tmp_path, env=env)
        assert done.returncode == 0, done.stderr
    else:
        assert expected.replace("PORT", str(over_tls.port)) in refusal(over_tls.url + query, cwd=tmp_path)


@pytest.mark.parametrize("query", ["?sslrootcert=system", "?sslmode=require&channel_binding=require"])
def test_the_authorities_of_the_machine_are_trusted(
    query: str, over_tls: Pooler, certificate: Certificate, tmp_path: Path
) -> None:
    env = {"AUTHZ_DATABASE_URL": over_tls.url + query, "SSL_CERT_FILE": str(certificate.certificate)}
    assert command("keys", "list", cwd=tmp_path, env=env).returncode == 0
    wrong_host = over_tls.url.replace("127.0.0.1", "localhost") + query
    done = command("keys", "list", cwd=tmp_path, env=env | {"AUTHZ_DATABASE_URL": wrong_host})
    assert "is not verified (Hostname mismatch" in done.stderr


def test_a_client_certificate_is_sent(loopback: Loopback, certificate: Certificate, tmp_path: Path) -> None:
    url = f"postgresql://postgres@/{loopback.database}?host={loopback.postgres.socket}"
    own = make(tmp_path, "client")
    with Pooler(url, certificate=certificate, authority=own.certificate) as pooler:
        said = refusal(pooler.url + "?sslmode=require", cwd=tmp_path)
        assert f"127.0.0.1:{pooler.port}" in said
        client = f"sslcert={own.certificate}&sslkey={own.key}"
        for query in (f"?sslmode=require&{client}", f"?sslrootcert=system&{client}"):
            env = {"AUTHZ_DATABASE_URL": pooler.url + query, "SSL_CERT_FILE": str(certificate.certificate)}
            done = command("keys", "list", cwd=tmp_path, env=env)
            assert done.returncode == 0, done.stderr


def test_a_refusal_of_the_pooler_is_reported(over_tls: Pooler, tmp_path: Path) -> None:
    wrong = over_tls.url.replace("hunter2", "hunter2-wrong")
    assert "the password of the role" in refusal(wrong, cwd=tmp_path)
    stranger = over_tls.url.replace("postgres:", "stranger:")
    assert "stranger" in refusal(stranger, cwd=tmp_path)
    missing = over_tls.url.rpartition("/")[0] + "/missing"
    assert "does not exist" in refusal(missing, cwd=tmp_path)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_without_a_database_does_not_start(
    workers: str, loopback: Loopback, issuer: LiveIssuer, tmp_path: Path
) -> None:
    server = Server(
        tmp_path,
        jwks_url=issuer.jwks_url,
        issuer=issuer.url,
        command=(str(AUTHZ), "serve", "--port", str(free_port()), "--workers", workers),
        database_url=loopback.url("app:hunter2-wrong"),
    )
    with pytest.raises(RuntimeError):
        server.start()
    assert server.process
    assert server.process.poll() == 1
    said = [line for line in server.lines if line]
    assert len(said) == 1, said
    assert said[0].startswith('authz: the database cannot be used: the password of the role "app" is wrong')
