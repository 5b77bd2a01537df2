"""What fits at a position, also of a text that is half written."""

from __future__ import annotations

import random

import pytest

from app.policy.editing.completion import MAX_COMPLETIONS, Completion, completions
from app.policy.language.source import MAX_LINE
from app.policy.routing.routes import Route, RouteTable
from tests.policy.editing.marked import BASE, MARK, ROUTES, marked
from tests.policy.shipped import routes, shipped_files

CASES = "tests/teams.yaml"


def complete(text: str, file: str = "new.csv", **base: str) -> tuple[Completion, ...]:
    sources, name, line, column = marked(file, text, **base)
    return completions(sources, ROUTES, name, line, column)


def texts(text: str, file: str = "new.csv", **base: str) -> list[str]:
    return [each.text for each in complete(text, file, **base)]


def applied(text: str, chosen: str, file: str = "new.csv") -> str:
    """The line after a completion is chosen."""
    (found,) = [each for each in complete(text, file) if each.text == chosen]
    before = text.partition(MARK)[0]
    line = text.replace(MARK, "").split("\n")[before.count("\n")]
    return line[: found.replaces.column - 1] + chosen + line[found.replaces.end - 1 :]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("‸", ["p, ", "g, ", "# end"]),
        ("g‸", ["g, "]),
        ("p, teams:‸", ["teams:read", "teams:write"]),
        ("p, tmw‸", ["teams:write"]),  # the typed characters in their order
        ("p, role:‸, /teams, GET, allow", ["role:admin", "role:editor"]),
        ("p, user:‸", ["user:user_2abc"]),
        ("p, auth:j‸", ["auth:jwt"]),
        ("p, teams:read teams:‸", ["teams:write"]),
        ("p, teams:‸ teams:read", ["teams:write"]),
        ("p, teams:read, /teams/‸", ["/teams/export", "/teams/{team_id}", "/teams/**"]),
        ("p, teams:read, rec‸", ["record"]),
        ("p, app-kind:registered, scope:t‸", ["scope:teams:read", "scope:teams:write"]),
        ("p, teams:read, /teams, ‸", ["GET", "HEAD", "POST"]),
        ("p, teams:read, /teams, GET|‸", ["HEAD", "POST"]),
        ("p, teams:read, /teams/**, P‸", ["POST", "PUT"]),
        ("p, teams:read, record, ‸", ["read", "write"]),
        ("p, app-kind:registered, scope:teams:read, ‸", ["ask"]),
        ("p, teams:read, /teams, GET, ‸", ["allow", "deny"]),
        ("p, teams:read, /teams, GET, d‸", ["deny"]),
        ("p,teams:read,/teams,GET,d‸", ["deny"]),
        ('p, "teams:‸", /teams, GET, allow', ["teams:read", "teams:write"]),
        ("g, role:editor, teams:w‸", ["teams:write"]),
        ("g, role:ad‸, teams:write", ["role:admin"]),
        (
            "p, teams:read, /teams, GET, allow, subject.org.‸",
            ["subject.org.id", "subject.org.role", "subject.org.slug"],
        ),
        ("p, teams:read, /teams/{team_id}, GET, allow, params.tea‸", ["params.team_id"]),
        (
            "p, a, /orgs/**, GET, allow, x && params.‸ == 'a'",
            ["params.key_id", "params.org_id", "params.all(", "params.exists(", "params.exists_one("],
        ),
        ("p, a, /teams, GET, allow, subject.environment == 'l‸", ["live"]),
        ('p, a, /teams, GET, allow, "has(request.ip) && ip_‸"', ["ip_in("]),
        ("p, a, /teams, GET, allow, 'role:‸' in subject.permissions", ["role:admin", "role:editor"]),
        ("p, a, /teams, GET, allow, request.path.starts‸", ["request.path.startsWith("]),
        ("# a comment ‸", []),
        ("p, teams:read, /teams, GET, allow # ‸", []),
        ("g, role:editor, teams:write, ‸", []),
        ("x, ‸", []),
    ],
)
def test_what_fits_in_a_row(text: str, expected: list[str]) -> None:
    assert texts(text) == expected


@pytest.mark.parametrize(
    ("text", "chosen", "expected"),
    [
        ("p, te‸, /teams, GET, allow", "teams:read", "p, teams:read, /teams, GET, allow"),
        ("p, teams:read,‸ /teams, GET, allow", "/teams/**", "p, teams:read,/teams/**, GET, allow"),
        (
            "p, teams:read tea‸ms auth:jwt, /x, GET, deny",
            "teams:write",
            "p, teams:read teams:write auth:jwt, /x, GET, deny",
        ),
        ("p, a, /teams, GE‸T|HEAD, allow", "GET", "p, a, /teams, GET|HEAD, allow"),
        (
            'p, a, /teams, GET, allow, "subject.c‸ == ""x"""',
            "subject.client_id",
            'p, a, /teams, GET, allow, "subject.client_id == ""x"""',
        ),
    ],
)
def test_a_completion_replaces_the_word_at_the_position(text: str, chosen: str, expected: str) -> None:
    assert applied(text, chosen) == expected


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


