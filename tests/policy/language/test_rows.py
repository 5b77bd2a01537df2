"""A row is accepted, or refused at the character at fault."""

from __future__ import annotations

import csv
import random
from types import MappingProxyType

import pytest

from app.policy.language.fault import Fault, NearWords, did_you_mean
from app.policy.language.permissions import Permission
from app.policy.language.rows import MAX_FAULTS_IN_FILE, MAX_FAULTS_IN_ROW, Rows
from app.policy.language.rule import Membership, Rule
from app.policy.language.source import MAX_LINE

CATALOG = MappingProxyType({name: Permission(name, "t", "g") for name in ("a:read", "a:write", "b:read")})


def read(text: str) -> tuple[list[Rule], list[Membership], list[Fault]]:
    faults: list[Fault] = []
    rows = Rows(CATALOG, faults)
    rows.parse("x.csv", text)
    return rows.rules, rows.memberships, faults


def only_rule(text: str) -> Rule:
    rules, _, faults = read(text)
    assert not faults
    assert len(rules) == 1
    return rules[0]


def test_a_p_row_is_parsed() -> None:
    rule = only_rule("\n# a comment\np, a:read auth:jwt, /x/{id}/**, GET|HEAD, allow\n")
    assert (rule.file, rule.line) == ("x.csv", 3)
    assert rule.needs == {"a:read", "auth:jwt"}
    assert rule.resource == "/x/{id}/**"
    assert rule.actions == ("GET", "HEAD")
    assert rule.effect == "allow"
    assert rule.condition is None
    assert rule.is_route
    assert str(rule) == "p, a:read auth:jwt, /x/{id}/**, GET|HEAD, allow"


def test_a_g_row_is_parsed() -> None:
    _, memberships, faults = read("g, user:user_2abc, role:editor\ng, role:editor, a:write\n")
    assert not faults
    assert [str(row) for row in memberships] == ["g, user:user_2abc, role:editor", "g, role:editor, a:write"]
    assert [row.place for row in memberships] == ["x.csv:1", "x.csv:2"]


def test_whitespace_around_cells_is_ignored() -> None:
    spaced = only_rule("  p ,\ta:read ,  /x ,GET|HEAD,allow \t")
    assert str(spaced) == str(only_rule("p,a:read,/x,GET|HEAD,allow"))


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("params.id == '7'", "params.id == '7'"),
        ("\"params.id == '7'\"", "params.id == '7'"),
        ('"params.id in [""7"", ""8,9""]"', 'params.id in ["7", "8,9"]'),
        ('  "params.id == ""#"""\t', 'params.id == "#"'),
    ],
)
def test_a_quoted_condition_may_contain_commas_and_doubled_quotes(cell: str, text: str) -> None:
    rule = only_rule(f"p, a:read, /x, GET, deny, {cell}")
    assert rule.condition is not None
    assert rule.condition.text == text
    again = only_rule(str(rule))
    assert again.condition == rule.condition


@pytest.mark.parametrize(
    "text",
    [
        '"p","a:read","/x","GET","allow"',
        'p, "a:read", "/x" ,"GET" , "allow"\t',
        '"p" , a:read, /x, "GET", allow',
        "p, a:read, /x, GET, allow",
    ],
)
def test_any_cell_may_be_quoted(text: str) -> None:
    assert str(only_rule(text)) == "p, a:read, /x, GET, allow"
    assert str(only_rule(f'{text},"params.x == ""a,b"""')) == 'p, a:read, /x, GET, allow, "params.x == ""a,b"""'


def test_cells_of_a_g_row_may_be_quoted() -> None:
    _, memberships, faults = read('g, "user:auth0|5f7c", role:editor\n"g","role:editor","a:write"\n')
    assert not faults
    assert [str(row) for row in memberships] == ["g, user:auth0|5f7c, role:editor", "g, role:editor, a:write"]


