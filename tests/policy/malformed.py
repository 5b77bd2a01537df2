"""Changes to the shipped policy that must be refused, each with the code of the fault and its place.

The mark `‸` in a text is the expected place of the fault, and is removed before the policy is written; without a mark
the fault is of the whole file.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.policy.shipped import shipped_files

MARK = "‸"
ROW = "p, catalog:read, /api/v1/teams/**, GET|HEAD, "
TOML = "permissions.toml"
MODEL = "model.conf"


@dataclass(frozen=True)
class Malformed:
    """A change: its description, the code of its fault, the file, its new bytes or None, and the place."""

    name: str
    code: str
    file: str
    data: bytes | None
    line: int
    column: int
    where: str = ""  # the file of the fault, if it is not the changed one


def _place(text: str) -> tuple[int, int]:
    before, mark, _ = text.partition(MARK)
    return (before.count("\n") + 1, len(before) - before.rfind("\n")) if mark else (0, 0)


def _text(name: str, code: str, file: str, text: str) -> Malformed:
    return Malformed(name, code, file, text.replace(MARK, "").encode(), *_place(text))


def complete(name: str, code: str, file: str, text: str) -> Malformed:
    """The complete content of a file."""
    return _text(name, code, file, text)


def row(name: str, code: str, text: str, file: str = "catalog.csv") -> Malformed:
    """Add lines before the last."""
    shipped = shipped_files()[file].decode() if file in shipped_files() else "# end\n"
    return _text(name, code, file, shipped.removesuffix("# end\n") + text + "\n# end\n")


def swap(name: str, code: str, file: str, old: str, new: str) -> Malformed:
    """Replace the first `old` by `new`."""
    shipped = shipped_files()[file].decode()
    assert old in shipped, f"{file} no longer has {old!r}"
    return _text(name, code, file, shipped.replace(old, new, 1))


def removed(name: str, code: str, file: str, old: str, new: str = "") -> Malformed:
    """Remove the first `old`, or replace it by `new`; the fault is at the end of the file."""
    found = swap(name, code, file, old, new)
    assert found.data is not None
    return Malformed(name, code, file, found.data, found.data.count(b"\n"), 1)


def raw(name: str, code: str, file: str, data: bytes | None, place: tuple[int, int] = (0, 0)) -> Malformed:
    """The exact bytes; None for a deleted file."""
    return Malformed(name, code, file, data, *place)


_CATALOG = shipped_files()["catalog.csv"]
_END = _CATALOG.count(b"\n")
_FIRST = len(_CATALOG.split(b"\n")[0])
_ADMIN_END = shipped_files()["admin.csv"].count(b"\n")
EFFECT = "e = some(where (p.eft == allow))"

MALFORMED = (
    # effects
    row("deny with a capital", "effect", f"{ROW}‸Deny"),
    row("denny", "effect", f"{ROW}‸denny"),
    row("ALLOW in capitals", "effect", f"{ROW}‸ALLOW"),
    row("an effect in another language", "effect", f"{ROW}‸verbieten"),
    row("a Cyrillic a in allow", "effect", f"{ROW}‸\u0430llow"),
    row("fullwidth letters in deny", "effect", f"{ROW}‸\uff44eny"),
    row("no effect", "effect", f"{ROW}‸"),
    row("two effects", "effect", f"{ROW}‸allow|deny"),
    # deceptive bytes
    raw("a byte order mark", "unseen-character", "catalog.csv", b"\xef\xbb\xbf" + _CATALOG, (1, 1)),
    raw(
        "a byte order mark in the catalogue", "unseen-character", TOML, b"\xef\xbb\xbf" + shipped_files()[TOML], (1, 1)
    ),
    row("a NUL", "unseen-character", f"{ROW}allow‸\0"),
    raw(
        "CR alone",
        "unseen-character",
        "catalog.csv",
        _CATALOG.replace(b"\n", b"\r"),
        (1, _FIRST + 1),
    ),
    row("a CR within a row", "unseen-character", f"{ROW}‸\rdeny"),
    row("a CR before CR LF", "unseen-character", f"{ROW}deny‸\r\r"),
    row("a form feed between rows", "unseen-character", "‸\f"),
    row("a vertical tab for a line break", "unseen-character", f"{ROW}allow‸\v{ROW}deny"),
    row("a next-line character", "unseen-character", f"{ROW}allow‸\x85"),
    row("a line separator", "unseen-character", f"{ROW}allow‸\u2028{ROW}deny"),
    row("a right-to-left override", "unseen-character", "p, ‸\u202ecatalog:read, /api/v1/teams/**, GET, allow"),
    row("a bidi isolate in a comment", "unseen-character", "# see ‸\u2066p, anyone, /**, GET, allow\u2069"),
    row("an Arabic letter mark", "unseen-character", f"{ROW}‸\u061callow"),
    row("a zero-width space", "unseen-character", f"{ROW}de‸\u200bny"),
    row("a zero-width joiner", "unseen-character", f"{ROW}de‸\u200dny"),
    row("a word joiner", "unseen-character", f"{ROW}de‸\u2060ny"),
    row("a soft hyphen", "unseen-character", f"{ROW}de‸\u00adny"),
    row("a no-break space", "unseen-character", "p, catalog:read,‸\u00a0/api/v1/teams/**, GET, deny"),
    row("a variation selector", "unseen-character", f"{ROW}deny‸\ufe0f"),
    row("a Hangul filler", "unseen-character", f"{ROW}deny‸\u3164"),
    row("a tag character", "unseen-character", f"{ROW}deny‸\U000e0064"),
    row("a private-use character", "unseen-character", f"{ROW}deny‸\ue000"),
    row("an escape sequence of a terminal", "unseen-character", "# ‸\x1b[2K"),
    raw(
        "Latin-1",
        "encoding",
        "catalog.csv",
        _CATALOG.replace(b"# end", "# für".encode("latin-1") + b"\n# end"),
        (_END, 4),
    ),
    raw("UTF-16", "encoding", "catalog.csv", _CATALOG.decode().encode("utf-16"), (1, 1)),
    raw(
        "an overlong slash",
        "encoding",
        "catalog.csv",
        _CATALOG.replace(b"# end", b"p, anyone, \xc0\xaf**, GET, allow\n# end"),
        (_END, 12),
    ),
    raw("a lone surrogate", "encoding", "catalog.csv", _CATALOG.replace(b"# end", b"# \xed\xa0\x80\n# end"), (_END, 3)),
    # malformed rows
    row("a quote that is never closed in needs", "quotes", 'p, ‸"catalog:read, /api/v1/teams/**, GET, deny'),
    row("a quote that is never closed first", "quotes", '‸"p, catalog:read, /api/v1/teams/**, GET, deny'),
    row("a quote within a cell", "quotes", 'p, catalog‸":"read, /api/v1/teams/**, GET, deny'),
    row("text before a quote", "quotes", 'p, x ‸"catalog:read", /api/v1/teams/**, GET, deny'),
    row("text behind a quote in the middle", "quotes", 'p, ‸"catalog:read" x, /api/v1/teams/**, GET, deny'),
    row("a single quote for a quote", "effect", f"{ROW}‸'deny'"),
    row("a quoted cell that is misspelt", "effect", f'{ROW}‸"denny"'),
    row("a blank within quotes", "effect", f'{ROW}‸" deny"'),
    row(
        "a grant misspelt within quotes", "unknown-grant", 'p, "catalog:read ‸catalog:rea", /api/v1/teams/**, GET, deny'
    ),
    row("methods with a comma in quotes", "unknown-action", 'p, catalog:read, /api/v1/teams/**, "‸GET,HEAD", deny'),
    row("a comment in quotes", "row-type", '‸"# note", catalog:read, /api/v1/teams/**, GET, deny'),
    row("a row in one pair of quotes", "row-type", '‸"p, catalog:read, /api/v1/teams/**, GET, deny"'),
    row("a quote that is never closed", "quotes", f'{ROW}deny, ‸"params.id == 1'),
    row("text after a quote", "quotes", f'{ROW}deny, ‸"params.id" == 1'),
    row("a condition with bare quotes", "quotes", f'{ROW}deny, params.id == ‸"7"'),
    row("a comment behind the effect", "trailing-comment", f"{ROW}deny ‸# for now"),
    row("a comment behind a comma", "trailing-comment", f"{ROW}deny, ".replace("deny, ", "‸# deny")),
    row("a comment for a condition", "trailing-comment", f"{ROW}deny, ‸# for now"),
    row("a comment behind a quoted effect", "trailing-comment", f'{ROW}"deny" ‸# for now'),
    row("a comment behind a condition in quotes", "trailing-comment", f'{ROW}deny, "1 == 1" ‸# for now'),
    row("a comment behind a g row", "trailing-comment", "g, user:user_2abc, role:editor ‸# Ann", "roles.csv"),
    row("a comment that is indented", "trailing-comment", "  ‸# p, catalog:read"),
    row("semicolons", "separator", "‸p; catalog:read; /api/v1/teams/**; GET; deny"),
    row("tabs for commas", "separator", "‸p\tcatalog:read\t/api/v1/teams/**\tGET\tdeny"),
    row("a tab between grants", "unknown-grant", "p, ‸catalog:read\tcatalog:write, /api/v1/teams/**, GET, deny"),
    row("too few cells", "arity", "p, catalog:read, /api/v1/teams/**, ‸GET"),
    row("too many cells", "arity", f"{ROW}deny, params.id == '7', ‸allow"),
    row("a condition with a comma and no quotes", "arity", f"{ROW}deny, params.id in ['7', ‸'8']"),
    row("methods separated by commas", "arity", "p, catalog:read, /api/v1/teams/**, GET, HEAD, PUT, ‸allow"),
    row("a p alone", "arity", "‸p"),
    row("a g alone", "arity", "‸g"),
    row("a g row with a domain", "arity", "g, user:user_2abc, role:editor, ‸league-1"),
    row("a g row too short", "arity", "g, ‸role:editor"),
    row("p2", "row-type", "‸p2, catalog:read, /api/v1/teams/**, GET, deny"),
    row("g2", "row-type", "‸g2, user:user_2abc, role:editor"),
    row("a capital P", "row-type", "‸P, catalog:read, /api/v1/teams/**, GET, deny"),
    row("a Cyrillic p", "row-type", "‸\u0440, catalog:read, /api/v1/teams/**, GET, deny"),
    row("no row type", "row-type", "‸catalog:read, /api/v1/teams/**, GET, deny"),
    row("an empty row type", "row-type", "‸, catalog:read, /api/v1/teams/**, GET, deny"),
    row("commas alone", "row-type", "‸,,,,"),
    row("a header line", "row-type", "‸ptype,v0,v1,v2,v3"),
    # needs
    row("an unknown permission", "unknown-grant", "p, ‸catalog:raed, /api/v1/teams/**, GET, deny"),
    row(
        "the second of two grants unknown", "unknown-grant", "p, catalog:read ‸catalog:rea, /api/v1/teams/**, GET, deny"
    ),
    row("a Cyrillic a in a permission", "unknown-grant", "p, ‸c\u0430talog:read, /api/v1/teams/**, GET, deny"),
    row("a fullwidth colon", "unknown-grant", "p, ‸catalog\uff1aread, /api/v1/teams/**, GET, deny"),
    row("a wildcard for all grants", "unknown-grant", "p, ‸*, /api/v1/teams/**, GET, deny"),
    row("a wildcard in a grant", "unknown-grant", "p, ‸catalog:*, /api/v1/teams/**, GET, deny"),
    row("an unknown fact", "unknown-grant", "p, ‸auth:JWT, /api/v1/teams/**, GET, deny"),
    row("an unknown environment", "unknown-grant", "p, ‸env:staging, /api/v1/teams/**, POST, deny"),
    row("a key by its prefix", "unknown-grant", "p, ‸key:grd_live_0a1b, /api/v1/teams/**, GET, deny"),
    row("a user without a name", "unknown-grant", "p, ‸user:, /api/v1/teams/**, GET, deny"),
    row("no needs", "needs", "p, ‸, /api/v1/teams/**, GET, deny"),
    row("two spaces between grants", "needs", "p, ‸catalog:read  catalog:write, /api/v1/teams/**, GET, deny"),
    row("a grant twice", "needs", "p, ‸catalog:read catalog:read, /api/v1/teams/**, GET, deny"),
    row("grants separated by a bar", "unknown-grant", "p, ‸catalog:read|catalog:write, /api/v1/teams/**, GET, deny"),
    row("users separated by a bar", "unknown-grant", "p, ‸user:user_a|user:user_b, /api/v1/teams/**, GET, deny"),
    row("a person with a key", "never-held", "p, ‸auth:api_key auth:jwt, /api/v1/teams/**, GET, deny"),
    row("both environments", "never-held", "p, ‸env:live env:test, /api/v1/teams/**, POST, deny"),
    row("a role that no row knows", "unknown-role", "p, ‸role:editr, /api/v1/teams/**, POST, deny"),
    row("a role that is given and defined nowhere", "unknown-role", "g, user:user_2abc, ‸role:edtor", "roles.csv"),
    row("a role that fills a role and is defined nowhere", "unknown-role", "g, role:admin, ‸role:auditor", "roles.csv"),
    # resources
    row("a star inside a segment", "resource", "p, catalog:read, ‸/api/v1/team*, GET, deny"),
    row("stars in the middle", "resource", "p, catalog:read, ‸/api/**/teams, GET, deny"),
    row("three stars", "resource", "p, catalog:read, ‸/api/v1/***, GET, deny"),
    row("a last slash", "resource", "p, catalog:read, ‸/api/v1/teams/, GET, deny"),
    row("two slashes", "resource", "p, catalog:read, ‸/api//v1/teams, GET, deny"),
    row("two slashes first", "resource", "p, catalog:read, ‸//api/v1/teams, GET, deny"),
    row("no resource", "resource", "p, catalog:read, ‸, GET, deny"),
    row("a path without its first slash", "resource", "p, catalog:read, ‸api/v1/teams/**, GET, deny"),
    row("an address for a path", "resource", "p, catalog:read, ‸https://griddy.example/api, GET, deny"),
    row("a query", "resource", "p, catalog:read, ‸/api/v1/teams?x=1, GET, deny"),
    row("Casbin's :id", "dead-row", "p, catalog:read, ‸/api/v1/teams/:id, GET, deny"),
    row("a parameter with a type", "resource", "p, catalog:read, ‸/api/v1/teams/{id:int}, GET, deny"),
    row("a regular expression", "resource", "p, catalog:read, ‸/api/v1/(teams|venues), GET, deny"),
    row("a space in a path", "resource", "p, catalog:read, ‸/api/v1/video assets, GET, deny"),
    row("a non-ASCII path", "resource", "p, catalog:read, ‸/api/v1/te\u0430ms, GET, deny"),
    row("a concrete path for a template", "dead-row", "p, catalog:read, ‸/api/v1/teams/7, GET, deny"),
    row("a path in capitals", "dead-row", "p, catalog:read, ‸/api/v1/Teams/**, GET, deny"),
    row("a route that is gone", "dead-row", "p, catalog:read, ‸/api/v1/stadiums/**, GET, deny"),
    # actions
    row("a method in lower case", "unknown-action", "p, catalog:read, /api/v1/teams/**, ‸get, deny"),
    row("an unknown method", "unknown-action", "p, catalog:read, /api/v1/teams/**, GET|‸FETCH, deny"),
    row("a star for all methods", "unknown-action", "p, catalog:read, /api/v1/teams/**, ‸*, deny"),
    row("Casbin's methods in parentheses", "unknown-action", "p, catalog:read, /api/v1/teams/**, ‸(GET)|(POST), deny"),
    row("no action", "unknown-action", "p, catalog:read, /api/v1/teams/**, ‸, deny"),
    row("a bar last", "unknown-action", "p, catalog:read, /api/v1/teams/**, ‸GET|, deny"),
    row("an action twice", "action-twice", "p, catalog:read, /api/v1/teams/**, ‸GET|GET, deny"),
    row("an action that no route has", "dead-action", "p, catalog:read, /api/v1/api-keys/**, GET|‸PATCH, deny"),
    row("spaces in actions", "unknown-action", "p, catalog:read, /api/v1/teams/**, ‸GET | HEAD, deny"),
    row("a deny of a thing that nothing allows", "idle-deny", "p, catalog:read, team:7, ‸wrte, deny"),
    row("a deny of parameters where there are none", "dead-row", "p, env:test, ‸/api/v1/{name}, GET, deny"),
    # conditions
    row("an empty condition", "condition", f"{ROW}deny,‸"),
    row("an unknown variable", "condition", f"{ROW}deny, ‸parms.id == '7'"),
    row("a condition of the wrong type", "condition", f"{ROW}deny, ‸1"),
    row("a condition cut short", "condition", f"{ROW}deny, params.id ==‸"),
    row("a fault after doubled quotes", "condition", f'{ROW}deny, "params.id == ""7"" && ‸parms.id == ""8"""'),
    # g rows
    row("a g row that grants a fact", "stated-fact", "g, role:editor, ‸auth:jwt", "roles.csv"),
    row("a g row that makes another user", "stated-fact", "g, role:editor, ‸user:user_2abc", "roles.csv"),
    row("a g row that grants anyone", "stated-fact", "g, role:editor, ‸anyone", "roles.csv"),
    row("a g row for an unknown permission", "unknown-grant", "g, role:editor, ‸catalog:raed", "roles.csv"),
    row("a g row for everyone by a star", "unknown-grant", "g, ‸*, catalog:read", "roles.csv"),
    row("a role in capitals", "unknown-grant", "g, ‸role:Editor, catalog:read", "roles.csv"),
    row("a circle of roles", "circle", "‸g, role:viewer, role:admin", "roles.csv"),
    row("a role of itself", "circle", "‸g, role:viewer, role:viewer", "roles.csv"),
    # missing targets
    removed("a route without a row", "unruled-route", "public.csv", "p, anyone, /readyz, GET|HEAD, allow\n"),
    removed("a method without a row", "unruled-route", "api_keys.csv", "|HEAD|POST"),
    removed("a row commented out", "unruled-route", "admin.csv", "p, policies:read", "# p, policies:read"),
    Malformed("a file without its rows", "unruled-route", "api_keys.csv", b"# end\n", _ADMIN_END, 1, where="admin.csv"),
    raw("no model", "missing-file", MODEL, None),
    raw("no catalogue", "missing-file", TOML, None),
    # no request could repair it
    row("a deny of every reload", "lock-out", "‸p, anyone, /api/v1/policies/reload, POST, deny", "admin.csv"),
    row("a wide deny of every reload", "lock-out", "‸p, anyone, /**, POST, deny", "public.csv"),
    row(
        "a deny of every reload on a condition that is always true",
        "lock-out",
        "‸p, anyone, /api/v1/policies/**, POST, deny, 1 == 1",
        "admin.csv",
    ),
    row(
        "a deny of every reload on a condition that always fails",
        "lock-out",
        "‸p, anyone, /api/v1/policies/**, POST, deny, 1 / 0 == 1",
        "admin.csv",
    ),
    row(
        "denies that are a lock-out only together",
        "lock-out",
        "‸p, auth:jwt, /api/v1/policies/reload, POST, deny\np, auth:api_key, /api/v1/policies/reload, POST, deny",
        "admin.csv",
    ),
    row(
        "a deny of every holder of what reload needs",
        "lock-out",
        "‸p, policies:write, /api/v1/policies/reload, POST, deny",
        "admin.csv",
    ),
    removed(
        "reload for a role without a holder",
        "lock-out",
        "admin.csv",
        "p, policies:write, /api/v1/policies/reload",
        "p, role:admin, /api/v1/policies/reload",
    ),
    removed(
        "reload for strangers who are keys",
        "lock-out",
        "admin.csv",
        "p, policies:write, /api/v1/policies/reload",
        "p, auth:anonymous, /api/v1/policies/reload",
    ),
    removed(
        "reload on a condition that is never met",
        "lock-out",
        "admin.csv",
        "/reload, POST, allow",
        "/reload, POST, allow, 1 == 2",
    ),
    removed(
        "reload on a condition that always fails",
        "lock-out",
        "admin.csv",
        "/reload, POST, allow",
        "/reload, POST, allow, 1 / 0 == 1",
    ),
    # the catalogue
    complete("an empty catalogue", "catalog", TOML, "‸# end\n"),
    complete("a catalogue without a line", "catalog", TOML, "‸"),
    complete("a catalogue of one line that ends too early", "toml", TOML, '‸["catalog:read'),
    complete("a list for a catalogue", "toml", TOML, '["catalog:read"‸, "catalog:write"]\n# end\n'),
    complete("JSON for TOML", "toml", TOML, "‸{}\n# end\n"),
    complete("YAML for TOML", "toml", TOML, "catalog‸: read\n# end\n"),
    swap("a text that is never closed", "toml", TOML, 'title = "Read the catalog"', 'title = "Read the catalog‸'),
    swap("a text without quotes", "toml", TOML, 'title = "Read the catalog"', "title = ‸Read the catalog"),
    swap("a table twice", "toml", TOML, '["catalog:write"]', '["catalog:read"‸]'),
    swap("a key twice", "toml", TOML, 'title = "Read the catalog"', 'title = "a"\ntitle = "b"‸'),
    swap("a name without quotes", "toml", TOML, '["catalog:read"]', "[catalog‸:read]"),
    swap("a name separated by a dot", "catalog", TOML, '["catalog:read"]', "[‸catalog.read]"),
    swap("a name in capitals", "catalog", TOML, '["catalog:read"]', '["‸Catalog:read"]'),
    swap("a name with a wildcard", "catalog", TOML, '["catalog:read"]', '["‸catalog:*"]'),
    swap("a name with a Cyrillic a", "catalog", TOML, '["catalog:read"]', '["‸c\u0430talog:read"]'),
    swap("a name with a space", "catalog", TOML, '["catalog:read"]', '["‸catalog:read holdings:read"]'),
    raw(
        "a name with an escaped line break",
        "catalog",
        TOML,
        shipped_files()[TOML].replace(b'["catalog:read"]', b'["catalog:read\\n"]'),
        (1, 1),
    ),
    swap("a permission named like a fact", "catalog", TOML, '["catalog:read"]', '["‸role:admin"]'),
    swap("a permission named like a user", "catalog", TOML, '["catalog:read"]', '["‸user:user"]'),
    swap("a misspelt key", "catalog", TOML, 'title = "Read the catalog"', '‸titel = "Read the catalog"'),
    swap("a key outside of any table", "catalog", TOML, '["catalog:read"]', '‸title = "all"\n["catalog:read"]'),
    swap("no title", "catalog", TOML, '["catalog:read"]\ntitle = "Read the catalog"\n', '["‸catalog:read"]\n'),
    swap("an empty title", "catalog", TOML, 'title = "Read the catalog"', '‸title = ""'),
    swap("a title of blanks", "catalog", TOML, 'title = "Read the catalog"', '‸title = "  "'),
    swap("a title that is a number", "catalog", TOML, 'title = "Read the catalog"', "‸title = 7"),
    swap("a title with an escaped override", "catalog", TOML, 'title = "Read the catalog"', '‸title = "\\u202eRead"'),
    swap("a deprecation in words", "catalog", TOML, 'title = "Read the catalog"', 'title = "a"\n‸deprecated = "yes"'),
    swap("a table nested too deep", "toml", TOML, '["catalog:read"]', "‸x = " + "[" * 3900 + '\n["catalog:read"]'),
    # the model
    swap("a model without deny", "model", MODEL, f"{EFFECT} && !some(where (p.eft == deny))", f"‸{EFFECT}"),
    swap("a model that allows what nothing denies", "model", MODEL, f"{EFFECT} && ", "‸e = "),
    swap(
        "a model by priority",
        "model",
        MODEL,
        f"{EFFECT} && !some(where (p.eft == deny))",
        "‸e = priority(p.eft) || deny",
    ),
    swap("a matcher that matches all", "model", MODEL, "m = r.obj", "‸m = true || r.obj"),
    swap("a matcher that matches paths", "model", MODEL, "m = r.obj == p.obj", "‸m = keyMatch(r.obj, p.obj)"),
    swap(
        "a matcher without grants",
        "model",
        MODEL,
        "m = r.obj == p.obj && r.act == p.act && holds(r.held, p.needs)",
        "‸m = r.obj == p.obj && r.act == p.act",
    ),
    swap("a matcher with a blank inside a name", "model", MODEL, "m = r.obj", "‸m = r.o bj"),
    swap("cells in another order", "model", MODEL, "p = needs, obj, act", "‸p = needs, act, obj"),
    swap("a key in capitals", "model", MODEL, "r = held", "‸R = held"),
    swap("a comment behind a value", "model", MODEL, "r = held, obj, act, ctx", "‸r = held, obj, act, ctx # who"),
    swap("a section more", "model", MODEL, "[matchers]", "‸[role_definition]\ng = _, _\n\n[matchers]"),
    swap("a section misspelt", "model", MODEL, "[policy_effect]", "‸[policy_efect]"),
    row("a second matcher", "model", "‸m2 = true", MODEL),
    row("a section twice", "model", "‸[policy_effect]\ne = some(where (p.eft == allow))", MODEL),
    removed(
        "a model without its matcher",
        "model",
        MODEL,
        "m = r.obj == p.obj && r.act == p.act && holds(r.held, p.needs) && met(p.when, r.ctx)\n",
    ),
    complete("an empty model", "model", MODEL, "‸# end\n"),
    # incomplete files
    complete("an empty file", "cut-short", "catalog.csv", "‸"),
    complete("a line break alone", "cut-short", "catalog.csv", "‸\n"),
    complete("a file of blanks", "cut-short", "catalog.csv", "   ‸"),
    raw(
        "a file cut between two rows",
        "cut-short",
        "catalog.csv",
        b"\n".join(_CATALOG.split(b"\n")[:5]) + b"\n",
        (5, len(_CATALOG.split(b"\n")[4]) + 1),
    ),
    raw("a file without its last line break", "cut-short", "catalog.csv", _CATALOG[:-1], (_END, 6)),
    raw("blank lines behind the end", "cut-short", "catalog.csv", _CATALOG + b"\n", (_END + 1, 1)),
    raw("rows behind the end", "cut-short", "catalog.csv", _CATALOG + b"p, anyone, /**, GET, deny\n", (_END + 1, 26)),
    raw("an end in capitals", "cut-short", "catalog.csv", _CATALOG.replace(b"# end", b"# END"), (_END, 6)),
    row("an end before the end", "early-end", f"‸# end\n{ROW}deny"),
    row("a file twice over", "early-end", f"{ROW}allow\n‸# end\n{ROW}allow"),
    row("a line too long", "long-line", "#" * 4000 + "‸#"),
    row("a row too long", "long-line", "p, " + "catalog:read " * 307 + "catalo‸g:read, /api/v1/teams/**, GET, deny"),
    row("a thousand faults", "too-many-faults", "p\n" * 100 + "‸p\n" + "p\n" * 899),
    complete("a test with a byte order mark", "unseen-character", "tests/extra.yaml", "‸\ufeffcases: []\n# end\n"),
    # files that do not belong to the policy
    raw("an ending in capitals", "stray-file", "extra.CSV", b"# end\n"),
    raw("an ending misspelt", "stray-file", "extra.cvs", b"# end\n"),
    raw("a copy by a file manager", "stray-file", "catalog (copy).csv", b"# end\n"),
    raw("another copy by a file manager", "stray-file", "catalog - Copy.csv", b"# end\n"),
    raw("a conflict of Dropbox", "stray-file", "catalog (Ann's conflicted copy 2026-01-02).csv", b"# end\n"),
    raw("a conflict of Syncthing", "stray-file", "catalog.sync-conflict-20260102-030405-ABCDEFG.csv", b"# end\n"),
    raw("an ending more", "stray-file", "catalog.csv.txt", b"# end\n"),
    raw("a catalogue with an ending in capitals", "stray-file", "permissions.TOML", b"# end\n"),
    raw("an entity with another ending", "stray-file", "entities/users.yml", b"# end\n"),
    raw("an upstream with another ending", "stray-file", "upstreams/orders.openapi.yml", b"openapi: 3.1.0\n"),
    raw("an upstream without its ending", "stray-file", "upstreams/orders.yaml", b"openapi: 3.1.0\n"),
    raw("a spreadsheet", "stray-file", "catalog.xlsx", b"PK"),
    raw("an archive", "stray-file", "catalog.csv.gz", b"\x1f\x8b"),
    raw("a second model", "stray-file", "model2.conf", b"# end\n"),
    raw("a file without an ending", "stray-file", "catalog", b"# end\n"),
    raw("a file name with a space", "stray-file", "catalog (1).csv", b"# end\n"),
    raw("a file name with a Cyrillic a", "stray-file", "c\u0430talog.csv", b"# end\n"),
    raw("a file name with a line break", "stray-file", "catalog\n.csv", b"# end\n"),
    raw("a file name like an option", "stray-file", "-rf.csv", b"# end\n"),
    raw("a test with the wrong ending", "stray-file", "tests/extra.yml", b"# end\n"),
    raw("rows among the tests", "stray-file", "tests/extra.csv", b"# end\n"),
    raw("a catalogue among the tests", "stray-file", "tests/permissions.toml", b"# end\n"),
)
