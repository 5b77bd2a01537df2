"""`authz init`: a policy for a service, which is sound from the start."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.cli import init
from app.policy.analysis.starter import READING, starter_files
from app.policy.language.cases import MAX_CASES
from app.policy.language.yaml_document import MAX_CHARACTERS
from app.policy.routing.routes import Route, RouteTable
from tests.cli.command import command
from tests.support.server import ROOT

ORDERS: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Orders", "version": "1"},
    "servers": [{"url": "https://orders.example.com/v1"}],
    "paths": {
        "/orders": {"get": {"responses": {}}, "post": {"responses": {}}},
        "/orders/{id}": {"get": {"responses": {}}, "delete": {"responses": {}}},
        "/orders/archive/{year}": {"get": {"responses": {}}},
        "/stock/{id}.json": {"get": {"responses": {}}, "options": {"responses": {}}},
        "/{tenant}": {"patch": {"responses": {}}},
    },
}
SAMPLE = ("catalog:", "holdings", "football", "teams", "league", "griddy")
HANDLERS = {"AUTHZ_ROUTES": "tests.apps.own_api:ROUTES"}


def variables(file: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in file.read_text().splitlines())


@pytest.fixture
def document(tmp_path: Path) -> Path:
    file = tmp_path / "orders.yaml"
    file.write_text(yaml.safe_dump(ORDERS))
    return file


def test_the_policy_of_a_service_behind_a_gateway_is_sound(tmp_path: Path, document: Path) -> None:
    done = command("init", "mine", "--openapi", str(document), "--name", "orders", cwd=tmp_path, env={})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "mine" / "orders.csv").read_text().splitlines()[3:] == [
        "p, orders:read, orders:/v1/**, GET|OPTIONS, allow",
        "p, orders:write, orders:/v1/**, POST|PATCH|DELETE, allow",
        "# end",
    ]
    env = variables(tmp_path / "mine.env")
    checked = command("policy", "check", "mine", "--json", cwd=tmp_path, env=env)
    assert json.loads(checked.stdout)["faults"] == []
    cases = command("policy", "test", "mine", "--json", cwd=tmp_path, env=env)
    assert cases.returncode == 0, cases.stdout
    assert json.loads(cases.stdout)["passed"] == 40
    asked = ("--as", "auth:jwt", "GET", "orders:/v1/orders/7")
    explained = command("policy", "explain", *asked, cwd=tmp_path, env=env)
    assert "Missing `orders:read`" in explained.stdout


def test_its_rows_are_by_the_first_segments_of_paths(tmp_path: Path) -> None:
    file = tmp_path / "orders.json"
    file.write_text(json.dumps({**ORDERS, "paths": {k: v for k, v in ORDERS["paths"].items() if k != "/{tenant}"}}))
    assert command("init", "mine", "--openapi", str(file), "--name", "shop-2", cwd=tmp_path, env={}).returncode == 0
    assert (tmp_path / "mine" / "shop-2.csv").read_text().splitlines()[3:-1] == [
        "p, shop-2:read, shop-2:/v1/orders/**, GET, allow",
        "p, shop-2:write, shop-2:/v1/orders/**, POST|DELETE, allow",
        "",
        "p, shop-2:read, shop-2:/v1/stock/**, GET|OPTIONS, allow",
    ]


ROOTS = {"/": ("get", "head"), "/{tenant}/orders/all": ("get", "patch"), "/{a},{b}": ("get",), "/stock/{id}": ("get",)}


@pytest.mark.parametrize(
    ("paths", "rows", "permissions"),
    [
        (
            ROOTS,
            [
                "p, orders:read, orders:/, GET|HEAD, allow",
                "p, orders:read, orders:/stock/**, GET, allow",
                "p, orders:read, orders:/{a}%2C{b}, GET, allow",
                "p, orders:read, orders:/{tenant}/orders/all, GET, allow",
                "p, orders:write, orders:/{tenant}/orders/all, PATCH, allow",
            ],
            {"orders:read", "orders:write"},
        ),
        ({"/a,b/c": ("get",)}, ["p, orders:read, orders:/a%2Cb/c/**, GET, allow"], {"orders:read"}),
        ({"/jobs": ("post",)}, ["p, orders:write, orders:/jobs/**, POST, allow"], {"orders:write"}),
        ({"/only": ("options",)}, ["p, orders:read, orders:/only/**, OPTIONS, allow"], {"orders:read"}),
    ],
)
def test_what_init_writes_passes_the_strict_check(
    tmp_path: Path, paths: dict[str, tuple[str, ...]], rows: list[str], permissions: set[str]
) -> None:
    operations: dict[str, Any] = {
        path: {each: {"responses": {}} for each in methods} for path, methods in paths.items()
    }
    (tmp_path / "o.json").write_text(json.dumps({**ORDERS, "servers": [{"url": "/"}], "paths": operations}))
    done = command("init", "mine", "--openapi", "o.json", "--name", "orders", cwd=tmp_path, env={})
    assert done.returncode == 0, done.stderr
    assert [line for line in (tmp_path / "mine" / "orders.csv").read_text().splitlines() if line[:2] == "p,"] == rows
    written = tomllib.loads((tmp_path / "mine" / "permissions.toml").read_text())
    assert {name for name in written if name.startswith("orders:")} == permissions
    env = variables(tmp_path / "mine.env")
    for words in (("check", "--strict"), ("test",)):
        done = command("policy", *words, "mine", cwd=tmp_path, env=env)
        assert done.returncode == 0, done.stdout


def test_nothing_of_the_sample_api_is_in_it(tmp_path: Path, document: Path) -> None:
    command("init", "mine", "--openapi", str(document), "--name", "orders", cwd=tmp_path, env={})
    files = [file for file in (tmp_path / "mine").rglob("*") if file.is_file()]
    assert len(files) > 15
    for file in files:
        text = file.read_text().lower()
        assert not [word for word in SAMPLE if word in text], file
    permissions = tomllib.loads((tmp_path / "mine" / "permissions.toml").read_text())
    shipped = tomllib.loads((ROOT / "policies" / "permissions.toml").read_text())
    sample = {name for name in shipped if name.startswith(("catalog:", "holdings:"))}
    assert permissions.keys() == {"orders:read", "orders:write"} | (shipped.keys() - sample)


def test_a_shell_reads_the_settings_whatever_the_directory_is_called(tmp_path: Path, document: Path) -> None:
    directory = tmp_path / "my $(touch made) 'orders'"
    directory.mkdir()
    done = command("init", "mine", "--openapi", str(document), "--name", "orders", cwd=directory, env={})
    assert (
        "The gateway listens on 8080, asks 127.0.0.1:8000, and sends what is allowed to 127.0.0.1:9000." in done.stdout
    )
    script = 'set -a; . ./mine.env; printf %s "$AUTHZ_POLICY_DIR"'
    read = subprocess.run(["sh", "-c", script], cwd=directory, capture_output=True, text=True, check=True)
    assert (read.stdout, read.stderr, (directory / "made").exists()) == (str(directory / "mine"), "", False)


def test_the_gateway_and_the_settings_share_a_secret_that_only_the_owner_reads(tmp_path: Path, document: Path) -> None:
    words = ("--openapi", str(document), "--name", "orders", "--listen", "8443", "--upstream", "10.0.0.7:80")
    for name in ("one", "two"):
        command("init", name, *words, cwd=tmp_path, env={})
    gateway, settings = tmp_path / "one.nginx.conf", tmp_path / "one.env"
    env = variables(settings)
    assert env["AUTHZ_POLICY_DIR"] == str(tmp_path / "one")
    assert env["AUTHZ_SAMPLE_API"] == "false"
    secret = env["AUTHZ_GATEWAY_SECRETS"]
    text = gateway.read_text()
    assert "${" not in text
    for line in (
        "listen 8443;",
        "server 10.0.0.7:80;",
        f'X-Gateway-Secret   "{secret}"',
        'X-Gateway-Service  "orders"',
    ):
        assert line in text
    assert secret != variables(tmp_path / "two.env")["AUTHZ_GATEWAY_SECRETS"]
    for file in (gateway, settings):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_policy_of_own_handlers_is_sound(tmp_path: Path) -> None:
    done = command("init", "mine", "--name", "orders", cwd=tmp_path, env=HANDLERS)
    assert done.returncode == 0, done.stderr
    assert "p, orders:write, /v1/orders/**, POST, allow" in done.stdout
    assert not (tmp_path / "mine.nginx.conf").exists()
    env = variables(tmp_path / "mine.env")
    assert (env["AUTHZ_ROUTES"], env["AUTHZ_API_TITLE"]) == (HANDLERS["AUTHZ_ROUTES"], "orders")
    for words in (("check", "--strict"), ("test",)):
        done = command("policy", *words, "mine", cwd=tmp_path, env=env)
        assert done.returncode == 0, done.stdout
    routes = command("policy", "routes", "mine", cwd=tmp_path, env=env).stdout
    assert "/v1/orders/{order_id}" in routes
    assert "/api/v1/teams" not in routes


def test_the_prefix_of_keys_is_in_the_settings(tmp_path: Path, document: Path) -> None:
    words = ("init", "mine", "--openapi", str(document), "--name", "orders", "--key-prefix")
    for wrong in ("Acme", "a", "acme_", "x" * 13, "sk", ""):
        refused = command(*words, wrong, cwd=tmp_path, env={})
        assert refused.returncode == 2
        assert "--key-prefix: " in refused.stderr
        assert not (tmp_path / "mine").exists()
    assert command(*words, "acme", cwd=tmp_path, env={}).returncode == 0
    assert variables(tmp_path / "mine.env")["AUTHZ_KEY_PREFIX"] == "acme"


def test_no_row_for_own_handlers_is_about_another_endpoint(tmp_path: Path) -> None:
    env = {"AUTHZ_ROUTES": "tests.apps.own_api:BESIDE_OTHERS"}
    done = command("init", "mine", "--name", "orders", cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    assert [line for line in (tmp_path / "mine" / "orders.csv").read_text().splitlines() if line[:2] == "p,"] == [
        "p, orders:read, /api/v1/baskets/**, GET, allow",
        "p, orders:write, /api/v1/{kind}, POST, allow",
        "p, orders:read, /{tenant}/orders, GET, allow",
    ]
    env = variables(tmp_path / "mine.env")
    done = command("policy", "check", "--strict", "mine", cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stdout
    for action, path in (("POST", "/api/v1/policies/publish"), ("GET", "/api/v1/decisions"), ("GET", "/metrics")):
        asked = ("--as", "auth:jwt orders:read orders:write", action, path)
        assert command("policy", "explain", *asked, cwd=tmp_path, env=env).stdout.startswith("deny"), path


def test_a_handler_of_all_paths_is_refused(tmp_path: Path) -> None:
    env = {"AUTHZ_ROUTES": "tests.apps.own_api:EVERY_PATH"}
    done = command("init", "mine", "--name", "orders", cwd=tmp_path, env=env)
    assert done.returncode == 1
    assert "`/api/**` would open endpoints of authz as well" in done.stderr
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize("name", ["user", "app", "policies", "keys", "role"])
def test_a_name_that_the_policy_uses_already_is_refused(tmp_path: Path, document: Path, name: str) -> None:
    done = command("init", "mine", "--openapi", str(document), "--name", name, cwd=tmp_path, env={})
    assert done.returncode == 2
    assert f"words that begin with `{name}:`" in done.stderr
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize("name", ["Orders", "", "a b", "../x", "1st", "ö", "a" * 41])
def test_a_name_that_is_no_word_is_refused(tmp_path: Path, document: Path, name: str) -> None:
    done = command("init", "mine", "--openapi", str(document), "--name", name, cwd=tmp_path, env={})
    assert (done.returncode, (tmp_path / "mine").exists()) == (2, False)
    assert "lower-case letters" in done.stderr


@pytest.mark.parametrize("there", ["mine", "mine.env", "mine.nginx.conf"])
def test_nothing_is_overwritten(tmp_path: Path, document: Path, there: str) -> None:
    (tmp_path / there).write_text("kept")
    done = command("init", "mine", "--openapi", str(document), "--name", "orders", cwd=tmp_path, env={})
    assert (done.returncode, (tmp_path / there).read_text()) == (1, "kept")
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("orders.yaml", "openapi: 3.1.0\ninfo: {}\npaths: {}\n", "no endpoint"),
        (
            "orders.yaml",
            "openapi: 3.1.0\ninfo: {}\npaths: {/a: {$ref: ../b.yaml}}\n",
            "orders.yaml:3:1: `/a` is denied",
        ),
        ("orders.yaml", "swagger: '2.0'\npaths: {}\n", "\norders.yaml:1:1: this is a Swagger"),
        ("orders.yaml", "\xff", "UTF-8"),
        ("orders.txt", "{}", ".yaml or .json"),
    ],
)
def test_a_document_that_says_nothing_is_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_bytes(text.encode("latin-1"))
    done = command("init", "mine", "--openapi", name, "--name", "orders", cwd=tmp_path, env={})
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert not (tmp_path / "mine").exists()


def test_a_document_is_a_regular_file_of_at_most_a_size(tmp_path: Path) -> None:
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "fifo.yaml")
    with (tmp_path / "huge.yaml").open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    for name in ("zero", "fifo", "huge"):
        done = command("init", "mine", "--openapi", f"{name}.yaml", "--name", "orders", cwd=tmp_path, env={})
        assert (done.returncode, f"`{name}.yaml` cannot be read: it " in done.stderr) == (1, True), done.stderr
    assert not (tmp_path / "mine").exists()


def test_what_of_a_document_is_denied_is_counted(tmp_path: Path, document: Path) -> None:
    paths = {**ORDERS["paths"], "/a\np, anyone, /**, GET, allow": {"get": {}}, "/../x": {"get": {}}, "/{}": {"get": {}}}
    document.write_text(yaml.safe_dump({**ORDERS, "paths": paths}))
    done = command("init", "mine", "--openapi", str(document), "--name", "orders", cwd=tmp_path, env={})
    assert "Some of the document is denied; `authz policy check` has 4 notes about it." in done.stdout
    assert "anyone" not in (tmp_path / "mine" / "orders.csv").read_text()


@pytest.mark.parametrize("methods", [("GET",), READING, ("POST", "PUT", "PATCH", "DELETE")])
def test_cases_of_very_many_endpoints_fit_into_a_file(methods: tuple[str, ...]) -> None:
    base = {file.name: file.read_text() for file in init._BASE.iterdir()}
    routes = [Route(f"orders:/p{number}/{{id}}", method) for number in range(3000) for method in methods]
    files = starter_files("orders", routes, RouteTable(routes), base, ("catalog", "holdings"))
    text = files["tests/orders.yaml"]
    assert "for the first of its many endpoints" in text
    assert MAX_CHARACTERS / 2 < len(text) < MAX_CHARACTERS or len(methods) > 1
    entries = [line.partition(": ")[0].split()[1] for line in text.split("\n") if line.startswith("      - ")]
    verdicts = sum(len(entry.split("|")) for entry in entries)
    assert MAX_CASES / 3 < verdicts * 5 / 2 <= MAX_CASES or len(methods) == 1


def test_a_prefix_within_others_has_the_rows_of_the_outermost() -> None:
    base = {file.name: file.read_text() for file in init._BASE.iterdir()}
    paths = ("/v1", "/v1-old/{id}", "/v1/orders/{id}", "/v1/orders/archive", "/w/a/{id}", "/w/b")
    routes = [Route(f"orders:{path}", "GET") for path in paths]
    rows = starter_files("orders", routes, RouteTable(routes), base, ())["orders.csv"]
    found = [row.split(", ")[2] for row in rows.split("\n") if row.startswith("p, ")]
    assert found == [f"orders:/{prefix}/**" for prefix in ("v1-old", "v1", "w/a", "w/b")]


def test_a_service_must_be_named(tmp_path: Path) -> None:
    done = command("init", "mine", "--name", "orders", cwd=tmp_path, env={})
    assert done.returncode == 2
    assert "--openapi" in done.stderr
    assert "AUTHZ_ROUTES" in done.stderr


def test_the_starter_has_each_file_of_the_policy_that_is_not_about_the_sample_api() -> None:
    starter = {file.name for file in (Path(init.__file__).parents[1] / "starter").iterdir()}
    shipped = {file.name for file in (ROOT / "policies").iterdir() if file.suffix in (".csv", ".toml", ".conf")}
    assert starter == {"nginx.conf"} | (shipped - {"catalog.csv", "holdings.csv", "apps.csv"})
