"""What fits at a position, also of a text that is half written."""

from __future__ import annotations

import random

import pytest

from app.policy.editing.completion import completions
from app.policy.editing.meanings import FUNCTION_MEANINGS
from app.policy.language.source import MAX_LINE
from app.policy.language.when.shape import describe
from app.policy.routing.routes import METHODS, Route, RouteTable
from tests.policy.editing.completing import applied, complete, texts
from tests.policy.editing.marked import BASE, ROUTES, marked
from tests.policy.shipped import routes, shipped_files

FIELDS = dict(describe())


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
        ("#‸", []),
        ("g‸, role:editor, teams:write", ["g, "]),
        ('"p‸, teams', ["p, "]),
        ("p, user:user_2‸, /teams, GET, allow", ["user:user_2abc"]),  # and not the name that is being typed
        ("p, re‸", "teams:read old:read app-kind:registered teams:write role:admin role:editor user:user_2abc".split()),
        ("p, old‸:read, /teams, GET, allow", ["old:read", "role:admin", "role:editor"]),
        ('p, "", record, ‸', ["read", "write"]),
        ('p, "a"",b", record, ‸', ["read", "write"]),  # a comma behind a doubled quote
        ("p, a, record:7, ‸", ["read", "write"]),
        ("p, a, ghost, ‸", []),
        ("p, a, /teams, |P‸", ["POST"]),
        ("p, a, , ‸", list(METHODS)),
        ("g, role:editor, role:‸", ["role:admin"]),  # not the member itself
        ("g, role:editor, auth:‸", []),
    ],
)
def test_what_fits_in_a_row(text: str, expected: list[str]) -> None:
    assert texts(text) == expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("subject.type != '‸", ["user", "key", "app", "anonymous"]),
        ("subject.method == '‸", ["jwt", "api_key", "oauth", "anonymous", "authzen"]),
        ("subject.environment == '‸", ["live", "test"]),
        ("resource.type == '‸", ["route"]),
        ("request.method == '‸", list(METHODS)),
        ("action.name == '‸", list(METHODS)),
        ("subject.ghost == '‸", []),
        ("subject.type == 'user' && params.t‸", ["params.team_id", "params.exists(", "params.exists_one("]),
        ("params.team_id.‸", [f"params.team_id.{name}(" for name in ("contains", "startsWith", "endsWith")]),
        ("params.team_id.x.‸", []),
        ("subject.permissions.‸", [f"subject.permissions.{name}(" for name in ("all", "exists", "exists_one")]),
        ("foo.bar.‸", []),
        ("ip_in(request.ip, request.pa‸", ["request.path"]),
    ],
)
def test_what_fits_in_a_condition(condition: str, expected: list[str]) -> None:
    assert texts(f"p, a, /teams/{{team_id}}, GET, allow, {condition}") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("‸", ("p, ", "keyword", "p, needs, resource, action, effect[, condition]", "")),
        ("g‸", ("g, ", "keyword", "g, member, grant", "")),
        ("p, a, /teams, GET, a‸", ("allow", "value", "allow what the row names to holders of what it needs", "")),
        ("p, a, /teams, GET, d‸", ("deny", "value", "deny it to them, whatever other rows allow", "")),
        ("p, teams:r‸", ("teams:read", "permission", "See teams", "Read all teams.")),
        ("p, old:‸", ("old:read", "permission", "deprecated: Old", "Nothing any more.")),
        ("p, role:‸", ("role:admin", "role", "role", "every member that a `g` row gives it to")),
        ("p, user:‸", ("user:user_2abc", "fact", "this user", "")),
        ("p, auth:j‸", ("auth:jwt", "fact", "a user with a JWT", "")),
        ("p, a, /teams‸", ("/teams", "route", "GET HEAD POST", "")),
        ("p, a, rec‸", ("record", "thing", "read|write", "")),
        ("p, a, scope:t‸", ("scope:teams:read", "thing", "ask", "")),
        ("p, a, /teams, G‸", ("GET", "action", "", "")),
        ("p, a, /x, GET, allow, has‸", ("has(", "function", FUNCTION_MEANINGS["has"], "")),
        (
            "p, a, /x, GET, allow, subject.org.i‸",
            ("subject.org.id", "field", "string", FIELDS["subject.org.id"].meaning),
        ),
    ],
)
def test_a_completion_is_described(text: str, expected: tuple[str, ...]) -> None:
    found = complete(text)[0]
    assert (found.text, found.kind, found.detail, found.meaning) == expected


