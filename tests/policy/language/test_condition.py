"""Conditions: faults at load time, evaluation, and bounds against hostile callers."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TypeVar, cast

import cel
import pytest

from app.identity.principal import ANONYMOUS, key_principal, user_principal
from app.policy.language.when.condition import (
    NO_CONTEXT,
    Condition,
    ConditionError,
    ConditionFault,
    compile_condition,
)
from app.policy.language.when.context import LazyContext, subject_of
from app.policy.language.when.read import MAX_CHARACTERS, MAX_ITEMS, MAX_LEVELS
from app.policy.language.when.shape import SCHEMA, Kind, Variables, describe
from app.policy.language.when.syntax import MAX_DEPTH, MAX_LENGTH
from tests.policy.conftest import Said

Built = TypeVar("Built")
NOW = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)


def world(**claims: object) -> Variables:
    """A context with every field."""
    return {
        "subject": {
            "type": "user",
            "id": "user_1",
            "owner": "",
            "method": "jwt",
            "environment": "",
            "permissions": frozenset({"catalog:read", "anyone"}),
            "claims": claims,
            "client_id": "",
            "org": {"id": "org_1", "role": "admin", "slug": "acme"},
            "act": {},
            "properties": {"role": "admin"},
        },
        "resource": {"type": "route", "id": "/api/v1/teams/{team_id}", "properties": {"owner": "user_1"}},
        "action": {"name": "GET", "properties": {}},
        "params": {"team_id": "7"},
        "request": {"time": NOW, "method": "GET", "path": "/api/v1/teams/7", "ip": "10.1.2.3"},
        "context": {"device": "phone"},
    }


def condition(text: str) -> Condition:
    compiled = compile_condition(text)
    assert isinstance(compiled, Condition), compiled
    return compiled


def met(text: str, /, **claims: object) -> bool:
    return condition(text).met(world(**claims))


# The characters between « and » are those at fault.
@pytest.mark.parametrize(
    ("marked", "message", "hint"),
    [
        ("«rol» == 'x'", "not a variable of conditions", "use one of subject"),
        ("«ip» == 'x'", "not a variable of conditions", "did you mean `request.ip`?"),
        ("«True»", "not a variable of conditions", "did you mean `true`?"),
        ("subject.«idd» == 'a'", "`subject` has no field `idd`", "did you mean `id`?"),
        ("subject . «idd» == 'a'", "has no field", "`id`"),
        ("(subject.«idd») == 'a'", "has no field", "`id`"),
        ("subject[«'typ'»] == 'a'", "has no field `typ`", "`type`"),
        ("params.x.«y» == 'a'", "string has no fields", ""),
        ("«subject» == 'a'", "not a value by itself", "subject.type"),
        ("subject.claims.l.exists(p, «q» == 'a')", "`q` is not a variable of conditions", ""),
        ("«foo»(1) == 1", "there is no `foo`", "use one of int"),
        ("request.ip.«startswith»('a')", "there is no `startswith`", "did you mean `startsWith`?"),
        ("«startsWith»(request.ip, 'a')", "is a method", ""),
        ("request.ip.«ip_in»('10.0.0.0/8')", "is not a method", "write ip_in(request.ip, …)"),
        ("request.ip.«matches»('a+')", "not supported in conditions", "startsWith"),
        ("«size»(params) == 1", "not supported in conditions", ""),
        ("request.time.«getHours('UTC')» == 1", "takes no arguments, not 1", ""),
        ("«params.x == 1»", "to string and int", "write '1', or int(params.x)"),
        ("«1 + subject.permissions» == []", "to int and list(string)", ""),
        ("«subject.id + 1» == 'a'", "to string and int", "write '1'"),
        ("«request.time < '2027'»", "to timestamp and string", ""),
        ("«subject.id == null»", "to string and null", "has(…)"),
        ("!«subject.id»", "is string, expected bool", ""),
        ("-«subject.id» == 1", "expected int or double", ""),
        ("«subject.id» && true", "expected bool", ""),
        ("«1» in subject.permissions", "is int, expected string", ""),
        ("'a' in «subject.id»", "expected a list or map", ".contains(…)"),
        ("subject.id.contains(«1»)", "is int, expected string", ""),
        ("subject.permissions[«'a'»] == 'a'", "list(string) has no fields", ""),
        ("[1, «'a'»] == []", "is string in a list of int", ""),
        ("(true ? «1 : 'a'») == 1", "one outcome is int, the other string", ""),
        ("true ? true «?» true : true : true", "expected `:` here", ""),
        ("«1»", "a condition must be true or false, this is int", "compare it"),
        ("not «true»", "expected an operator here", "write `!`"),
        ("Not «true»", "expected an operator here", "write `!`"),
        ("true «And» true", "expected an operator here", "write `&&`"),
        ("«subject.id»", "this is string", "compare it"),
        ("timestamp(«'x'») < request.time", "`'x'` is not a valid timestamp", "timestamp('2026-11-24T08:00:00Z')"),
        ("duration(«'1 day'») < duration('1h')", "is not a valid duration", "duration('90m')"),
        ("int(«'x'») == 1", "is not a valid int", ""),
        ("ip_in(request.ip, «'10.0.0.1/8'»)", "is not a network", "did you mean '10.0.0.0/8'?"),
        ("ip_in(request.ip, «request.ip»)", "is not a network", "2001:db8::/32"),
        ("ip_in(«'10.0.0.1'», '10.0.0.0/8')", "not a field with an address", ""),
        ("has(«subject.id»)", "always present", "without has()"),
        ("has(«subject»)", "takes a field", ""),
        ("has(«subject.claims['a b']»)", "takes a field", "write 'a b' in subject.claims"),
        ("subject.claims.a.exists(«subject», true)", "a new name", "exists(x"),
        ("subject.claims.a.exists(«_x», true)", "a new name", "exists(x"),
        ("subject.claims.a.exists(«'x'», true)", "a new name", "exists(x"),
        ("subject.claims.a.exists(«context», true)", "a new name", "exists(x"),
        ("subject.claims.a.exists(x, params.«exists»(y, true))", "macros cannot be nested", "`in`"),
        ("subject.id «and» true", "expected an operator here", "write `&&`"),
        ("a «=» b", "unexpected `=`", "write `==`"),
        ("«\u201c»x\u201d == 'x'", "unexpected", "straight quotes"),
        ("«'abc»", "not closed", "end it with '"),
        ("'«\\q»' == 'a'", "not a valid escape", ""),
        ("1 +« »", "ends, expected a value", ""),
        ("(1« »", "expected `)`", ""),
        ("« »", "the condition is empty", ""),
        ("!«!»true", "a sign cannot follow another sign", ""),
        ("«1u» == 1", "a letter follows", ""),
        ("«9223372036854775808» == 1", "too large", ""),
        ("«if» == 1", "reserved word", ""),
        ("subject.«in» == 1", "cannot follow a dot", "['in']"),
        ("«in» == 1", "expected a value here", ""),
        ("1 + «in»", "expected a value here", ""),
        ("«{»'a': 1}.a == 1", "unexpected `{`", "map literals"),
    ],
)
def test_a_fault_names_the_error_and_its_characters(marked: str, message: str, hint: str, said: Said) -> None:
    start, end = marked.index("«"), marked.index("»") - 1
    fault = compile_condition(marked.replace("«", "").replace("»", ""))
    assert isinstance(fault, ConditionFault), fault
    assert (fault.offset, fault.length) == (start, end - start), fault
    assert message in fault.message
    assert hint in fault.hint
    said([fault])


def test_length_and_nesting_are_bounded() -> None:
    assert isinstance(compile_condition("true" + " " * (MAX_LENGTH - 4)), Condition)
    long = compile_condition("true" + " " * (MAX_LENGTH - 3))
    assert isinstance(long, ConditionFault)
    assert long.offset == MAX_LENGTH
    inner = MAX_DEPTH - 1
    assert isinstance(compile_condition("(" * inner + "true" + ")" * inner), Condition)
    deep = compile_condition("(" * MAX_DEPTH + "true" + ")" * MAX_DEPTH)
    assert isinstance(deep, ConditionFault)
    assert deep.offset == MAX_DEPTH


def test_an_expression_that_only_the_library_refuses_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> cel.Program:
        raise ValueError("no")

    monkeypatch.setattr(cel, "compile", refuse)
    fault = compile_condition("subject.id == 'a'")
    assert isinstance(fault, ConditionFault)
    assert (fault.offset, fault.length) == (0, len("subject.id == 'a'"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("subject.properties.role == 'admin'", True),
        ("params.team_id == '7' && request.ip.startsWith('10.')", True),
        ("params['team_id'] == '8'", False),
        ("int(params.team_id) * 2 == 14", True),
        ("string(subject.claims.team) == params.team_id", True),
        ("resource.properties.owner == subject.id", True),
        ("resource.id.endsWith('{team_id}') && resource.type == 'route'", True),
        ("action.name in ['GET', 'HEAD']", True),
        ("'catalog:read' in subject.permissions", True),
        ("'catalog:write' in subject.permissions", False),
        ("subject.permissions.exists(p, p.startsWith('catalog:'))", True),
        ("subject.permissions == ['anyone', 'catalog:read']", True),
        ("subject.claims.roles.exists(r, r == 'coach') && !subject.claims.roles.all(r, r == 'coach')", True),
        ("subject.claims.roles.exists_one(r, r in ['coach'])", True),
        ("subject.claims['https://griddy.example/tenant'] == 't1'", True),
        ("'https://griddy.example/tenant' in subject.claims", True),
        ("has(subject.claims.org) && subject.claims.org.id == 'o1'", True),
        ("has(subject.claims.nope) && subject.claims.nope == 'x'", False),
        ("has(subject.claims.empty) && subject.claims.empty == null", True),
        ("has(request.ip) && ip_in(request.ip, '10.0.0.0/8')", True),
        ("ip_in(request.ip, '192.0.2.0/24')", False),
        ("ip_in(subject.claims.mapped, '10.0.0.0/8')", True),
        ("ip_in(subject.claims.mapped, '2001:db8::/32')", False),
        ("request.time < timestamp('2027-01-01T00:00:00Z')", True),
        ("request.time - timestamp('2026-11-24T08:00:00Z') == duration('30m')", True),
        ("request.time.getHours() >= 8 && request.time.getHours() < 18", True),
        ("request.time.getDayOfWeek() == 2", True),
        ("context.device == 'phone' ? true : false", True),
        ("subject.claims.team == 7 || subject.claims.nope == 1", True),
        ("subject.claims.nope == 1 || subject.claims.team == 7", True),
        ("subject.claims.nope == 1 && false", False),
        ("subject.claims.verified", True),
        ("subject.claims.name == 'J\u00fcrgen' && subject.claims.name.contains('\u00fc')", True),
        ("'it\\'s' == \"it's\"", True),
    ],
)
def test_a_condition_is_met_or_not(text: str, expected: bool) -> None:
    outcome = met(
        text,
        team=7,
        roles=["coach", "fan"],
        org={"id": "o1"},
        empty=None,
        mapped="::ffff:10.9.8.7",
        verified=True,
        name="J\u00fcrgen",
        **{"https://griddy.example/tenant": "t1"},
    )
    assert outcome is expected


def test_every_documented_field_can_be_read_with_its_type() -> None:
    literals = {"string": "'x'", "timestamp": "timestamp('2026-01-01T00:00:00Z')", "list": "['x']"}
    context = world()
    for path, field in describe():
        variable = path.split(".")[0]
        assert variable in SCHEMA
        text = f"'x' in {path}" if field.kind.name == "map" else f"{path} != {literals[field.kind.name]}"
        compiled = condition(text)
        assert compiled.references == {path}
        assert isinstance(compiled.met(context), bool), path
        assert field.meaning
        missing = compile_condition(f"{path}.nonsense == 'x'") if field.kind.item is None else None
        assert missing is None or isinstance(missing, ConditionFault)


def test_an_optional_field_needs_has() -> None:
    context = world()
    del context["request"]["ip"]
    optional = {path for path, field in describe() if path.startswith("request.") and not field.always}
    assert optional == {"request.method", "request.path", "request.ip"}
    assert condition("has(request.ip)").met(context) is False
    with pytest.raises(ConditionError, match=r"`request\.ip` has no value"):
        condition("!request.ip.startsWith('10.')").met(context)


def test_references_are_the_paths_as_written() -> None:
    text = "has(subject.claims.a) && subject.claims['b c'] == params.x && subject.claims.l.exists(i, i == resource.id)"
    assert condition(text).references == {
        "subject.claims.a",
        "subject.claims['b c']",
        "params.x",
        "subject.claims.l",
        "resource.id",
    }
    places = {str(read): text[read.start : read.end] for read in condition(text).reads.values()}
    assert places["params.x"] == "params.x"
    assert places["subject.claims.a"] == "has(subject.claims.a)"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("subject.claims.nope == 'a'", "`subject.claims.nope` has no value"),
        ("subject.claims.text.inner == 'a'", "`subject.claims.text.inner` has no value"),
        ("has(subject.claims.nope.inner)", "`subject.claims.nope` has no value"),
        ("has(subject.claims.text.inner)", "`subject.claims.text` is not a map"),
        ("'a' in subject.claims.text", "`subject.claims.text` is not a list or map"),
        ("ip_in(subject.claims.text, '10.0.0.0/8')", "`subject.claims.text` is not an IP address"),
        ("subject.claims.text > 1", "a value is of the wrong type"),
        ("subject.claims.text && true", "a value is of the wrong type"),
        ("!subject.claims.text", "a value is of the wrong type"),
        ("subject.claims.text", "neither true nor false"),
        ("subject.claims.nothing", "neither true nor false"),
        ("subject.claims.map[params.team_id] == 'a'", "a key is missing"),
        ("subject.claims.list[9] == 'a'", "an index is out of range"),
        ("subject.claims.one / 0 == 1", "a division by zero"),
        ("subject.claims.one + 9223372036854775807 == 1", "a number is too large"),
        ("0.0 / 0.0 < 1.0", "a value is of the wrong type"),
        ("int(subject.claims.text) == 1", "a value does not fit a function"),
        ("timestamp(subject.claims.text) < request.time", "a value does not fit a function"),
        ("string(subject.claims.bool) == 'true'", "a value does not fit a function"),
        ("subject.claims.huge == 1", "does not support, of type int"),
        ("subject.claims.bytes == 'a'", "of type bytes"),
        ("subject.claims.naive == request.time", "of type datetime"),
        ("subject.claims.keys == 1", "has a key that is not a text"),
        ("subject.claims.surrogate == 'a'", "contains an unpaired surrogate"),
        ("subject.claims.items == []", f"has more than {MAX_ITEMS} items"),
        ("subject.claims.nested == []", f"has more than {MAX_LEVELS} levels"),
        ("subject.claims.long == 'a'", f"has more than {MAX_CHARACTERS} characters"),
        ("subject.claims.parts == []", f"has more than {MAX_CHARACTERS} characters"),
    ],
)
def test_an_evaluation_error_has_a_reason_without_the_value(text: str, why: str) -> None:
    nested: object = "sesame"
    for _ in range(100_000):
        nested = [nested]
    claims: dict[str, object] = {
        "text": "sesame",
        "nothing": None,
        "map": {"a": "sesame"},
        "list": ["sesame"],
        "one": 1,
        "bool": True,
        "huge": 2**63,
        "bytes": b"sesame",
        "naive": NOW.replace(tzinfo=None),
        "keys": {1: "sesame"},
        "surrogate": "sesame\ud800",
        "items": ["sesame"] * (MAX_ITEMS + 1),
        "nested": nested,
        "long": "s" * (MAX_CHARACTERS + 1),
        "parts": ["s" * 600] * 200,
    }
    with pytest.raises(ConditionError) as raised:
        met(text, **claims)
    assert why in str(raised.value)
    assert f"in `{text}`" in str(raised.value)
    assert "sesame" not in str(raised.value)
    # The log of the error and its causes shows no value either.
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


def test_without_a_context_conditions_are_errors() -> None:
    for text in ("subject.id == ''", "!('x' in params)", "!has(context.x)", "!ip_in(request.ip, '10.0.0.0/8')"):
        with pytest.raises(ConditionError):
            condition(text).met(NO_CONTEXT)


class PanicException(BaseException):
    """As the Rust bindings raise it, not an Exception."""

    __module__ = "pyo3_runtime"


class Raising:
    """A program that raises."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def execute(self, values: Mapping[str, object]) -> object:
        raise self._error


