"""`authz import casbin`: what it writes and prints, and the page about it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from app.cli.imports.casbin import casbin_command
from app.policy.casbin_import.matcher import PATTERNS
from app.policy.casbin_import.role_graph import MAX_LINKS
from tests.cli.command import command
from tests.cli.examples import example, fits
from tests.support.server import ROOT

PAGE = ROOT / "scripts" / "casbin" / "README.md"
EXAMPLE = ROOT / "scripts" / "casbin" / "example"
IMPORT = ("import", "casbin", "casbin", "--name", "orders", "--out", "new", "--base", "base", "--samples", "20")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with the example, and a small policy for the routes of the application."""
    shutil.copytree(EXAMPLE, tmp_path / "casbin")
    shutil.copytree(ROOT / "policies", tmp_path / "base", ignore=shutil.ignore_patterns("tests", "*.md"))
    return tmp_path


def test_the_commands_of_the_page_print_what_it_shows(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "casbin")
    shutil.copy(PAGE.parent / "orders.yaml", tmp_path)
    shutil.copytree(ROOT / "policies", tmp_path / "policies", ignore=shutil.ignore_patterns("*.md"))
    statuses = {
        "authz import casbin casbin --name orders --out policies-new": 3,
        "authz policy test policies-new": 0,
        "authz policy diff policies policies-new": 1,
        "authz import casbin casbin --openapi orders.yaml --name orders --out policies-mine": 3,
        "authz policy test policies-mine": 0,
    }
    for words, status in statuses.items():
        done = command(*words.split()[1:], cwd=tmp_path)
        assert done.returncode == status, done.stderr
        assert fits(done.stdout, example(words, PAGE)), done.stdout
    document = (tmp_path / "orders.yaml").read_text()
    assert (tmp_path / "policies-mine" / "upstreams" / "orders.openapi.yaml").read_text() == document
    (tmp_path / "orders.yaml").write_text(document.partition("  /orders/archive:")[0])
    refused = command(*IMPORT, "--openapi", "orders.yaml", "--base", "policies", cwd=tmp_path)
    assert (refused.returncode, (tmp_path / "new").exists()) == (1, False)
    assert "add the path `/orders/archive` to the document" in refused.stdout
    (tmp_path / "orders.yaml").write_text(document.replace("get:", "get: ]"))
    broken = command(*IMPORT, "--openapi", "orders.yaml", "--base", "policies", cwd=tmp_path)
    assert (broken.returncode, "orders.yaml:6" in broken.stdout) == (1, True)


def test_the_commands_about_handlers_print_what_the_page_shows(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "casbin")
    env = {"AUTHZ_ROUTES": "tests.apps.own_api:WITHOUT_VERSION", "AUTHZ_SAMPLE_API": "false"}
    import_words = "authz import casbin casbin --base my-policy --name orders --out policies-inside"

    def fitting(words: str, status: int = 0) -> str:
        done = command(*words.split()[1:], cwd=tmp_path, env=env)
        assert done.returncode == status, done.stderr
        assert fits(done.stdout, example(words, PAGE)), done.stdout
        return done.stdout

    fitting("authz init my-policy --name orders")
    refused = command(*import_words.split()[1:], cwd=tmp_path, env=env)
    assert (refused.returncode, "my-policy/orders.csv:4:1: error[route]" in refused.stdout) == (1, True)
    removing = "rm my-policy/orders.csv my-policy/tests/orders.yaml"
    assert not example(removing, PAGE).strip()
    for name in removing.split()[1:]:
        (tmp_path / name).unlink()
    fitting(import_words, 3)
    fitting("authz policy test policies-inside")
    assert not (tmp_path / "policies-inside" / "upstreams").exists()
    assert "p, role:orders-clerk, /orders, GET, allow" in (tmp_path / "policies-inside" / "orders.csv").read_text()
    shutil.copy(PAGE.parent / "orders.yaml", tmp_path)
    words = "import casbin casbin --base policies-inside --openapi orders.yaml --name stock --out beside --samples 0"
    assert command(*words.split(), cwd=tmp_path, env=env).returncode == 3
    assert "p, role:stock-clerk, stock:/orders, GET, allow" in (tmp_path / "beside" / "stock.csv").read_text()


def test_the_page_names_every_option_and_number() -> None:
    text = PAGE.read_text()
    options = {option for parameter in casbin_command.params for option in parameter.opts if option.startswith("--")}
    assert {option for option in options if option not in text} <= {"--out", "--name", "--seed"}
    assert MAX_LINKS == 9
    assert "a chain of more than nine" in text
    assert (PATTERNS[0], PATTERNS[-2]) == ("keyMatch", "keyMatch5")


