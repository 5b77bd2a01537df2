"""The walkthrough works: every command is run and its output compared."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from app.assembly import route_table
from app.cli.decisions import decisions_group
from app.cli.policy import policy_group
from tests.support.server import ROOT
from tests.support.walkthrough import Ids, Shell, dev, steps

PAGE = ROOT / "policies" / "WALKTHROUGH.md"

pytestmark = pytest.mark.filterwarnings("ignore::litestar.exceptions.LitestarDeprecationWarning")


def test_every_command_has_the_shown_output(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    ids = Ids()
    with dev(tmp_path) as (url, issuer_port), Shell(tmp_path, url, issuer_port) as shell:
        for step in steps(PAGE):
            printed = shell.expect(step, ids)
            assert not printed, (
                f"{PAGE.name}:{step.line}: `{step.command}` prints\n{printed}\nwhere the page has\n{step.shown}"
            )


def test_every_command_and_endpoint_has_an_example() -> None:
    commands = [step.command for step in steps(PAGE)]
    run = {" ".join(words.split()[1:3]) for words in commands if words.startswith("authz ")}
    groups = (policy_group, decisions_group)
    every = {f"{group.name} {name}" for group in groups for name in group.list_commands(None)}  # type: ignore[arg-type]  # needs no context
    for_jobs = {"policy review", "policy comment"}  # on the page about CI, which tests/test_ci_page.py runs
    assert every - run == for_jobs
    asked = {found for words in commands if (found := endpoint(words)) is not None}
    table = route_table()
    wanted = {
        (route.method, route.template)
        for route in table.routes
        if route.template.startswith(("/api/v1/policies", "/api/v1/decisions"))
        and route.method not in ("HEAD", "OPTIONS")
    }
    templates = {re.sub(r"\{[^}]+\}", "*", template): template for _, template in wanted}
    shown = {(method, templates[path]) for method, path in asked if path in templates}
    assert wanted - shown == set()
    assert any(" --format sarif " in words for words in commands)
    assert any(" --format junit " in words for words in commands)


def endpoint(words: str) -> tuple[str, str] | None:
    """The API request of a command, with `*` for a revision."""
    url = re.search(r"\bapi .*http://127\.0\.0\.1:8000([^?' ]*)", words, re.DOTALL)
    if url is None:
        return None
    method = re.search(r" -X ([A-Z]+)", words)
    path = re.sub(r"\b[0-9a-f]{16}\b", "*", url[1].rstrip("/"))
    return (method[1] if method else "POST" if " -d " in words else "GET"), path


SHOWN = "id 0123456789abcdef at 2026-11-24T10:00:00Z: 5 of …\n…\nend"


@pytest.mark.parametrize(
    ("printed", "fits"),
    [
        ("id aaaaaaaaaaaaaaaa at 2027-01-02T03:04:05Z: 5 of 7\na\nb\nend", True),
        ("id aaaaaaaaaaaaaaaa at 2027-01-02T03:04:05Z: 5 of \nend", True),
        ("id aaaaaaaaaaaaaaaa at 2027-01-02T03:04:05Z: 6 of 7\na\nend", False),
        ("id aaaaaaaaaaaaaaaa at yesterday: 5 of 7\na\nend", False),
        ("id aaaaaaaa at 2027-01-02T03:04:05Z: 5 of 7\na\nend", False),
        ("id aaaaaaaaaaaaaaaa at 2027-01-02T03:04:05Z: 5 of 7\na\nend\nmore", False),
    ],
)
def test_other_output_does_not_match(printed: str, fits: bool) -> None:
    assert Ids().matches(printed, SHOWN) is fits


def test_an_id_of_the_page_has_one_id_of_the_run() -> None:
    ids = Ids()
    assert ids.matches("aaaaaaaaaaaaaaaa", "0000000000000001")
    assert not ids.matches("bbbbbbbbbbbbbbbb", "0000000000000001")
    assert not ids.matches("aaaaaaaaaaaaaaaa", "0000000000000002"), "two ids that differ on the page differ in the run"
    assert ids.matches("bbbbbbbbbbbbbbbb of aaaaaaaaaaaaaaaa", "0000000000000002 of 0000000000000001")
    assert ids.translated("authz policy show 0000000000000002") == "authz policy show bbbbbbbbbbbbbbbb"