def test_a_path_with_several_routes_below_is_a_pattern_with_their_number() -> None:
    routes = RouteTable(Route(path, "GET") for path in ("/a", "/a/b", "/c/{id}", "/d/e/{f}.{g}", "/d/e/h"))
    document = {"upstreams/shop.openapi.yaml": "openapi: 3.1.0\npaths:\n  /x:\n    get: {}\n  /x/y:\n    get: {}\n"}
    sources, name, line, column = marked("new.csv", "p, r, ‸", **document)
    found = completions(sources, routes, name, line, column)
    patterns = {each.text: each.detail for each in found if each.text.endswith("/**")}
    assert patterns == {"/a/**": "2 routes", "/d/**": "2 routes", "/d/e/**": "2 routes", "shop:/x/**": "2 routes"}


def test_each_parameter_of_a_segment_fits_in_a_condition() -> None:
    routes = RouteTable([Route("/files/{name}.{kind}", "GET"), Route("/files/{name}.{kind}/{page}", "GET")])
    sources, name, line, column = marked("new.csv", "p, r, /files/**, GET, allow, params.‸")
    found = [each.text for each in completions(sources, routes, name, line, column)]
    assert found[:3] == ["params.kind", "params.name", "params.page"]


@pytest.mark.parametrize(
    ("text", "chosen", "expected"),
    [
        ("  ‸ ", "p, ", "p, "),
        ("p, a‸, /teams, GET, allow", "anyone", "p, anyone, /teams, GET, allow"),
        ("p, teams:read ‸teams:write, /x, GET, deny", "old:read", "p, teams:read old:read, /x, GET, deny"),
        (
            'p, a, /x, GET, allow, "subject.client_id == ""a"" && \'role:ad‸"',
            "role:admin",
            'p, a, /x, GET, allow, "subject.client_id == ""a"" && \'role:admin"',
        ),
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
    assert len(texts("[partner]\n‸", "issuers.toml")) == 12
    assert applied("[partner]\n\n  own‸", 'own_clients = ["', "issuers.toml") == '  own_clients = ["'
    (first, *_) = complete("[partner]\n‸", "issuers.toml")
    assert (first.kind, first.detail) == ("keyword", "the `iss` of its tokens")


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
        ("res‸", ["resources:"]),
        ("subjects:\n  - p‸", ["properties: ", "type: "]),
        ("subjects:\n  - type: user\n    i‸d: x", ["id: ", "properties: "]),
        ("subjects:\n  - id: a\n\n    ‸", ["type: ", "properties: "]),
        ("subjects:\n  - id: a\n    properties:\n      list:\n        - type: b\n    ‸", ["type: "]),
        ("subjects:\n  - id: a\n    properties:\n      type: b\n    ‸", ["type: "]),
        ("subjects:\n  - id: a\n  - type: user\n    id: b\nresources:\n  - type: ‸", ["record"]),
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
    assert len(everything) == 500


@pytest.mark.parametrize(
    ("file", "line", "column"),
    [("missing.csv", 1, 1), ("teams.csv", 0, 1), ("teams.csv", 99, 1), ("teams.csv", -3, -3), ("model.conf", 1, 1)],
)
def test_a_position_outside_of_the_texts_has_no_completion(file: str, line: int, column: int) -> None:
    assert completions(BASE, ROUTES, file, line, column) == ()


def test_a_column_outside_of_the_line_is_its_beginning_or_its_end() -> None:
    end = len(BASE["teams.csv"].split("\n")[0]) + 1
    for column in (0, -5):
        assert completions(BASE, ROUTES, "teams.csv", 1, column) == completions(BASE, ROUTES, "teams.csv", 1, 1) != ()
    assert completions(BASE, ROUTES, "teams.csv", 1, 999) == completions(BASE, ROUTES, "teams.csv", 1, end) != ()


def test_a_line_over_the_limit_has_no_completion() -> None:
    assert texts("p, " + " " * (MAX_LINE - 3) + "‸") != []
    assert texts("p, " + " " * (MAX_LINE - 2) + "‸") == []


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