def test_a_comment_after_a_row_is_refused() -> None:
    for text, read_as in (
        ("p, a:read, /x, GET, allow # why", "`allow # why` as the effect"),
        ("p, a:read # why, /x, GET, allow", "`a:read # why` as the needs"),
        ("p, a:read, /x, GET, allow, # why", "`# why` as the condition"),
        ("g, user:u1, role:one # Ann", "`role:one # Ann` as the grant"),
        ("g, user:u1, role:one, # Ann", "`# Ann` as another cell"),
    ):
        _, _, (fault,) = read(text)
        assert fault.code == "trailing-comment"
        assert fault.message == f"a comment must be on its own line: Casbin's own loader would read {read_as}"
        assert text[fault.column - 1 :].startswith("# ")


def test_a_hash_in_a_condition_is_no_comment() -> None:
    rule = only_rule("p, a:read, /x, GET, allow, params.x == '#1'")
    assert rule.condition is not None
    assert rule.condition.text == "params.x == '#1'"


def test_a_row_survives_a_round_trip() -> None:
    for text in (
        "p, anyone, /**, OPTIONS, allow",
        "p, a:read user:auth0|5f7c, /x/*, GET, deny",
        "p, role:editor, team:7, read|write, deny",
        "p, key:12, team, read, allow, \"context.on == true && params.x in ['a', 'b']\"",
    ):
        rule = only_rule(text)
        assert str(only_rule(str(rule))) == str(rule)


def test_accepted_rows_are_read_equally_by_the_csv_module() -> None:
    """So that Casbin's tools and spreadsheets read the same rows."""
    seeded = random.Random(11)
    pieces = ["p", "a:read", "/x", "GET", "allow", '"', '""', ",", ", ", " ", "'", "params.id", "==", "'7'", "\t"]
    taken = 0
    for _ in range(8_000):
        cells = [f'"{cell}"' if seeded.random() < 0.2 else cell for cell in ("p", "a:read", "/x", "GET", "allow")]
        line = ", ".join(cells) + "".join(seeded.choice(pieces) for _ in range(seeded.randint(0, 8)))
        rules, _, faults = read(line)
        if faults:
            assert not rules
            continue
        taken += 1
        cells = [cell.strip(" \t") for cell in next(csv.reader([line.replace("\t", " ")], skipinitialspace=True))]
        condition = rules[0].condition
        assert cells[1:5] == ["a:read", "/x", "GET", "allow"]
        assert cells[5:] == ([condition.text.replace("\t", " ")] if condition else [])
    assert taken > 100


@pytest.mark.parametrize(
    "subject", ["user:user_2abc", "user:auth0|5f7c", "user:samlp|acme|jo@acme.example", "user:a:b"]
)
def test_subjects_of_common_issuers_can_be_named(subject: str) -> None:
    assert only_rule(f"p, {subject}, /x, GET, allow").needs == {subject}


@pytest.mark.parametrize(
    "subject",
    ["user:", "user:*", "user:a|user:b", "user:a|role:editor", "user:a|", "user:|a", "user:jos\u00e9", "user:a\u00a0b"],
)
def test_an_ambiguous_subject_is_refused(subject: str) -> None:
    rules, _, faults = read(f"p, {subject}, /x, GET, deny")
    assert not rules
    assert [fault.code for fault in faults] == ["unknown-grant"]


def test_every_fault_of_a_row_is_reported() -> None:
    rules, _, faults = read("p, a:raed b:raed, /x/, get, Deny")
    assert not rules
    assert [(fault.code, fault.column, fault.length) for fault in faults] == [
        ("unknown-grant", 4, 6),
        ("unknown-grant", 11, 6),
        ("resource", 19, 3),
        ("unknown-action", 24, 3),
        ("effect", 29, 4),
    ]
    assert {fault.text for fault in faults} == {"p, a:raed b:raed, /x/, get, Deny"}
    assert all(fault.hint for fault in faults)


