"""Addresses of PostgreSQL as providers print them, read as libpq does."""

from __future__ import annotations

import pytest

from app.db.address import PostgresAddress, address_of
from app.db.engine import open_engine
from app.db.errors import UnusableDatabase


def read(url: str) -> PostgresAddress:
    address = address_of(url)
    assert isinstance(address, PostgresAddress)
    return address


HEROKU = "postgres://u1:p1@ec2-1-2-3-4.compute-1.amazonaws.com:5432/d1?sslmode=require"
RDS = "postgresql://app:p1@db.abc.eu-west-1.rds.amazonaws.com/authz?sslmode=verify-full&sslrootcert=system"
NEON = "postgresql://o:p1@ep-a-b-1-pooler.eu-central-1.aws.neon.tech/neondb?sslmode=require&channel_binding=require"
SUPABASE = "postgres://postgres.abc:p1@aws-0-eu-central-1.pooler.supabase.com:6543/postgres?pgbouncer=true"


def test_addresses_of_providers_are_read() -> None:
    heroku, rds, neon, supabase = map(read, (HEROKU, RDS, NEON, SUPABASE))
    assert heroku.hosts == (("ec2-1-2-3-4.compute-1.amazonaws.com", 5432),)
    assert (heroku.user, heroku.password, heroku.database) == ("u1", "p1", "d1")
    assert (heroku.dsn, heroku.verified, heroku.pooled) == ("postgresql://?sslmode=require", False, None)
    assert (rds.verified, rds.dsn) == (True, "postgresql://")
    # The certificate protects against an intermediary, since the driver has no channel binding.
    assert neon.verified
    assert (supabase.hosts[0][1], supabase.user, supabase.pooled) == (6543, "postgres.abc", True)


@pytest.mark.parametrize(
    ("places", "hosts"),
    [
        ("h", [("h", 5432)]),
        ("h:1", [("h", 1)]),
        ("a,b:2,c", [("a", 5432), ("b", 2), ("c", 5432)]),
        ("[::1]:7", [("::1", 7)]),
        ("[fe80::1]", [("fe80::1", 5432)]),
        ("[::1]:1,10.0.0.1:2", [("::1", 1), ("10.0.0.1", 2)]),
        ("%2Fvar%2Frun%2Fpostgresql", [("/var/run/postgresql", 5432)]),
        ("%2Ftmp:5433", [("/tmp", 5433)]),
        ("", []),
    ],
)
def test_hosts_and_ports(places: str, hosts: list[tuple[str, int]]) -> None:
    assert list(read(f"postgresql://u@{places}/d").hosts) == hosts


@pytest.mark.parametrize(
    ("query", "hosts"),
    [
        ("host=/var/run/postgresql", [("/var/run/postgresql", 5432)]),
        ("host=%2Fvar%2Frun&port=5433", [("/var/run", 5433)]),
        ("host=a,b&port=1,2", [("a", 1), ("b", 2)]),
        ("host=a,b&port=7", [("a", 7), ("b", 7)]),
        ("host=a:1&host=b:2", [("a", 1), ("b", 2)]),
        ("port=7", [("localhost", 7)]),
    ],
)
def test_hosts_among_the_parameters(query: str, hosts: list[tuple[str, int]]) -> None:
    assert list(read(f"postgresql:///d?{query}").hosts) == hosts


def test_user_password_and_database_are_decoded() -> None:
    address = read("postgresql+asyncpg://a%40b:p%3A%2F%3F%23%40%25%20%5B+@h/d%2Fe")
    assert (address.user, address.password, address.database) == ("a@b", "p:/?#@% [+", "d/e")
    named = read("postgresql://h?user=u&password=p%26q&dbname=d")
    assert (named.user, named.password, named.database) == ("u", "p&q", "d")
    assert "p%26q" not in repr(named)
    assert "p&q" not in repr(named)


@pytest.mark.parametrize(
    ("given", "settings", "startup"),
    [
        ("-csearch_path%3Dauthz", {"search_path": "authz"}, ""),
        ("-c%20search_path%3Da,b%20-c%20work_mem%3D8MB", {"search_path": "a,b", "work_mem": "8MB"}, ""),
        ("--search-path%3Dauthz", {"search_path": "authz"}, ""),
        ("-c%20search_path%3Da%5C%20b", {"search_path": "a b"}, ""),
        ("endpoint%3Dep-cool-1", {}, "endpoint=ep-cool-1"),
        ("endpoint%3Dep-1%20-cTimeZone%3DUTC", {"timezone": "UTC"}, "endpoint=ep-1"),
        ("", {}, ""),
    ],
)
def test_options(given: str, settings: dict[str, str], startup: str) -> None:
    options = read(f"postgresql://u@h/d?options={given}").options
    assert (options.settings, options.startup) == (settings, startup)