def raising(error: BaseException) -> Condition:
    return Condition("true", {}, cast("cel.Program", Raising(error)))


def test_a_panic_of_the_library_is_an_error_like_any_other() -> None:
    with pytest.raises(ConditionError, match="the evaluator raised PanicException"):
        raising(PanicException("sesame")).met(world())


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)])
def test_an_interrupt_is_not_a_panic(error: BaseException) -> None:
    with pytest.raises(type(error)):
        raising(error).met(world())


def test_a_condition_is_compared_and_cached_by_its_text() -> None:
    assert condition("true") == condition("true")
    assert len({condition("true"), condition("true"), condition("false")}) == 2
    assert repr(condition("subject.id == 'a'")) == "Condition(text=\"subject.id == 'a'\")"


def test_only_what_a_condition_reads_is_built_and_only_once() -> None:
    built: list[str] = []

    def build(name: str, value: Built) -> Callable[[], Built]:
        def make() -> Built:
            built.append(name)
            return value

        return make

    whole = world()
    context = LazyContext(
        subject=build("subject", whole["subject"]),
        resource=build("resource", whole["resource"]),
        action=build("action", whole["action"]),
        request=build("request", whole["request"]),
    )
    assert condition("request.ip.startsWith('10.') && request.method == 'GET'").met(context)
    assert condition("request.ip.startsWith('10.')").met(context)
    assert built == ["request"]
    assert condition("!has(params.x) && !has(context.x)").met(context)
    assert built == ["request"]