def test_the_place_of_a_word_is_not_that_of_a_longer_one() -> None:
    _, _, faults = read("p, a:reader a:rea, /x, GET, allow")
    assert [(fault.column, fault.length) for fault in faults] == [(4, 8), (13, 5)]


def test_cached_cells_keep_their_verdict() -> None:
    rules, _, faults = read("p, a:read, /x, GET, allow\n" * 3 + "p, a:red, /x/, GETT, allow\n" * 2)
    assert [rule.line for rule in rules] == [1, 2, 3]
    assert [(fault.line, fault.code) for fault in faults] == [
        (line, code) for line in (4, 5) for code in ("unknown-grant", "resource", "unknown-action")
    ]


def test_routes_have_methods_and_resources_have_other_actions() -> None:
    assert only_rule("p, a:read, team, read|approve, allow").actions == ("read", "approve")
    assert [fault.code for fault in read("p, a:read, /x, read, allow")[2]] == ["unknown-action"]


def test_the_number_of_reported_faults_of_rows_is_bounded() -> None:
    _, _, faults = read("p\n" * 1000)
    assert len(faults) == MAX_FAULTS_IN_FILE + 1
    assert faults[-1].code == "too-many-faults"


def test_of_the_unknown_grants_of_a_row_the_first_are_reported() -> None:
    rules, _, faults = read(f"p, {'x:y ' * 900}x:y, /x, GET, allow\np, a:raed, /x, GET, allow\n")
    assert not rules
    assert [fault.line for fault in faults] == [1] * MAX_FAULTS_IN_ROW + [2]


def test_a_line_that_is_too_long_for_the_source_is_not_read() -> None:
    row = "p, a:raed, /x, GET, allow"
    for length in (MAX_LINE, MAX_LINE + 1):
        rules, _, faults = read(row + " " * (length - len(row)))
        assert not rules
        assert len(faults) == (length == MAX_LINE)


@pytest.mark.parametrize("cell", ['"a""b"', '"a""b c""d"', '""""'])
def test_a_word_with_quotes_is_placed_at_its_cell(cell: str) -> None:
    for row in (f"p, {cell}, /x, GET, allow", f"p, a:read, /x, {cell}, allow", f"p, a:read, x, {cell}, allow"):
        _, _, faults = read(row)
        assert {fault.column for fault in faults} == {row.index(cell) + 1}


@pytest.mark.parametrize("blank", [" ", "\t", " \t"])
@pytest.mark.parametrize("end", ["", "x", '"', 'x"', '"x', '"x"', '"" ,'])
def test_whitespace_before_an_invalid_cell_is_read_once(blank: str, end: str) -> None:
    """With a backtracking pattern of cubic time this test would not end."""
    row = f'p, "a:read",{blank * (3_900 // len(blank))}{end}'
    rules, _, faults = read(row)
    assert not rules and faults


def test_hints_name_the_nearest_word_and_nothing_when_none_is_near() -> None:
    assert did_you_mean("ALLOW", ["allow", "deny"]) == "did you mean `allow`?"
    assert did_you_mean("denny", ["allow", "deny"]) == "did you mean `deny`?"
    assert did_you_mean("perhaps", ["allow", "deny"]) == ""
    assert did_you_mean("x9999x", [f"x{number}" for number in range(100_000)]) == ""
    assert did_you_mean("x" * 190, [f"{'x' * 186}{number:04}" for number in range(1_000)]) == ""


def test_hints_about_many_words_end_before_they_cost_more_than_the_policy() -> None:
    near = NearWords(f"{'x' * 20}{number:04}" for number in range(1_000))
    hints = [near.hint(f"{'x' * 20}{number}") for number in range(200)]
    assert hints[0].startswith("did you mean `xxxx") and not any(hints[10:])