def test_other_parameters() -> None:
    address = read(
        "postgresql://u@h/d?application_name=a%20b&connect_timeout=7&target_session_attrs=primary"
        "&statement_cache_size=0&keepalives=1&passfile=/p&sslmode=disable".replace("&keepalives=1", "")
    )
    assert (address.application_name, address.connect_seconds, address.target) == ("a b", 7.0, "primary")
    assert address.caches is False
    assert address.dsn == "postgresql://?passfile=%2Fp&sslmode=disable"
    assert read("postgresql://u@h/d?connect_timeout=0").connect_seconds == 2.0
    assert read("postgresql://u@h/d?pgbouncer=false").pooled is None
    assert read("postgresql://u@h/d?sslmode=disable&sslmode=require").dsn == "postgresql://?sslmode=require"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("u:hunter2@h/d?sslmod=require", "sslmod is not supported; did you mean sslmode?"),
        ("u:hunter2@h/d?aplication_name=x", "did you mean application_name?"),
        ("u:hunter2@h/d?connection_limit=1", "the parameter connection_limit is not supported"),
        ("u:hunter2@h/d?SSLMODE=require", "SSLMODE is not supported"),
        ("u:hunter2@h/d?sslmode=on", "sslmode is one of disable, allow, prefer, require, verify-ca, verify-full"),
        ("u:hunter2@h/d?sslmode", "a parameter is not of the form name=value"),
        ("u:hunter2@h/d?&sslmode=require", "a parameter is not of the form name=value"),
        ("u:hunter2@h/d?target_session_attrs=standby", "any, primary, read-write: griddy-authz writes"),
        ("u:hunter2@h/d?channel_binding=yes", "channel_binding is one of disable, prefer, require"),
        ("u:hunter2@h/d?channel_binding=require&sslmode=prefer", "channel_binding=require needs TLS"),
        ("u:hunter2@h/d?sslrootcert=system&sslmode=require", "requires sslmode=verify-full"),
        ("u:hunter2@h/d?sslrootcert=/no/file.pem", "the file /no/file.pem cannot be read: No such file"),
        ("u:hunter2@h/d?connect_timeout=soon", "connect_timeout is a whole number"),
        ("u:hunter2@h/d?pgbouncer=maybe", "pgbouncer is true or false"),
        ("u:hunter2@h/d?options=-d%205", "options: write -c name=value"),
        ("u:hunter2@h/d?options=-c", "options: write -c name=value"),
        ("u:hunter2@h/d?options=-c%20a%27b%3Dc", "options: write -c name=value"),
        ("u:hunter2@h/d?gssencmode=require", "gssencmode may only be disable or prefer"),
        ("u:hunter2@h/d?host=a,b&port=1,2,3", "3 ports for"),
        ("u:hunter2@h:0/d", "a port is a number from 1 to 65535"),
        ("u:hunter2@h:99999/d", "a port is a number from 1 to 65535"),
        ("u:hunter2@a b/d", "a host is written"),
        ("u:hunter2@h,,i/d", "a host is written"),
        ("u:hunter2@hunter2@h/d", "percent-encoding"),
        ("u:pa/hunter2@h/d", "percent-encoding"),
        ("u:12/hunter2@h/d", "percent-encoding"),
        ("u:pa?hunter2=x@h/d", "percent-encoding"),
        ("u:pa#hunter2@h/d", "percent-encoding"),
        ("u:pa%hunter2@h/d", "write %25 for %"),
        ("u:hunter2%00@h/d", "a control character"),
        ("u:hunter2@h/d?application_name=%00", "a control character"),
        ("u:[hunter2@h/d", "cannot be read"),
    ],
)
def test_an_unusable_part_is_named_without_the_password(address: str, said: str) -> None:
    with pytest.raises(UnusableDatabase) as refused:
        open_engine(f"postgresql://{address}")
    assert said in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.__cause__ is None
