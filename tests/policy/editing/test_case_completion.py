"""What fits at a position of a file of cases, also of one that is half written."""

from __future__ import annotations

import pytest

from app.policy.routing.routes import METHODS
from tests.policy.editing.completing import applied, complete, texts

CASES = "tests/teams.yaml"
KEYS = ["name: ", "as: ", "given: ", "allow: ", "deny: ", "table: "]
AS_ANYONE = "cases:\n  - as: anyone\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("‸", ["cases:"]),
        ("cases:\n  - n‸", ["name: ", "given: ", "deny: "]),
        ("cases:\n  - as: teams:rea‸", ["teams:read"]),
        ("cases:\n  - as: [auth:jwt teams:read, auth:an‸]", ["auth:anonymous"]),
        ("cases:\n  - name: x\n    as:\n      reader: teams:w‸", ["teams:write"]),
        ("cases:\n  - name: x\n    as:\n      - teams:w‸", ["teams:write"]),
        ("cases:\n  - as: anyone\n    al‸", ["allow: ", "table: "]),
        ("cases:\n  - as: anyone\n    allow:\n      - ‸", None),
        ("cases:\n  - as: anyone\n    allow:\n      - GET|HE‸", ["HEAD"]),
        ("cases:\n  - as: anyone\n    allow:\n      - PUT /te‸", ["/teams/7"]),
        ("cases:\n  - as: anyone\n    allow:\n    - GET /x: teams.csv\n    - DELETE /‸", ["/teams/7"]),
        ("cases:\n  - as: anyone\n    allow: DELETE /‸", ["/teams/7"]),
        ("cases:\n  - as: anyone\n    allow:\n      - GET /teams: t‸", ["teams.csv"]),
        ("cases:\n  - as: anyone\n    deny:\n      - GET /teams: lac‸", ["lacks "]),
        ("cases:\n  - as: anyone\n    deny:\n      - GET /teams: lacks teams:rea‸", ["teams:read"]),
        ("cases:\n  - as: {a: anyone}\n    table:\n      - GET /teams: allow | d‸", ["deny"]),
        ("cases:\n  - as: anyone\n    given:\n      req‸", ["request:"]),
        ("cases:\n  - as: anyone\n    given:\n      request:\n        i‸", ["time: ", "ip: "]),
        ("cases:\n  # as: teams:r‸", []),
    ],
)
def test_what_fits_in_cases(text: str, expected: list[str] | None) -> None:
    found = texts(text, CASES)
    assert set(found) == set(expected) if expected is not None else "GET" in found


def test_the_rest_of_a_path_in_a_case_is_replaced() -> None:
    text = "cases:\n  - as: anyone\n    allow:\n      - GET /te‸x/y: teams.csv"
    assert applied(text, "/teams/export", CASES) == "      - GET /teams/export: teams.csv"


@pytest.mark.parametrize(
    ("above", "expected"),
    [
        ("cases:\n  - name: x\n    ", KEYS),
        ("cases:\n  - name: x\n    as: anyone\n      ", KEYS),  # below a key with a value is beside it
        ("cases:\n  - name: x\n    allow:\n      - GET /x\n    as: anyone\n      ", KEYS),
        ("cases:\n  - name: x\n    as:\n      - a: anyone\n    ", KEYS),
        ("cases:\n  - name: x\n    as:\n      a: anyone\n    ", KEYS),
        ("cases:\n- name: x\n  ", KEYS),
        ("cases:\n- ", KEYS),
        ("cases:\n  - allow:\n    - ", list(METHODS)),
        ("cases:\n  # allow:\n  - ", KEYS),
        (AS_ANYONE + "    allow:\n    - ", list(METHODS)),
        (AS_ANYONE + "    deny:\n      - GET /x\n      - ", list(METHODS)),
        ("cases:\n" + "#\n" * 1_999 + "- ", KEYS),
        ("cases:\n" + "#\n" * 2_000 + "- ", ["cases:"]),  # farther up is not read
    ],
)
def test_a_line_is_below_the_nearest_key_with_less_indentation(above: str, expected: list[str]) -> None:
    assert texts(f"{above}‸", CASES) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("    allow:\n      - GET|‸", [method for method in METHODS if method != "GET"]),
        ("    allow: GET|‸", [method for method in METHODS if method != "GET"]),
        ("    allow:\n      - GET|HEAD|‸", [method for method in METHODS if method not in ("GET", "HEAD")]),
        ("    allow:\n   ‸   - GET", []),
        ("    allow:\n      - GET /teams: ‸", ["roles.csv", "teams.csv"]),
        ("    deny:\n      - GET /teams: ‸", ["lacks ", "roles.csv", "teams.csv"]),
        ("    deny:\n      - GET /teams: lacks teams:read teams:‸", ["teams:write"]),
        ("    table:\n      - GET /teams: ‸", ["allow", "deny", "-"]),
        ("    table:\n      - GET /teams: 'al‸", ["allow"]),
        ("    as:\n      # x: t‸", []),
        ("    as:\n      - anyo‸", ["anyone", "auth:anonymous"]),
        ("    as:\n      anyo‸", []),
        ("    name: G‸", []),
        ("    given:\n      as: t‸", []),
        ("    name: te‸", []),
        ("    given:\n      subject:\n        org‸", ["org: "]),
    ],
)
def test_what_fits_in_a_case(line: str, expected: list[str]) -> None:
    assert texts(f"{AS_ANYONE}{line}", CASES) == expected


@pytest.mark.parametrize(
    ("line", "chosen", "expected"),
    [
        ("    al‸", "allow: ", "    allow: "),
        ("    table:\n      - GET /teams: allow |  'd‸", "deny", "      - GET /teams: allow |  'deny"),
        ("    allow:\n      - 'GET|P‸", "PUT", "      - 'GET|PUT"),
        ("    deny:\n      - GET /teams: lacks tea‸ms:x y", "teams:read", "      - GET /teams: lacks teams:read y"),
        ("    as: [tea‸ms:x, y]", "teams:read", "    as: [teams:read, y]"),
    ],
)
def test_a_completion_replaces_the_word_in_a_case(line: str, chosen: str, expected: str) -> None:
    assert applied(f"{AS_ANYONE}{line}", chosen, CASES) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (AS_ANYONE + "    n‸", ("name: ", "keyword", "what the case is about")),
        (AS_ANYONE + "    allow:\n      - G‸", ("GET", "action", "")),
        (AS_ANYONE + "    allow:\n      - PUT /‸", ("/teams/7", "route", "/teams/{team_id}")),
        (AS_ANYONE + "    allow:\n      - POST /‸", ("/teams", "route", "GET HEAD POST")),
        (AS_ANYONE + "    deny:\n      - GET /: l‸", ("lacks ", "keyword", "the grants that are missing")),
        (AS_ANYONE + "    deny:\n      - GET /: r‸", ("roles.csv", "file", "a row of this file decides")),
        (AS_ANYONE + "    table:\n      - GET /: d‸", ("deny", "value", "")),
        ("‸", ("cases:", "keyword", "the list of cases")),
    ],
)
def test_a_completion_in_a_case_is_described(text: str, expected: tuple[str, ...]) -> None:
    found = complete(text, CASES)[0]
    assert (found.text, found.kind, found.detail) == expected