@pytest.mark.parametrize(
    ("text", "code", "word", "hint"),
    [
        ("p", "arity", "p", "write `p, catalog:read, /api/v1/leagues/**, GET|HEAD, allow`"),
        ("p, a:read", "arity", "a:read", "write `p,"),
        ("p, a:read, /x, GET", "arity", "GET", "write `p,"),
        ("p, a:read, /x, GET, allow, 1 == 1, six", "arity", "six", "put a condition with a comma in quotes"),
        ("p, a:read, /x, GET, allow, 1 == 1, six, seven", "arity", "six", "put a condition with a comma in quotes"),
        ("g", "arity", "g", "write `g, role:editor, catalog:write`"),
        ("g, a:read", "arity", "a:read", "write `g,"),
        ("g, a:read, b:read, three", "arity", "three", "write `g,"),
        ("g, a:read, b:read, three, four", "arity", "three", "write `g,"),
        ("g, a:read, anyone", "stated-fact", "anyone", "add a permission or a role"),
        ("g, a:read, role:x y", "unknown-grant", "role:x y", None),
        ("q, a:read, /x, GET, allow", "row-type", "q", None),
        ("pp, a:read, /x, GET, allow", "row-type", "pp", "did you mean `p`?"),
        ("p; a:read; /x", "separator", "p; a:read; /x", "write `p,"),
        (
            "p, a:read  b:read, /x, GET, allow",
            "needs",
            "a:read  b:read",
            "write at least one grant, `anyone` for everyone",
        ),
        ("p, b:read b:read, /x, GET, allow", "needs", "b:read b:read", "write each grant once"),
        ("p, a:read, /x, GET|GET, allow", "action-twice", "GET|GET", "write each action once"),
        ("p, a:read, /x, GET|get, allow", "unknown-action", "get", "did you mean `GET`?"),
        ("p, a:read, /x, ZZZZZ, allow", "unknown-action", "ZZZZZ", "the methods are GET, HEAD, POST"),
        ("p, a:read, team, read|wr ite, allow", "unknown-action", "wr ite", "write actions as `read|write`"),
        ("p, a:read, /x, GET, alow", "effect", "alow", "did you mean `allow`?"),
        ("p, a:read, /x, GET, perhaps", "effect", "perhaps", "write `allow` or `deny`"),
        ("p, a:read, te am, read, allow", "resource", "te am", "a route starts with `/`"),
        ('p, "a:read, /x, GET, allow', "quotes", '"', "put the whole cell in quotes"),
        ('p, "a:read" # why, /x, GET, allow', "trailing-comment", "# why, /x, GET, allow", "move it to a line above"),
        ("p, a:read, /x, GET, allow # why", "trailing-comment", "# why", "move it to a line above"),
        ('p, "a:read", /x, GET, allow # why', "trailing-comment", "# why", "move it to a line above"),
        ("p, a:read, /x, GET, allow, parms.x == '1'", "condition", "parms", "did you mean"),
        ('p, a:read, /x, GET, allow, "params.x == ""1"" && parms.y == ""2"""', "condition", "parms", "did you mean"),
        ('p, a:read, /x, GET, allow, "params[""x"" + 1] == ""2"""', "condition", '""x"" + 1', None),
    ],
)
def test_a_fault_of_a_row_is_underlined_with_a_hint(text: str, code: str, word: str, hint: str | None) -> None:
    rules, memberships, (fault,) = read(text)
    assert not rules and not memberships
    assert (fault.code, fault.file, fault.line, fault.text) == (code, "x.csv", 1, text)
    assert text[fault.column - 1 :][: fault.length] == word
    if hint is not None:
        assert fault.hint.startswith(hint)


def test_a_repeated_word_is_located_at_its_first_place_in_the_cell() -> None:
    for text, place in (("p, a:rea a:rea, /x, GET, allow", (4, 5)), ("p, a:read, /GTE, GTE|GTE, allow", (18, 3))):
        _, _, faults = read(text)
        assert {(fault.column, fault.length) for fault in faults} == {place}