def test_a_subject_has_the_attributes_of_its_facts() -> None:
    person = subject_of(
        user_principal("user_1", ["catalog:read"], {"sub": "user_1", "org": "o1"}), frozenset({"catalog:read"})
    )
    assert (person["type"], person["id"], person["owner"], person["environment"]) == ("user", "user_1", "", "")
    assert person["claims"]["org"] == "o1"
    key = subject_of(key_principal("user_1", 7, "test", []), frozenset())
    assert (key["type"], key["id"], key["owner"], key["environment"]) == ("key", "7", "user_1", "test")
    assert (key["method"], dict(key["claims"])) == ("api_key", {})
    stranger = subject_of(ANONYMOUS, frozenset())
    assert (stranger["type"], stranger["id"], stranger["owner"]) == ("anonymous", "", "")


def fastest(work: Callable[[], object], runs: int = 200) -> float:
    def once() -> float:
        started = time.perf_counter()
        for _ in range(runs):
            work()
        return time.perf_counter() - started

    return min(once() for _ in range(9))


def test_the_cost_depends_on_what_is_read() -> None:
    small, large = world(role="coach"), world(role="coach", **{f"c{n}": ["v"] * 50 for n in range(300)})
    large["subject"]["permissions"] = frozenset(f"p{n}:read" for n in range(2_000)) | {"catalog:read"}
    text = "subject.claims.role == 'coach' && 'catalog:read' in subject.permissions && params.team_id == '7'"
    compiled = condition(text)
    assert compiled.met(small)
    assert compiled.met(large)
    assert fastest(lambda: compiled.met(large)) < 3 * fastest(lambda: compiled.met(small))


