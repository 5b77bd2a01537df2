"""Random conditions and contexts, and an oracle: the CEL library with the unchanged text and all values."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network

import cel

from app.policy.language.when.condition import Condition, ConditionError

ERROR = "error"

PIECES = (
    *"()[].,?:!-+*/%<>='\"\\&|{} #;\n\té",
    *(
        "==",
        "&&",
        "||",
        " in ",
        "true",
        "null",
        "subject",
        "id",
        "claims",
        "params",
        "x",
        "has(",
        "exists(",
        "7",
        "1.5",
    ),
    *("'a'", "r'a'", "b'a'", "'''", "1u", "0x1", "//", "\\n", "if", "_0", "cel", "9223372036854775808", "1e999"),
    *(" ? true : ", "true ? ", " : false", " in [] ? "),
)
TEXTS = ("", "a", "b", "7", "10.0.0.1", "admin", "Ünïcode", "a'b", 'say "x"', "2026-11-24T08:00:00Z", "90m")
KINDS = ("string", "int", "double", "timestamp", "duration")
PLAIN = {
    "string": (
        "subject.id",
        "subject.type",
        "request.ip",
        "request.path",
        "resource.id",
        "params.team_id",
        "params['x']",
    ),
    "timestamp": ("request.time",),
    "list": ("subject.permissions",),
    "dyn": (),
}
LOOSE = {
    "dyn": (
        "subject.claims.n",
        "subject.claims.role",
        "subject.claims['https://x/y']",
        "subject.claims.org.id",
        "subject.claims.roles[0]",
        "resource.properties.owner",
        "context.deep.er",
        "subject.claims.nothing",
        "subject.claims.absent",
    ),
    "list": ("subject.claims.roles", "context.list"),
}


class Writer:
    """Writes a random expression of a type; with `loose`, of paths with values of any type."""

    def __init__(self, chance: random.Random, loose: bool) -> None:
        self.chance = chance
        self.loose = loose
        self.bound: list[str] = []

    def of(self, kind: str, depth: int) -> str:
        write = getattr(self, f"_{kind}")
        text: str = write(depth)
        return f"({text})" if self.chance.random() < 0.3 else text

    def operand(self, kind: str, depth: int) -> str:
        """In parentheses unless it is a leaf, since precedence is tested elsewhere."""
        return self.of(kind, 0) if depth < 1 else f"({self.of(kind, depth - 1)})"

    def _leaf(self, kind: str, literal: str) -> str:
        names = [*PLAIN.get(kind, ())]
        if self.loose:
            names += [*LOOSE.get(kind, ()), *LOOSE["dyn"]]
        if kind == "string":
            names += self.bound
        return self.chance.choice(names) if names and self.chance.random() < 0.6 else literal

    def _string(self, depth: int) -> str:
        text = self.chance.choice(TEXTS).replace("\\", "\\\\").replace("'", "\\'")
        if depth < 1 or self.chance.random() < 0.5:
            return self._leaf("string", f"'{text}'")
        return self.chance.choice(
            [
                f"{self.operand('string', depth)} + {self.operand('string', depth)}",
                f"string({self.of(self.chance.choice(KINDS), depth - 1)})",
                f"{self.operand('bool', depth)} ? {self.operand('string', depth)} : {self.operand('string', depth)}",
                f"{self.operand('list', depth)}[{self.operand('int', depth)}]",
            ]
        )

    def _number(self, kind: str, literal: str, depth: int) -> str:
        if depth < 1 or self.chance.random() < 0.4:
            return self._leaf(kind, literal)
        operators = (
            "+-*/%" if kind == "int" else "+-*"
        )  # the library has no order for 0.0 / 0.0, which is tested separately
        return self.chance.choice(
            [
                f"{self.operand(kind, depth)} {self.chance.choice(operators)} {self.operand(kind, depth)}",
                f"-{self.operand(kind, depth)}",
                f"{kind}({self.of(self.chance.choice(('int', 'double', 'string')), depth - 1)})",
            ]
        )

    def _int(self, depth: int) -> str:
        if depth and self.chance.random() < 0.2:
            part = self.chance.choice(["getHours", "getFullYear", "getDayOfWeek", "getDayOfYear", "getMinutes"])
            return f"{self.operand('timestamp', depth)}.{part}()"
        return self._number("int", str(self.chance.choice([0, 1, 2, 7, 2**63 - 1])), depth)

    def _double(self, depth: int) -> str:
        return self._number("double", self.chance.choice(["0.0", "1.5", "2e3", "7.25"]), depth)

    def _timestamp(self, depth: int) -> str:
        if depth < 1:
            return self._leaf("timestamp", "timestamp('2026-11-24T08:00:00Z')")
        sign = self.chance.choice("+-")
        return f"{self.operand('timestamp', depth)} {sign} {self.operand('duration', depth)}"

    def _duration(self, depth: int) -> str:
        if depth < 1:
            return self.chance.choice(["duration('90m')", "duration('1h30m')", "duration('0s')"])
        return f"{self.operand('timestamp', depth)} - {self.operand('timestamp', depth)}"

    def _list(self, depth: int) -> str:
        items = ", ".join(self.of("string", depth - 1) for _ in range(self.chance.randrange(4)))
        if depth < 1 or self.chance.random() < 0.7:
            return self._leaf("list", f"[{items}]")
        return f"{self.operand('list', depth)} + {self.operand('list', depth)}"

    def _bool(self, depth: int) -> str:
        if depth < 1:
            return self.chance.choice(["true", "false", "'a' in subject.permissions", "'x' in params"])
        kind = self.chance.choice(KINDS)
        sign = self.chance.choice(("==", "!=", "<", "<=", ">", ">="))
        method = self.chance.choice(("contains", "startsWith", "endsWith"))
        network = self.chance.choice(("10.0.0.0/8", "2001:db8::/32", "127.0.0.1"))
        forms = [
            f"{self.operand(kind, depth)} {sign} {self.operand(kind, depth)}",
            f"{self.operand('list', depth)} {self.chance.choice(('==', '!='))} {self.operand('list', depth)}",
            f"{self.of('bool', depth - 1)} && {self.of('bool', depth - 1)}",
            f"{self.of('bool', depth - 1)} || {self.of('bool', depth - 1)}",
            f"!{self.operand('bool', depth)}",
            f"{self.operand('string', depth)} in {self.operand('list', depth)}",
            f"'a' in {self.of('list', 0)}",
            f"{self.operand('string', depth)} in params",
            f"{self.operand('string', depth)}.{method}({self.of('string', depth - 1)})",
            f"ip_in(request.ip, '{network}')",
            "has(params.team_id) && has(request.ip) && has(params.nope)",
        ]
        if self.loose:
            forms += [f"has({path})" for path in LOOSE["dyn"] if not path.endswith("]")]
            forms += [f"'a' in {path}" for path in LOOSE["dyn"]]
            forms += [f"{self.operand('dyn', depth)} == {self.operand('dyn', depth)}", f"{self.of('dyn', 0)} == null"]
        if not self.bound:
            forms.append(self._macro(depth))
        return self.chance.choice(forms)

    def _dyn(self, depth: int) -> str:
        return self.chance.choice(LOOSE["dyn"]) if depth < 1 else self.of(self.chance.choice(["string", "int"]), depth)

    def _macro(self, depth: int) -> str:
        holder = self.chance.choice([self.operand("list", depth), "params"])
        self.bound.append("item")
        body = self.of("bool", depth - 1)
        self.bound.pop()
        return f"{holder}.{self.chance.choice(('all', 'exists', 'exists_one'))}(item, {body})"


def a_context(chance: random.Random) -> dict[str, dict[str, object]]:
    def text() -> str:
        return chance.choice(TEXTS)

    def anything() -> object:
        return chance.choice([text(), 7, 1.5, True, None, [text()], {"id": text()}, [], {"er": 1}])

    claims = {name: anything() for name in ("n", "role", "https://x/y", "org", "roles") if chance.random() < 0.8}
    return {
        "subject": {
            "type": "user",
            "id": text(),
            "permissions": frozenset(chance.sample(TEXTS, 3)),
            "claims": claims | {"nothing": None},
            "properties": {},
        },
        "resource": {"type": "route", "id": text(), "properties": {"owner": anything()}},
        "action": {"name": "GET", "properties": {}},
        "params": {"team_id": text(), "x": text()},
        "request": {
            "time": datetime(2026, 11, 24, 8, tzinfo=UTC) + timedelta(minutes=chance.randrange(-99_999, 99_999)),
            "ip": chance.choice(["10.0.0.1", "127.0.0.1", "2001:db8::7", "192.0.2.1"]),
            "path": text(),
        },
        "context": {"deep": anything(), "list": anything()},
    }


class Misfitted(Exception):
    """The library found no operator or function for the types of the values, or no such name."""


def by_the_library_alone(text: str, context: Mapping[str, dict[str, object]]) -> bool | str:
    """True, false or an error. Raises Misfitted for a type error, which a checked condition must not have."""
    whole: dict[str, object] = {name: dict(value) for name, value in context.items()}
    held = context["subject"]["permissions"]
    whole["subject"] = {**context["subject"], "permissions": sorted(held) if isinstance(held, frozenset) else held}
    whole["ip_in"] = lambda ip, network: ip_address(ip) in ip_network(network)
    try:
        outcome = cel.compile(text).execute(whole)
    except TypeError as error:
        raise Misfitted(text) from error
    except RuntimeError as error:
        if "Undefined" in str(error):
            raise Misfitted(text) from error
        return ERROR
    except (KeyError, IndexError, ArithmeticError, ValueError):
        return ERROR
    return outcome if isinstance(outcome, bool) else ERROR


def by_us(condition: Condition, context: Mapping[str, object]) -> bool | str:
    try:
        return condition.met(context)
    except ConditionError:
        return ERROR
