"""Tidying fixes the format of rows, and only where it proves that no verdict changes."""

from __future__ import annotations

import random

import pytest

from app.policy.analysis.semantic_diff import compare
from app.policy.analysis.tidy import NotTidied, tidy_rows
from app.policy.engine.snapshot import Snapshot
from app.policy.language.load import parse
from app.policy.language.source import from_bytes
from app.policy.routing.routes import Route, RouteTable
from tests.policy.shipped import few_cases
from tests.policy.shipped import snapshot_of as shipped
from tests.policy.small import files as small_files


def tidy(files: dict[str, bytes]) -> dict[str, str]:
    return tidy_rows(shipped(files))


def with_rows(text: str) -> dict[str, bytes]:
    return {**few_cases(), "more.csv": f"{text}# end\n".encode()}


def test_rows_are_formatted_and_sorted_within_their_block() -> None:
    untidy = (
        "# teams\n"
        "p,policies:write  ,/api/v1/teams,POST,allow\n"
        "p, policies:read catalog:read, /api/v1/teams, HEAD|GET, deny, \"request.ip == '::1'\"\n"
        "\n\n\n"
        "g,user:u2,role:editor\n"
        "g, user:u1, role:viewer   \n"
        "# venues  \n"
        "p, policies:read, /api/v1/venues, GET, allow\n"
    )
    assert tidy(with_rows(untidy))["more.csv"] == (
        "# teams\n"
        "p, catalog:read policies:read, /api/v1/teams, GET|HEAD, deny, \"request.ip == '::1'\"\n"
        "p, policies:write, /api/v1/teams, POST, allow\n"
        "\n"
        "g, user:u1, role:viewer\n"
        "g, user:u2, role:editor\n"
        "# venues\n"
        "p, policies:read, /api/v1/venues, GET, allow\n"
        "# end\n"
    )


def test_the_first_of_equal_rows_is_kept() -> None:
    files = with_rows("p, catalog:read,/api/v1/teams/**,HEAD|GET,allow\n")
    assert tidy(files)["more.csv"] == "# end\n"


def test_a_tidy_policy_is_unchanged() -> None:
    files = dict(few_cases())
    files.update({name: text.encode() for name, text in tidy(files).items()})
    assert tidy(files) == {}


def test_tidying_a_shuffled_policy_changes_no_verdict() -> None:
    seeded = random.Random(4)
    files = dict(few_cases())
    for name in [name for name in files if name.endswith(".csv")]:
        rows = files[name].decode().split("\n")[:-2]
        seeded.shuffle(rows)
        files[name] = "\n".join(
            [*(row.replace(", ", seeded.choice([",", ", ", " ,  "])) for row in rows), "# end\n"]
        ).encode()
    before = shipped(files)
    changed = tidy_rows(before)
    assert changed
    after = shipped({**files, **{name: text.encode() for name, text in changed.items()}})
    assert not compare(before, after).changes


def test_a_case_that_failed_before_may_fail_afterwards() -> None:
    cases = b"cases:\n  - as: a:read\n    deny:\n      - GET /x\n# end\n"
    made = {**small_files("p,a:read,/x,GET,allow"), "tests/own.yaml": cases}
    policy = Snapshot(parse(from_bytes(made)), RouteTable([Route("/x", "GET")]))
    assert tidy_rows(policy) == {"rows.csv": "p, a:read, /x, GET, allow\n# end\n"}


def test_a_row_whose_line_a_case_names_is_not_moved() -> None:
    files = with_rows("p, policies:write, /api/v1/teams, GET, allow\np, policies:read, /api/v1/teams, GET, allow\n")
    case = "cases:\n  - as: policies:write\n    allow:\n      - GET /api/v1/teams: more.csv:1\n# end\n"
    assert tidy(files)
    with pytest.raises(NotTidied, match=r"tests/more\.yaml:4"):
        tidy({**files, "tests/more.yaml": case.encode()})