def test_the_work_that_a_caller_can_cause_is_bounded() -> None:
    items = [f"item-{n:04}" for n in range(MAX_ITEMS // 2)]
    compiled = condition("subject.claims.a.all(x, x in subject.claims.b) && subject.claims.b.all(x, x != '')")
    context = world(a=items, b=items)
    assert compiled.met(context)
    assert fastest(lambda: compiled.met(context), runs=1) < 0.25


WIDE = """
import threading
from app.policy.language.when.condition import Condition, ConditionError, compile_condition
nested = 'a'
for _ in range(16):
    nested = [nested]
texts = [
    '(' * 11 + 'true' + ')' * 11,
    '1' + ' +1' * 300 + ' == 301',
    'subject.claims' + '.b' * 480 + ' == 1',
    'subject.claims.x' + '[0]' * 320 + ' == 1',
    'true' + ' == true' * 120,
    'true' + ' && true' * 120,
    'true ? true : ' * 10 + 'true',
    'subject.claims.x == subject.claims.x',
    'true' + '||true' * 160,
]
def run():
    for text in texts:
        compiled = compile_condition(text)
        assert isinstance(compiled, Condition), (text, compiled)
        try:
            compiled.met({'subject': {'claims': {'x': nested, 'b': {}}}})
        except ConditionError:
            pass
    print('done')
threading.stack_size(1024 * 1024)
thread = threading.Thread(target=run)
thread.start()
thread.join()
"""


def test_no_condition_and_no_value_overflows_the_stack() -> None:
    # In a separate process with an eighth of the usual stack, which an overflow would end.
    done = subprocess.run([sys.executable, "-c", WIDE], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, "done"), done.stderr


def test_kinds_are_shown_as_cel_writes_them() -> None:
    assert {path: str(field.kind) for path, field in describe()}["subject.claims"] == "map(string, dyn)"
    assert str(Kind("list", Kind("string"))) == "list(string)"


MANY = [f"item-{number:04}" for number in range(MAX_ITEMS)]
OTHERS = [f"other-{number:04}" for number in range(MAX_ITEMS)]
TEXT = "a" * MAX_CHARACTERS


@pytest.mark.parametrize(
    "text",
    [
        "subject.claims.a.all(x, !(x in subject.claims.b))",
        "subject.claims.a.exists(x, subject.claims.b == [x])",
        "subject.claims.a.all(x, subject.claims.b + subject.claims.b != [x])",
        "subject.claims.a.all(x, [x, x] + subject.claims.b != subject.claims.b)",
        "subject.claims.a.all(x, subject.claims.text + x != x)",
        "subject.claims.a.all(x, !subject.claims.text.contains(x))",
        "subject.claims.map.all(key, subject.claims.map[key] != subject.claims.b)",
        "(subject.claims.a + subject.claims.a).all(x, x in (true ? subject.claims.b : subject.claims.a))",
        "subject.claims.a.all(x, subject.id == 'a' || x in subject.claims.b)",
        " && ".join(f"subject.claims.l{number} != ['x']" for number in range(8)),
    ],
)
def test_work_beyond_the_budget_is_refused_in_advance(text: str) -> None:
    lists = {f"l{number}": list(MANY) for number in range(8)}
    values = {"a": MANY, "b": OTHERS, "text": TEXT, "map": dict.fromkeys(MANY[: MAX_ITEMS // 2], OTHERS[:1]), **lists}
    with pytest.raises(ConditionError, match="the values are too large for this condition"):
        met(text, **values)


@pytest.mark.parametrize(
    "text",
    [
        "subject.claims.a.all(x, x.startsWith('item-') || x == 'none' || x in ['a', 'b'])",
        "subject.claims.few.all(x, x in subject.claims.few)",
        "subject.claims.few + subject.claims.few != subject.claims.few",
        "!subject.claims.text.contains('b') && subject.claims.text.startsWith('a')",
        "subject.claims.nested.all(x, x == subject.claims.few)",
    ],
)
def test_usual_conditions_are_within_the_budget(text: str) -> None:
    assert met(text, a=MANY, few=MANY[:250], text=TEXT, nested=[MANY[:250]] * 3)


@pytest.mark.parametrize("operator", ["==", "!=", "<", "<=", ">", ">="])
@pytest.mark.parametrize("text", ["6", "7", "8"])
def test_a_field_is_compared_with_a_text_on_either_side(operator: str, text: str) -> None:
    expected = {
        "==": text == "7", "!=": text != "7", "<": text > "7", "<=": text >= "7", ">": text < "7", ">=": text <= "7",
    }  # fmt: skip
    mirrored = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(operator, operator)
    assert met(f"params.team_id {operator} '{text}'") is expected[operator]
    assert met(f"'{text}' {mirrored} params.team_id") is expected[operator]
    assert met(f"!(params.team_id {operator} '{text}')") is not expected[operator]
    assert met(f"!('{text}' {mirrored} params.team_id)") is not expected[operator]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("request.path == '/api/v1/teams/7'", True),
        ("request.path != '/api/v1/teams/7'", False),
        ("request.path == '/api/v1/teams/8'", False),
        ("request.path != '/api/v1/teams/8'", True),
        ("'/api/v1/teams/7' != request.path", False),
        ("request.path != '/api/v1/teams/8' && request.path != '/x'", True),
        ("request.path != '/api/v1/teams/8' && request.path != '/api/v1/teams/7'", False),
        ("request.path + 'x' == '/api/v1/teams/7x'", True),
        ("'x' + request.path == 'x/api/v1/teams/7'", True),
        ("'catalog:read' in subject.permissions", True),
        ("!('catalog:read' in subject.permissions)", False),
        ("'catalog:write' in subject.permissions", False),
    ],
)
def test_a_path_is_compared_literally(text: str, expected: bool) -> None:
    assert met(text) is expected
