"""Without an extra everything else works, and features that need it say what to install."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from app.extras import EXTRAS, Extra, missing_extra
from tests.support.forked_process import run
from tests.support.server import ROOT

PACKAGES = {name: modules[0] for name, modules in EXTRAS.items()}
SETTINGS = {
    "AUTHZ_ISSUER": "https://issuer.example",
    "AUTHZ_JWKS_URL": "https://issuer.example/jwks",
    "AUTHZ_AUDIENCE": "griddy",
    "AUTHZ_POLICY_DIR": str(ROOT / "policies"),
}


def authz(directory: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run `authz` without the packages of all extras."""
    return run(*words, env={**SETTINGS, **settings}, cwd=directory, without=tuple(PACKAGES.values()))


@pytest.mark.parametrize(
    ("extra", "words", "setting", "value"),
    [
        ("postgresql", ("db", "upgrade"), "AUTHZ_DATABASE_URL", "postgresql://user@127.0.0.1:1/authz"),
        ("postgresql", ("serve",), "AUTHZ_DATABASE_URL", "postgresql://user@127.0.0.1:1/authz"),
        ("granian", ("serve",), "AUTHZ_SERVER", "granian"),
        ("opentelemetry", ("serve",), "AUTHZ_OTLP_ENDPOINT", "http://collector.example:4318"),
    ],
)
def test_a_missing_extra_is_named(
    extra: Extra, words: tuple[str, ...], setting: str, value: str, tmp_path: Path
) -> None:
    ended = authz(tmp_path, *words, **{setting: value})
    assert ended.returncode == 1
    assert f"{setting}: the extra `{extra}` is not installed: pip install 'griddy-authz[{extra}]'" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_option_that_needs_a_missing_extra_is_named(tmp_path: Path) -> None:
    ended = authz(tmp_path, "serve", "--server", "granian")
    assert "--server: the extra `granian` is not installed" in ended.stderr


def test_the_command_that_needs_a_missing_extra_names_it(tmp_path: Path) -> None:
    ended = authz(tmp_path, "lsp", "--stdio")
    assert ended.returncode == 1
    assert ended.stderr == "authz: the extra `lsp` is not installed: pip install 'griddy-authz[lsp]'.\n"


def test_a_package_without_extras_prepares_its_database_and_builds_the_application(tmp_path: Path) -> None:
    assert authz(tmp_path, "db", "upgrade").returncode == 0
    # Everything else is loaded before the address is found to be in use.
    ended = authz(tmp_path, "serve", "--host", "192.0.2.1")
    assert "192.0.2.1" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_extras_are_those_of_the_package_and_all_are_installed_here() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert set(get_args(Extra)) == set(EXTRAS) == set(project["project"]["optional-dependencies"]) - {"dev"}
    assert [missing_extra(extra) for extra in EXTRAS] == [None] * len(EXTRAS)
    builder = project["build-system"]["requires"]
    assert not set(builder) & set(project["project"]["dependencies"])
    assert builder == [
        line for line in (ROOT / "scripts/requirements/build.in").read_text().splitlines() if line[:1] != "#"
    ]