def test_a_permission_has_its_title_and_meaning() -> None:
    (found,) = complete("p, old:‸")
    assert (found.kind, found.detail, found.meaning) == ("permission", "deprecated: Old", "Nothing any more.")


def test_a_broken_catalogue_still_has_names() -> None:
    broken = BASE["permissions.toml"] + '\n["new:thing"\ntitle = '
    assert "new:thing" in texts("p, ‸", **{"permissions.toml": broken})


def test_keys_of_a_catalogue_with_very_many_blank_lines() -> None:
    """It took minutes, during which a server would have answered nothing."""
    text = f'["catalog:read"]\ntitle = "t"\ngr\n{chr(10) * 300_000}'
    found = completions({"permissions.toml": text}, RouteTable([]), "permissions.toml", 3, 3)
    assert [each.text for each in found] == ['grants = "']


def test_keys_of_the_catalogue() -> None:
    text = '["a:b"]\ntitle = "t"\n‸\n["c:d"]\n'
    assert texts(text, "permissions.toml") == ['grants = "', "deprecated = true"]
    assert texts('["a:b"]\ntitle = "‸"', "permissions.toml") == []


def test_keys_of_an_issuer() -> None:
    text = '[partner]\nissuer = "https://a"\n‸\n[other]\njwks_url = "https://b"\n'
    found = texts(text, "issuers.toml")
    assert (found[0], 'audiences = ["' in found, len(found)) == ('jwks_url = "https://', True, 11)
    assert texts("[partner]\ncl‸", "issuers.toml") == ["clock_skew_seconds = ", 'own_clients = ["']
    assert texts("is‸", "issuers.toml") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("‸", ["subjects:", "resources:"]),
        ("subjects:\n  - type: user\nres‸", ["resources:"]),
        ("subjects:\n  - ‸", ["type: ", "id: ", "properties: "]),
        ("subjects:\n  - type: user\n    ‸", ["id: ", "properties: "]),
        ("subjects:\n  - type: user\n    id: a\n  - type: user\n    ‸", ["id: ", "properties: "]),
        ("subjects:\n  - type: user\n    id: a\n    ‸", ["properties: "]),
        ("subjects:\n- id: a\n  t‸", ["type: ", "properties: "]),
        ("subjects:\n  - type: ‸", ["user", "key"]),
        ("resources:\n  - {type: ‸", ["record"]),
        ("resources:\n  - id: ‸", []),
        ("resources:\n  # ‸", []),
        ("  ‸", []),
    ],
)
def test_entities(text: str, expected: list[str]) -> None:
    assert texts(text, "entities/own.yaml") == expected


def test_routes_of_other_services_are_known() -> None:
    document = "openapi: 3.1.0\npaths:\n  /orders/{id}:\n    get: {}\n"
    name = "upstreams/shop.openapi.yaml"
    assert texts("p, a, shop:‸", **{name: document}) == ["shop:/orders/{id}"]
    assert texts("p, a, shop:/orders/{id}, ‸", **{name: document}) == ["GET", "HEAD", "OPTIONS"]


def test_very_many_routes_are_bounded() -> None:
    table = RouteTable(Route(f"/r{number}/{{id}}", "GET") for number in range(3_000))
    sources, name, line, column = marked("new.csv", "p, a, /r2999‸")
    found = completions(sources, table, name, line, column)
    assert [each.text for each in found][:1] == ["/r2999/{id}"]
    everything = completions(sources, table, name, line, len("p, a, ") + 1)
    assert len(everything) == MAX_COMPLETIONS


@pytest.mark.parametrize(
    ("file", "line", "column"),
    [("missing.csv", 1, 1), ("teams.csv", 0, 1), ("teams.csv", 99, 1), ("teams.csv", -3, -3), ("model.conf", 1, 1)],
)
def test_a_position_outside_of_the_texts_has_no_completion(file: str, line: int, column: int) -> None:
    assert completions(BASE, ROUTES, file, line, column) == ()


def test_a_column_behind_the_line_is_its_end() -> None:
    end = len(BASE["teams.csv"].split("\n")[0]) + 1
    assert completions(BASE, ROUTES, "teams.csv", 1, 999) == completions(BASE, ROUTES, "teams.csv", 1, end) != ()


def test_a_line_over_the_limit_has_no_completion() -> None:
    assert texts("p, " + "x" * MAX_LINE + "‸") == []


def test_no_text_that_is_half_written_fails() -> None:
    """Every beginning of every line of a random sample of the shipped policy, with what was there behind it or not."""
    texts_ = {name: data.decode() for name, data in shipped_files().items()}
    chosen = random.Random(18)
    table = routes()
    for _ in range(300):
        file = chosen.choice(sorted(texts_))
        lines = texts_[file].split("\n")
        number = chosen.randrange(len(lines))
        column = chosen.randrange(len(lines[number]) + 1)
        typed = "".join(chosen.choices("\"',|/{}[]:#.- (é😀", k=chosen.randrange(4)))
        rest = lines[number][column:] if chosen.random() < 0.5 else ""
        lines[number] = lines[number][:column] + typed + rest
        sources = {**texts_, file: "\n".join(lines)}
        for each in completions(sources, table, file, number + 1, column + len(typed) + 1):
            assert each.replaces.column <= column + len(typed) + 1 <= each.replaces.end