def test_the_document_for_programs(place: Path) -> None:
    done = command(*IMPORT, "--json", cwd=place)
    document = json.loads(done.stdout)
    assert (done.returncode, document["ok"]) == (3, False)
    assert document["added"] == [
        "orders.csv",
        "orders_roles.csv",
        "upstreams/orders.openapi.json",
        "tests/orders.yaml",
    ]
    left = [note for note in document["notes"] if note["kind"] == "left-out"]
    assert [(note["file"], note["line"], note["code"]) for note in left] == [("policy.csv", 5, "pattern")]
    page = (place / "new" / "README.md").read_text()
    assert "## Allowed by Casbin, denied here" in page
    assert "- `policy.csv:5` `p, auditor, /reports/2[0-9]/pages, GET, allow`" in page
    assert "500" not in done.stdout.split("{")[0]


def test_everything_carried_over_exits_with_0(place: Path) -> None:
    rows = place / "casbin" / "policy.csv"
    rows.write_text("".join(line for line in rows.read_text().splitlines(True) if "auditor" not in line))
    done = command(*IMPORT, cwd=place)
    assert (done.returncode, "Everything carried over: 5 rules" in done.stdout) == (0, True)
    assert "Every row was carried over." in (place / "new" / "README.md").read_text()
    assert (place / "new").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    ("words", "status", "part"),
    [
        (("--out", "base"), 2, "`base` exists"),
        (("--out", "none/new"), 2, "not a directory"),
        (("--model", "none.conf"), 1, "cannot be used"),
        (("--policy", "none.csv"), 1, "cannot be used"),
        (("--policy", "policy.csv", "--policy", "policy.csv"), 2, "one twice"),
        (("--action", "read"), 2, "is not of the form `read=GET,HEAD`"),
        (("--action", "read=GET,LOOK"), 2, "is not of the form"),
        (("--action", "read=GET", "--action", "see=GET"), 2, "repeats"),
        (("--subject", "ann"), 2, "is not of the form"),
        (("--match", "g2"), 2, "is not of the form"),
        (("--base", "none"), 2, "does not exist"),
        (("--name", "catalog.csv"), 1, "cannot be the name of a service"),
    ],
)
def test_wrong_arguments(place: Path, words: tuple[str, ...], status: int, part: str) -> None:
    done = command(*IMPORT, *words, cwd=place)
    said = " ".join(done.stderr.replace("│", " ").split())  # a long name of the directory breaks the line anywhere
    assert (done.returncode, part in done.stdout + said) == (status, True), done.stderr
    assert not (place / "new").exists()


@pytest.mark.parametrize(
    ("edit", "shown", "part"),
    [
        (("policy.csv", "PUT, deny", "PUT, denny"), "casbin/policy.csv:4:1", "did you mean `deny`?"),
        (("model.conf", "keyMatch2(", "keyMatch22("), "casbin/model.conf:14:24", "did you mean `keyMatch2`?"),
        (("policy.csv", "/orders/archive, PUT", "/orders//x, PUT"), "casbin/policy.csv:4:1", "empty segment"),
    ],
)
def test_faults_have_their_place(place: Path, edit: tuple[str, str, str], shown: str, part: str) -> None:
    file, old, new = edit
    text = (place / "casbin" / file).read_text()
    assert old in text
    (place / "casbin" / file).write_text(text.replace(old, new))
    done = command(*IMPORT, cwd=place)
    assert done.returncode == 1
    assert f"{shown}: error[" in done.stdout
    assert part in done.stdout
    assert "1 fault; nothing was written." in done.stdout
    assert sorted(path.name for path in place.iterdir()) == ["base", "casbin"]


def test_faults_of_the_policy_that_rows_are_added_to(place: Path) -> None:
    row = place / "base" / "public.csv"
    row.write_text(row.read_text().replace("allow", "alow", 1))
    done = command(*IMPORT, cwd=place)
    assert (done.returncode, "base/public.csv:" in done.stdout, "error[effect]" in done.stdout) == (1, True, True)
    assert not (place / "new").exists()


def test_a_file_that_is_not_utf_8(place: Path) -> None:
    with (place / "casbin" / "policy.csv").open("ab") as file:
        file.write(b"p, \xff, /orders, GET, allow\n")
    done = command(*IMPORT, cwd=place)
    assert (done.returncode, "casbin/policy.csv:11: this is not UTF-8" in done.stderr) == (1, True)


def test_a_directory_with_two_models(place: Path) -> None:
    shutil.copy(place / "casbin" / "model.conf", place / "casbin" / "other.conf")
    done = command(*IMPORT, cwd=place)
    assert (done.returncode, "2 files that end with .conf" in done.stderr) == (2, True)


def test_without_a_policy_the_option_that_names_one_is_shown(place: Path) -> None:
    done = command("import", "casbin", "casbin", "--out", "new", cwd=place)
    assert (done.returncode, "name the policy that the rows are added to with --base" in done.stderr) == (2, True)
