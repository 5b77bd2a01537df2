"""Each setting accepts equivalent values, and refuses an invalid one with a line that names it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.cores import available_cores
from app.settings import Settings, SettingsError, load
from tests.settings.test_variables import REQUIRED

LONG = "a-secret-that-is-long-enough-for-a-gateway"
PASSWORD = "correct-horse"
NUMBERS = ("", "x", "1 0", "nan", "-1", "1e400", "ten", "5_0", "1_0.5", "\uff15\uff10", "\u0666\u0660")
EVERY_HOST = (
    *("0.0.0.0/0", "::/0", "10.0.0.0/8,0.0.0.0/0", "0.0.0.0/1,128.0.0.0/1", "::/1,8000::/1", "::ffff:0:0/96"),
    *("fe80::1%eth0", "fe80::%1/64"),
)
WRONG: dict[str, tuple[str, ...]] = {
    "database_url": ("", " \n"),
    "policy_dir": ("", " "),
    "routes": ("", " ", "a b", "'my_api:ROUTES'"),
    "api_title": ("", " ", "x" * 101, "a\nb", "a\x1b[31mb", "a\u202eb"),
    "key_prefix": (
        *("", " ", ",", "a", "grd_", "Grd", "GRD", "1grd", "a-b", "a.b", "a b", "é1", "x" * 13, "acme,Grd", "acme,,1"),
        *("sk", "grd,pk", "'acme'", '["acme"]', "a1,a2,a3,a4,a5,a6", "acme\ngrd", "\uff47rd"),
    ),
    "sample_api": ("", "maybe", "2"),
    "host": ("", "0.0.0.0:8000", "localhost:80", "[::1]:80", ":8000", "http://0.0.0.0", "0.0.0.0/0", "1.2.3", "a b"),
    "port": (*NUMBERS, "65536", "8000.5", "http", "tcp://10.0.0.1"),
    "server": ("", "gunicorn"),
    "organizations": ("", "auth0", "clerk,auth0"),
    "workers": (*NUMBERS, "0", "65", "1.5", "all"),
    "worker_timeout_seconds": (*NUMBERS, "4", "3601"),
    "drain_seconds": (*NUMBERS, "301"),
    "jwks_url": (
        "",
        "issuer.example/jwks",
        "ftp://issuer.example",
        "https://",
        "https://a b/",
        '"https://a.example"',
        *(
            "http://issuer.example/jwks",
            "http://10.0.0.1/",
            "http://127.0.0.1@issuer.example/",
            "https://u:p@issuer.example/",
        ),
    ),
    "issuer": ("", "https://issuer.example extra", '"https://issuer.example"', "https://issuer.example\tx"),
    "audience": ("", " ", ",", "griddy\napi", "'griddy'", '["griddy"]', "griddy,another one"),
    "clock_skew_seconds": (*NUMBERS, "301", "0.5"),
    "max_token_bytes": (*NUMBERS, "0", "1023", "65537"),
    "authorized_parties": (
        "",
        ",",
        "app.griddy.example",
        "localhost:3000",
        "127.0.0.1",
        "https://app.griddy.example/path",
        "https://app.griddy.example?x=1",
        "https:/app.griddy.example",
        "htps://app.griddy.example",
        '["https://app.griddy.example"]',
        '"https://app.griddy.example"',
        "https://a.example https://b.example",
        "https://*.griddy.example",
        f"https://user:{PASSWORD}@app.griddy.example",
        "https://app.griddy.example,other.griddy.example",
        "https://münchen.example",
        "https://app.griddy.example:99999",
    ),
    "key_environments": ("", ",", "prod", "live;test"),
    "allowed_origins": (
        "app.example.com",
        "https://app.example.com/x",
        '["https://app.example.com"]',
        "https://app*.example.com",
        "https://*",
        "null",
        "https://app.example.com;https://b.example.com",
    ),
    "public_url": ("", "http://authz.example.com", "https://authz.example.com/x", "authz.example.com", "https://"),
    "gateway_secrets": ("short", f"{LONG},short", f"{LONG} {LONG}", "x" * 257, f"{PASSWORD}ü{LONG}"),
    "gateway_networks": ("10.0.7.1/24", "10.0.7", "10.0.0.0/33", "localhost", "0", '["10.0.0.0/8"]', *EVERY_HOST),
    "trusted_proxies": (
        "10.0.7.1/24",
        "balancer",
        "none, 10.0.0.0/8",
        "10.0.0.0/8;fd00::/8",
        "*",
        ",",
        '["10.0.0.0/8"]',
        *EVERY_HOST,
    ),
    "access_log": ("", "maybe", "2"),
    "app_registration": ("", "maybe", "2"),
    "delegated": ("", "maybe", "2"),
    "own_clients": ("", ",", "web app"),
    "log_level": ("", "trace", "verbose"),
    "log_format": ("", "text"),
    "database_timeout_seconds": (*NUMBERS, "0", "3601"),
    "disk_reserve_mb": (*NUMBERS, "-1", "1000001", "1.5"),
    "database_pool_size": (*NUMBERS, "0", "1001", "1.5"),
    "database_pool_wait_seconds": (*NUMBERS, "0", "301"),
    "key_cache_seconds": (*NUMBERS, "61"),
    "bad_credentials_per_minute": ("-1", "1000001", "many", "1.5"),
    "connections_per_peer": ("-1", "1000001", "many", "1.5"),
    "key_issues_per_minute": ("-1", "1000001", "many", "1.5"),
    "key_cache_size": (*NUMBERS, "0", "1.5"),
    "key_max_active": (*NUMBERS, "0", "1000001", "1.5"),
    "key_max_days": (*NUMBERS, "0", "36501", "1.5"),
    "jwks_max_stale_seconds": (*NUMBERS, "inf"),
    "policy_max_stale_seconds": (*NUMBERS, "1", "inf"),
    "console_client_id": ("", "two words"),
    "console_client_secret": ("", " "),
    "console_url": ("", "http://authz.example.com"),
    "console_session_seconds": (*NUMBERS, "59", "86401"),
    "otlp_endpoint": ("", "collector:4318", "http:///x", "http://collector:x"),
    "trace_sample": (*NUMBERS, "1.1"),
    "decision_log_sample": (*NUMBERS, "1.1"),
    "decision_log_retention_days": (*NUMBERS, "36501"),
    **dict.fromkeys(
        ("siem_otlp_url", "siem_cloudevents_url"),
        (
            *("", "collector:4318", "http://collector:4318/v1/logs", "https://", "ftp://collector.example/"),
            *("https://u:p@collector.example/", "https://collector.example/#x", "https://a b/"),
        ),
    ),
    **dict.fromkeys(
        ("siem_otlp_header", "siem_cloudevents_header"),
        (
            *("", "Bearer x", "Authorization:", "Authorization: ", ": x", "A b: x", "X-T\u00f6ken: x", "X: \u00fc"),
            *("X: a\tb", "Content-Type: text/plain", "host: evil.example", "TRANSFER-ENCODING: chunked"),
        ),
    ),
    "decision_log_max_bytes": (*NUMBERS, "1", "999999", "1e9"),
    "decision_log_seal_seconds": (*NUMBERS, "0.9", "3601"),
    "decision_log_signing_key_file": ("", " ", "missing.pem", "/", PASSWORD, "/dev/null"),
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    monkeypatch.chdir(tmp_path)
    for name, value in {**REQUIRED, "AUTHZ_PUBLIC_URL": "https://authz.example.com"}.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def refused(environment: pytest.MonkeyPatch, name: str, value: str) -> str:
    with environment.context() as context:
        context.setenv(f"AUTHZ_{name.upper()}", value)
        with pytest.raises(SettingsError) as error:
            load()
    return str(error.value)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_each_invalid_value_is_one_line_that_names_the_setting(name: str, environment: pytest.MonkeyPatch) -> None:
    for value in WRONG[name]:
        line = refused(environment, name, value)
        assert line.startswith(f"AUTHZ_{name.upper()}: "), value
        assert line.isprintable()
        assert "items" not in line
        assert "Input should" not in line
        assert PASSWORD not in line


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("host", "0.0.0.0:8000", "has a port; write 0.0.0.0 here, and the port 8000 in AUTHZ_PORT (--port)"),
        ("gateway_secrets", f"{LONG},short", "entry 2: write at least 32 characters"),
        ("gateway_networks", "10.0.7.1/24", "write the network as 10.0.7.0/24"),
        ("authorized_parties", "App.Griddy.example/", "write it as https://app.griddy.example, or as client:"),
        ("authorized_parties", "https://app.griddy.example/x", "write it as https://app.griddy.example"),
        ("authorized_parties", "htps://app.griddy.example", "did you mean https?"),
        ("authorized_parties", '["a"]', "write a list separated by commas, without brackets and quotes"),
        ("allowed_origins", "https://münchen.example", "xn--mnchen-3ya.example"),
        ("log_level", "trace", "write 'debug', 'info', 'warning' or 'error'"),
        ("jwks_url", f"https://user:{PASSWORD}@issuer.example/jwks", "has a user or password in it"),
        ("jwks_url", "https://issuer.example/j\\wks", "percent-encoding"),
        ("jwks_url", "http://issuer.example/jwks", "write an https:// address"),
        ("trusted_proxies", "0.0.0.0/0", "write your own networks alone, such as 10.0.7.0/24"),
        ("gateway_networks", "::/0", "write your own networks alone, such as 10.0.7.0/24"),
        ("trusted_proxies", "fe80::1%eth0", "has a zone"),
        ("clock_skew_seconds", "5_0", "write a number in plain digits"),
        ("workers", "65", "write at most 64"),
        ("audience", "", "is empty"),
        ("siem_otlp_url", "http://collector:4318/v1/logs", "write an https:// address"),
        ("siem_otlp_url", f"https://user:{PASSWORD}@collector.example/", "has a user or password in it"),
        ("siem_otlp_header", f"Bearer {PASSWORD}", "write a header, such as"),
        ("siem_otlp_header", "Authorization: Bearer x", "_URL: not set, but AUTHZ_SIEM_OTLP_HEADER is"),
    ],
)
def test_a_refusal_states_a_valid_value(name: str, value: str, said: str, environment: pytest.MonkeyPatch) -> None:
    assert said in refused(environment, name, value)


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("issuer", " https://issuer.example/ \r\n", "https://issuer.example/"),
        ("audience", "griddy\n", ("griddy",)),
        ("audience", " griddy , other,griddy,", ("griddy", "other")),
        ("jwks_url", "http://127.0.0.1:8001/jwks.json", "http://127.0.0.1:8001/jwks.json"),
        ("jwks_url", "\thttps://issuer.example/jwks.json\n", "https://issuer.example/jwks.json"),
        ("console_client_id", "console\n", "console"),
        ("authorized_parties", "HTTPS://App.Griddy.Example:443/", ("https://app.griddy.example",)),
        (
            "authorized_parties",
            "http://localhost:3000/ , https://[::1]:443",
            ("http://localhost:3000", "https://[::1]"),
        ),
        ("authorized_parties", "griddy-web,0oa1B2c3,urn:griddy:web", ("griddy-web", "0oa1B2c3", "urn:griddy:web")),
        ("authorized_parties", "12-ab.apps.googleusercontent.com", ("12-ab.apps.googleusercontent.com",)),
        ("authorized_parties", "client:com.griddy.web", ("com.griddy.web",)),
        ("allowed_origins", "http://App.example.com:80/", ("http://app.example.com",)),
        ("allowed_origins", "https://a.example,https://A.example/", ("https://a.example",)),
        ("allowed_origins", "*", ("*",)),
        ("allowed_origins", "https://*.Example.com/", ("https://*.example.com",)),
        ("allowed_origins", "capacitor://localhost", ("capacitor://localhost",)),
        ("allowed_origins", "", ()),
        ("gateway_secrets", "", ()),
        ("public_url", "HTTPS://Authz.example.com:443/", "https://authz.example.com"),
        ("console_url", "http://LOCALHOST:8000/", "http://localhost:8000"),
        ("host", "[::1]", "::1"),
        ("host", "authz.internal", "authz.internal"),
        ("log_level", "INFO", "info"),
        ("log_level", "warn", "warning"),
        ("log_level", "WARN", "warning"),
        ("log_format", "JSON", "json"),
        ("server", "Granian", "granian"),
        ("key_environments", "LIVE, live", ("live",)),
        ("access_log", "off", False),
        ("workers", "auto", min(available_cores(), 64)),
        ("workers", "Auto\n", min(available_cores(), 64)),
        ("siem_otlp_url", "HTTP://127.0.0.1:4318/v1/logs\n", "http://127.0.0.1:4318/v1/logs"),
        ("siem_cloudevents_url", "https://events.example/in?key=x%20y", "https://events.example/in?key=x%20y"),
    ],
)
def test_equivalent_values_are_accepted(name: str, value: str, meant: Any, environment: pytest.MonkeyPatch) -> None:
    environment.setenv(f"AUTHZ_{name.upper()}", value)
    assert getattr(load(), name) == meant


def test_each_invalid_setting_has_a_line_and_an_argument_is_named_as_an_option(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("AUTHZ_ISSUER", "")
    environment.setenv("AUTHZ_WORKERS", "none")
    with pytest.raises(SettingsError) as error:
        load(host="0.0.0.0:80", drain_seconds=-1)
    assert [line.partition(": ")[0] for line in str(error.value).splitlines()] == [
        "--host",
        "AUTHZ_WORKERS",
        "--drain-seconds",
        "AUTHZ_ISSUER",
    ]


@pytest.mark.parametrize(
    ("quotas", "cores"),
    [
        ({}, None),
        ({"": "max 100000"}, None),
        ({"": "50000 100000"}, 1),
        ({"a/b": "max 100000", "a": "100000 100000"}, 1),
    ],
)
def test_a_control_group_limits_the_cores(quotas: dict[str, str], cores: int | None, tmp_path: Path) -> None:
    for group, text in quotas.items():
        (tmp_path / group).mkdir(parents=True, exist_ok=True)
        (tmp_path / group / "cpu.max").write_text(f"{text}\n")
    membership = tmp_path / "membership"
    membership.write_text("1:cpu:/x\n0::/a/b\n")
    unlimited = available_cores(tmp_path / "none", membership)
    assert available_cores(tmp_path, membership) == (cores or unlimited)
