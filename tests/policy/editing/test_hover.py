"""What is shown about a word, and where it is defined."""

from __future__ import annotations

from datetime import date

import pytest

from app.policy.editing.definition import definitions
from app.policy.editing.hover import hover
from app.policy.editing.position import Span
from app.policy.routing.routes import Route, RouteTable
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
    lines = [(span, sources[span.file].split("\n")[span.line - 1]) for span in spans]
    assert all(1 <= span.column <= span.end <= len(line) + 1 for span, line in lines)
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


NINE_ROWS = "".join(f"p, old:read, record:{number}, read, deny\n" for number in range(9))
NINE_MEMBERS = "".join(f"g, user:u{number}, role:editor\n" for number in range(9))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("p, old:rea‸d, /x, GET, allow", "Old|Nothing any more.|It is deprecated.|Needed by 1 row: `new.csv:1`"),
        ("g, role:x, old:rea‸d", "Old|Nothing any more.|It is deprecated.|Held through rows by: `role:x`"),
        (
            "p, old:read, " + "x" * 4_000 + "\np, old:rea‸d",
            "Old|Nothing any more.|It is deprecated.|Needed by 1 row: `new.csv:2`",
        ),
        (
            "x, old:read\np,,\n# old:read\np, old:rea‸d",
            "Old|Nothing any more.|It is deprecated.|Needed by 1 row: `new.csv:4`",
        ),
        (
            f"{NINE_ROWS}p, old:re‸ad, /x, GET, allow",
            "Old|Nothing any more.|It is deprecated.|Needed by 10 rows: `new.csv:1`, `new.csv:2`, `new.csv:3`, "
            "`new.csv:4`, `new.csv:5`, `new.csv:6`, `new.csv:7`, `new.csv:8` and 2 more",
        ),
        (
            f"{NINE_MEMBERS}g, role:edit‸or, old:read",
            "every member that a `g` row gives it to|Rows add to it: `old:read`, `teams:write`|Held through rows by: "
            "`role:admin`, `user:u0`, `user:u1`, `user:u2`, `user:u3`, `user:u4`, `user:u5`, `user:u6` and 3 more|"
            "Needed by 1 row: `teams.csv:3`",
        ),
    ],
)
def test_all_that_is_shown_about_a_grant(text: str, expected: str) -> None:
    assert shown(text).partition("**: ")[2].replace("\n\n", "|") == expected


def test_a_permission_that_no_row_names_says_so() -> None:
    assert shown('["old:re‸ad"]\ntitle = "Old"\ngrants = "x"\n', "permissions.toml").endswith("x\n\nNo row needs it.")
    assert shown('["old:re‸ad"]\n', "permissions.toml") == "**old:read**\n\nNo row needs it."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("p, anyone, rec‸ord, read, allow", "`record`: read, write"),
        ("p, anyone, gho‸st, , allow", ""),
        ("p, anyone, /teams‸, GET, allow", "`/teams` matches 1 route:\n\n- `GET HEAD POST /teams`"),
        ("p, a, /teams/{team_id}, GET, allow, params.gho‸st == '7'", ""),
        ("p, a, /x, GET, allow, subject.gho‸st == '7'", ""),
        ("p, a, /x, GET, allow, subject.claims.em‸ail == '7'", "**subject.claims**: map(string, dyn)\n\n"),
        ("p, a, /x, GET, allow, request.path.starts‸With('a')", "**startsWith**\n\n`string.startsWith(string) → bool`"),
        ("p, a, /x, GET, allow, 'tex‸t' == 'a'", ""),
        ("p, a, /x, GET, allow, 'a' == 'b', 'role:ghos‸t'", "**role:ghost**: every member that a `g` row gives it to"),
        ("p, a, /x, GET, all‸ow, subject.org.id == 'a'", ""),
        ("x, teams:r‸ead, /x, GET, allow", ""),
        ("tea‸ms:read", ""),
    ],
)
def test_what_is_shown_of_resources_and_conditions(text: str, expected: str) -> None:
    assert shown(text)[: len(expected) or 1] == expected


def test_only_the_first_of_many_routes_are_shown() -> None:
    routes = RouteTable(Route(f"/r{number}", "GET") for number in range(1_200))
    sources, name, line, column = marked("new.csv", "p, anyone, /*‸*, GET, allow")
    found = hover(sources, routes, name, line, column)
    assert found is not None
    first, *paths = found.text.split("\n- ")
    assert (first.strip(), len(paths), paths[-1]) == ("`/**` matches 1,200 routes:", 9, "and 1192 more")


@pytest.mark.parametrize("text", ["# teams:re‸ad", "p, a:b‸, /x, GET, allow", "‸", "p, teams:read, /x, G‸ET, allow"])
def test_nothing_is_shown_about_other_words(text: str) -> None:
    assert shown(text) == ""


