"""What is shown about a word, and where it is defined."""

from __future__ import annotations

from datetime import date

import pytest

from app.policy.editing.definition import definitions
from app.policy.editing.hover import hover
from tests.policy.editing.marked import BASE, ROUTES, marked, snapshot

CASES = "tests/teams.yaml"


def shown(text: str, file: str = "new.csv") -> str:
    sources, name, line, column = marked(file, text)
    found = hover(sources, ROUTES, name, line, column, snapshot=snapshot())
    return found.text if found else ""


def defined(text: str, file: str = "new.csv", **base: str) -> list[str]:
    """The places where the word at the mark is defined, with the text there."""
    sources, name, line, column = marked(file, text, **base)
    spans = definitions(sources, name, line, column, snapshot=snapshot({**BASE, **base}))
    lines = ((span, sources[span.file].split("\n")[span.line - 1]) for span in spans)
    return [f"{span.file}:{span.line}: {line[span.column - 1 : span.end - 1]}" for span, line in lines]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("p, teams‸:read, /x, GET, allow", "**teams:read**: See teams\n\nRead all teams."),
        (
            "p, teams:read, /x, GET, allow\np, teams:wri‸te, /x, GET, allow",
            "Held through rows by: `role:admin`, `role:editor`, `user:user_2abc`",
        ),
        ("p, old:rea‸d, /x, GET, allow", "It is deprecated."),
        ("g, role:adm‸in, teams:read", "Rows add to it: `role:editor`, `teams:read`, `teams:write`"),
        ("p, auth:api_‸key, /x, GET, allow", "**auth:api_key**: a program with a key"),
        ("p, anyone, /teams/*‸*, GET, allow", "`/teams/**` matches 3 routes:"),
        ("p, anyone, /team‸, GET, allow", "No route matches `/team`."),
        ("p, anyone, /x, GET, allow, subject.or‸g.id == 'a'", "**subject.org.id**: string"),
        ("p, anyone, /x, GET, allow, has(request.i‸p)", "Test it with `has(…)`."),
        ("p, anyone, /teams/{team_id}, GET, allow, params.team‸_id == '7'", "A parameter of the path, as text."),
        ("p, anyone, /x, GET, allow, ip_‸in(request.ip, '10.0.0.0/8')", "ip_in(request.ip"),
        ("p, anyone, /x, GET, allow, 'role:edi‸tor' in subject.permissions", "**role:editor**"),
    ],
)
def test_what_is_shown_about_a_word_of_a_row(text: str, expected: str) -> None:
    assert expected in shown(text)


@pytest.mark.parametrize("text", ["# teams:re‸ad", "p, a:b‸, /x, GET, allow", "‸", "p, teams:read, /x, G‸ET, allow"])
def test_nothing_is_shown_about_other_words(text: str) -> None:
    assert shown(text) == ""


@pytest.mark.parametrize("case", ["PUT /tea‸ms/7", "‸PUT /teams/7", "PU‸T|DELETE /teams/7"])
def test_a_case_shows_the_deciding_row(case: str) -> None:
    assert "allow, teams.csv:2: `p, teams:write, /teams/**, POST|PUT|DELETE, allow`" in shown(
        BASE[CASES].replace("PUT /teams/7", case), CASES
    )


def test_nothing_is_shown_about_a_word_behind_a_hyphen_elsewhere() -> None:
    assert shown(BASE[CASES].replace("role:editor in a name", "editors - re‸ad all"), CASES) == ""


def test_a_case_that_fails_says_so() -> None:
    text = BASE[CASES].replace("GET /teams: lacks teams:read", "GET /tea‸ms: lacks teams:write")
    assert "**fails**" in shown(text, CASES)


def test_the_last_use_is_shown_if_it_is_known() -> None:
    sources, name, line, column = marked("new.csv", "p, teams:rea‸d, /x, GET, allow")
    days = {"teams:read": date(2026, 11, 24)}
    found = hover(sources, ROUTES, name, line, column, last_uses=days)
    assert found is not None
    assert "Last used: 2026-11-24" in found.text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("p, role:edi‸tor, /x, GET, allow", ["roles.csv:1: role:editor"]),
        ("p, teams:wri‸te, /x, GET, allow", ["permissions.toml:5: teams:write"]),
        (
            "p, user:user_2abc, /x, GET, allow\ng, role:ad‸min, old:read",
            ["new.csv:2: role:admin", "roles.csv:2: role:admin"],
        ),
        (
            "p, anyone, /teams/exp‸ort, GET, allow",
            ["teams.csv:1: /teams/**", "teams.csv:2: /teams/**", "teams.csv:3: /teams/export"],
        ),
        ("# role:edi‸tor", []),
        ("p, role:gho‸st, /x, GET, allow", []),
    ],
)
def test_where_a_word_of_a_row_is_defined(text: str, expected: list[str]) -> None:
    assert defined(text) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("role:editor\n", "role:edi‸tor\n", ["roles.csv:1: role:editor"]),
        ("PUT /teams/7", "PUT /te‸ams/7", ["teams.csv:2: p, teams:write, /teams/**, POST|PUT|DELETE, allow"]),
        ("PUT /teams/7", "P‸UT /teams/7", ["teams.csv:2: p, teams:write, /teams/**, POST|PUT|DELETE, allow"]),
        ("7: teams.csv", "7: tea‸ms.csv:2", ["teams.csv:2: p, teams:write, /teams/**, POST|PUT|DELETE, allow"]),
        ("lacks teams:read", "lacks teams:re‸ad", ["permissions.toml:1: teams:read"]),
    ],
)
def test_a_case_leads_to_the_row_that_decides_it(old: str, new: str, expected: list[str]) -> None:
    assert defined(BASE[CASES].replace(old, new, 1), CASES) == expected


def test_a_case_that_is_denied_leads_to_the_nearest_row() -> None:
    text = "cases:\n  - as: auth:jwt\n    deny:\n      - PUT /tea‸ms/7\n"
    assert defined(text, CASES) == ["teams.csv:2: p, teams:write, /teams/**, POST|PUT|DELETE, allow"]


def test_a_route_of_another_service_leads_to_its_document_and_back() -> None:
    document = "openapi: 3.1.0\npaths:\n  /orders/{id}:\n    get: {}\n"
    base = {"upstreams/shop.openapi.yaml": document, "shop.csv": "p, anyone, shop:/orders/**, GET, allow\n# end\n"}
    text = "p, anyone, shop:/ord‸ers/{id}, GET, allow\n# end\n"
    assert defined(text, **base) == ["upstreams/shop.openapi.yaml:3: /orders/{id}"]
    of_document = document.replace("/orders", "/ord‸ers")
    rows = {"shop.csv": base["shop.csv"]}
    sources, name, line, column = marked("upstreams/shop.openapi.yaml", of_document, **rows)
    found = definitions(sources, name, line, column, snapshot=snapshot({**BASE, **base}))
    assert [(span.file, span.line) for span in found] == [("shop.csv", 1)]