@pytest.mark.parametrize("case", ["PUT /tea‸ms/7", "‸PUT /teams/7", "PU‸T|DELETE /teams/7"])
def test_a_case_shows_the_deciding_row(case: str) -> None:
    assert "allow, teams.csv:2: `p, teams:write, /teams/**, POST|PUT|DELETE, allow`" in shown(
        BASE[CASES].replace("PUT /teams/7", case), CASES
    )


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("GET /teams/exp‸ort", "deny, teams.csv:3: `p, role:editor, /teams/export, GET, deny, \"'role:editor' in "),
        ("GET /tea‸ms: lacks teams:read", "deny, lacks teams:read"),
        ("gho‸st ghost", "deny, no rule covers it"),
        ("PATCH /tea‸ms", "`/teams` has no method PATCH"),
    ],
)
def test_a_case_shows_why_it_is_denied(case: str, expected: str) -> None:
    text = f"cases:\n  - as: role:editor auth:jwt\n    deny:\n      - {case}"
    action = case.partition(" ")[0].replace("‸", "")
    found = shown(text, CASES)
    assert found.startswith(f"- {action} as `auth:jwt role:editor`: {expected}")
    assert "\n" not in found


def test_the_cases_of_a_document_that_is_no_case_are_not_shown() -> None:
    text = BASE[CASES].replace("PUT /teams/7", "PUT /tea‸ms/7")
    assert shown(f"# role:edi‸tor\n{BASE[CASES]}", CASES) == ""
    assert shown(text, "entities/own.yaml") == ""


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
        ("g, user:u, role:ghost\np, role:gho‸st, /x, GET, allow", ["new.csv:1: role:ghost"]),
        ("p, anyone, rec‸ord, read, allow", []),
        ("p, anyone, /teams, GET, allow, subject.or‸g.id == 'a'", []),
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
        ("7: teams.csv", "7: tea‸ms.csv:4", ["teams.csv:4: p, teams:read, record, read|write, allow"]),
        ("7: teams.csv", "7: tea‸ms.csv", ["teams.csv:1: p, teams:read, /teams/**, GET|HEAD, allow"]),
        ("7: teams.csv", "7: gho‸st.csv:1", []),
        ("7: teams.csv", "7: tea‸ms.csv:99", []),
        ("cases:\n", "cases:  # role:edi‸tor\n", ["roles.csv:1: role:editor"]),
        ("cases:\n", "cases:\n  # role:edi‸tor\n", []),
        ("PUT /teams/7", "PUT /gho‸st", []),
        ("lacks teams:read", "lacks teams:re‸ad", ["permissions.toml:1: teams:read"]),
    ],
)
def test_a_case_leads_to_the_row_that_decides_it(old: str, new: str, expected: list[str]) -> None:
    assert defined(BASE[CASES].replace(old, new, 1), CASES) == expected


def test_a_case_that_is_denied_leads_to_the_nearest_row() -> None:
    text = "cases:\n  - as: auth:jwt\n    deny:\n      - PUT /tea‸ms/7\n"
    assert defined(text, CASES) == ["teams.csv:2: p, teams:write, /teams/**, POST|PUT|DELETE, allow"]


def test_at_most_fifty_cases_of_a_line_are_decided() -> None:
    callers = ", ".join(f"user:u{number}" for number in range(51))
    found = shown(f"cases:\n  - as: [{callers}]\n    deny:\n      - PUT /tea‸ms/7\n", CASES)
    assert found.endswith("\n- and 42 more")


@pytest.mark.parametrize(("file", "line"), [("missing.csv", 1), ("teams.csv", 0), ("teams.csv", 99)])
def test_nothing_is_known_outside_of_the_texts(file: str, line: int) -> None:
    assert hover(BASE, ROUTES, file, line, 1, snapshot=snapshot()) is None
    assert definitions(BASE, file, line, 1, snapshot=snapshot()) == ()


def test_a_row_that_was_deleted_meanwhile_has_a_place() -> None:
    sources, name, line, column = marked(CASES, BASE[CASES].replace("PUT /teams", "PUT /tea‸ms"))
    sources["teams.csv"] = "\n"
    (span,) = definitions(sources, name, line, column, snapshot=snapshot())
    assert span == Span("teams.csv", 2, 1, 2)


def test_without_a_policy_there_are_no_routes() -> None:
    for text, file in (
        ("p, anyone, /tea‸ms, GET, allow", "new.csv"),
        ("paths:\n  /tea‸ms:\n", "upstreams/a.openapi.yaml"),
    ):
        sources, name, line, column = marked(file, text)
        assert definitions(sources, name, line, column) == ()


def test_at_most_a_hundred_rows_are_found() -> None:
    rows = "".join(f"p, user:u{number}, /teams, GET, deny\n" for number in range(101))
    assert len(defined(f"{rows}p, anyone, /tea‸ms, GET, allow")) == 100


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
    assert definitions(sources, name, line - 1, 1, snapshot=snapshot({**BASE, **base})) == ()  # `paths:`
