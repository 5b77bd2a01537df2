"""The type checker of conditions: finds unknown names, unknown functions and type errors when the policy loads."""

from __future__ import annotations

from ipaddress import ip_network
from typing import NoReturn

from app.policy.language.fault import did_you_mean
from app.policy.language.when import functions, read
from app.policy.language.when.cost import Estimator
from app.policy.language.when.flat import FlatCondition
from app.policy.language.when.functions import FUNCTIONS, METHODS, fits
from app.policy.language.when.shape import BOOL, DOUBLE, DYN, INT, NULL, SCHEMA, STRING, Kind, nearest_variable
from app.policy.language.when.syntax import ConditionSyntaxError
from app.policy.language.when.tree import (
    Binary,
    Call,
    Index,
    ListExpression,
    Literal,
    Name,
    Node,
    Select,
    Ternary,
    Unary,
)

_LITERALS = {str: STRING, bool: BOOL, int: INT, float: DOUBLE, type(None): NULL}


def _wrong(node: Node, message: str, hint: str = "") -> ConditionSyntaxError:
    return ConditionSyntaxError(message, node.start, node.end, hint)


class Checker:
    """Checks one condition; `check` raises ConditionSyntaxError.

    Afterwards `flat` has the values to read and the remaining expression, and `cost` estimates its work.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._bound: dict[str, Kind] = {}
        self.flat = FlatCondition(text)

    def check(self, tree: Node) -> None:
        """Check a condition, whose type must be bool."""
        kind = self._kind(tree)
        if not fits(kind, BOOL):
            hint = "compare it with something" if kind in (*functions.ORDERED, NULL) else ""
            raise _wrong(tree, f"a condition must be true or false, this is {kind}", hint)
        self.cost = Estimator(tree, self.flat.names, frozenset(self.flat.values))

    def _shown(self, node: Node) -> str:
        return self._text[node.start : node.end]

    def _kind(self, node: Node) -> Kind:
        found = self._path(node)
        if found is None:
            return self._computed(node)
        path, kind = found
        if kind.fields is not None:
            hint = f"add a field: {', '.join(f'{self._shown(node)}.{field}' for field in kind.fields)}"
            raise _wrong(node, f"`{self._shown(node)}` is not a value by itself", hint)
        self.flat.read(node, "value", path, read.value_of(path))
        return kind

    def _computed(self, node: Node) -> Kind:
        match node:
            case Literal(value=value):
                return _LITERALS[type(value)]
            case Name(name=name):
                return self._bound[name]
            case Select(base=base, name=name):
                return self._member(self._kind(base), node, name)
            case Index():
                return self._item(node)
            case ListExpression(items=items):
                return self._items(items)
            case Unary(operator="!", operand=operand):
                return self._must(operand, BOOL)
            case Unary(operand=operand):
                return self._must(operand, INT, DOUBLE)
            case Binary():
                return self._binary(node)
            case Ternary():
                return self._ternary(node)
            case Call(target=None):
                return self._function(node)
            case Call(target=Node() as target):
                return self._method(node, target)
        raise TypeError(f"no such node: {node!r}")

    def _must(self, node: Node, *kinds: Kind) -> Kind:
        kind = self._kind(node)
        if not any(fits(kind, each) for each in kinds):
            expected = " or ".join(str(each) for each in kinds)
            raise _wrong(node, f"`{self._shown(node)}` is {kind}, expected {expected}")
        return kind

    def _path(self, node: Node) -> tuple[read.Path, Kind] | None:
        """The path that a node names, and its type; None if it is not a path from one of the six variables."""
        match node:
            case Name(name=name) if name not in self._bound:
                return (name,), self._variable(node, name)
            case Select(base=base, name=name):
                found = self._path(base)
                return found and ((*found[0], name), self._member(found[1], node, name))
            case Index(base=base, key=Literal(value=str() as name) as key):
                found = self._path(base)
                return found and ((*found[0], name), self._member(found[1], key, name))
        return None

    def _variable(self, node: Node, name: str) -> Kind:
        if name in SCHEMA:
            return SCHEMA[name].kind
        hint = nearest_variable(name, self._bound)
        raise _wrong(node, f"`{name}` is not a variable of conditions", hint)

    def _member(self, kind: Kind, node: Node, name: str) -> Kind:
        start, end = (node.at, node.at + len(name)) if isinstance(node, Select) else (node.start, node.end)
        if kind.fields is not None:
            if name not in kind.fields:
                hint = did_you_mean(name, kind.fields) or f"it has {', '.join(kind.fields)}"
                raise ConditionSyntaxError(f"`{kind.name}` has no field `{name}`", start, end, hint)
            return kind.fields[name].kind
        if kind.name == "map" and kind.item:
            return kind.item
        if kind == DYN:
            return DYN
        raise ConditionSyntaxError(f"{kind} has no fields", start, end)

    def _item(self, node: Index) -> Kind:
        kind = self._kind(node.base)
        if kind == DYN:
            self._must(node.key, STRING, INT)
            return DYN
        if kind.item is None:
            raise ConditionSyntaxError(
                f"`{self._shown(node.base)}` is {kind}, which has no items", node.base.start, node.end
            )
        self._must(node.key, INT if kind.name == "list" else STRING)
        return kind.item

    def _items(self, items: tuple[Node, ...]) -> Kind:
        item = DYN
        for node in items:
            kind = self._kind(node)
            if not fits(kind, item):
                raise _wrong(node, f"`{self._shown(node)}` is {kind} in a list of {item}")
            item = kind if item == DYN else item
        return Kind("list", item)

    def _ternary(self, node: Ternary) -> Kind:
        self._must(node.condition, BOOL)
        yes, no = self._kind(node.yes), self._kind(node.no)
        if not fits(yes, no):
            raise ConditionSyntaxError(f"one outcome is {yes}, the other {no}", node.yes.start, node.no.end)
        return DYN if DYN in (yes, no) else yes

    def _binary(self, node: Binary) -> Kind:
        operator = node.operator
        if operator in ("&&", "||"):
            self._must(node.left, BOOL)
            self._must(node.right, BOOL)
            return BOOL
        if operator == "in":
            return self._within(node)
        if operator in ("==", "!=") and self._compared(node):
            return BOOL
        left, right = self._kind(node.left), self._kind(node.right)
        if operator in functions.ARITHMETIC:
            result = functions.outcome(operator, left, right)
        elif operator in ("==", "!="):
            result = BOOL if fits(left, right) else None
        else:
            result = BOOL if functions.ordered(left, right) else None
        if result is None:
            message = f"cannot apply `{operator}` to {left} and {right}"
            raise _wrong(node, message, self._mismatch_hint(node, left, right))
        return result

    def _compared(self, node: Binary) -> bool:
        """Replace the comparison of a path with a text, on either side; return False for any other."""
        for one, other in ((node.left, node.right), (node.right, node.left)):
            if isinstance(one, Literal) and isinstance(one.value, str) and (found := self._path(other)):
                path, kind = found
                if fits(kind, STRING):
                    before = "!" if node.operator == "!=" else ""
                    self.flat.read(node, "==", path, read.equality(one.value, path), one.value, before=before)
                    return True
        return False

    def _mismatch_hint(self, node: Binary, left: Kind, right: Kind) -> str:
        if NULL in (left, right):
            return "this is never null; use has(…) for an optional field"
        for one, other, kind in ((node.left, node.right, right), (node.right, node.left, left)):
            if isinstance(one, Literal) and kind == STRING and type(one.value) in (int, float):
                return f"write '{self._shown(one)}', or {_LITERALS[type(one.value)]}({self._shown(other)})"
        return ""

    def _within(self, node: Binary) -> Kind:
        path = self._path(node.right)
        if isinstance(node.left, Literal) and isinstance(node.left.value, str) and path:
            names, kind = path
            if kind == DYN or (kind.name in ("list", "map") and kind.item and fits(STRING, kind.item)):
                self.flat.read(node, "in", names, read.membership(node.left.value, names), node.left.value)
                return BOOL
        right = self._kind(node.right)
        if right.name == "map":
            self._must(node.left, STRING)
        elif right.name == "list" and right.item:
            self._must(node.left, right.item)
        elif right == DYN:
            self._kind(node.left)
        else:
            hint = "write `.contains(…)`" if right == STRING else "write a list, as in ['a', 'b']"
            raise _wrong(node.right, f"`{self._shown(node.right)}` is {right}, expected a list or map", hint)
        return BOOL

    def _function(self, node: Call) -> Kind:
        if node.name == "has":
            return self._has(node)
        if node.name == "ip_in":
            return self._ip_in(node)
        if node.name not in FUNCTIONS:
            self._unknown(node)
        takes, gives = FUNCTIONS[node.name]
        (argument,) = self._arguments(node, 1)
        self._must(argument, *takes)
        if isinstance(argument, Literal) and not functions.is_valid_call(self._shown(node)):
            message = f"`{self._shown(argument)}` is not a valid {node.name}"
            raise _wrong(argument, message, functions.EXAMPLES.get(node.name, ""))
        return gives

    def _has(self, node: Call) -> Kind:
        (argument,) = self._arguments(node, 1)
        if not isinstance(argument, Select):
            hint = "write has(subject.claims.email)"
            if isinstance(argument, Index):
                hint = f"write {self._shown(argument.key)} in {self._shown(argument.base)}"
            raise _wrong(argument, "has() takes a field", hint)
        found = self._path(argument)
        if found is None:
            self._kind(argument)
            return BOOL
        path, _ = found
        holder = self._path(argument.base)
        if holder and holder[1].fields and holder[1].fields[argument.name].always:
            raise _wrong(argument, f"`{read.shown(path)}` is always present", "compare it without has()")
        self.flat.read(node, "has", path, read.presence_of(path))
        return BOOL

    def _ip_in(self, node: Call) -> Kind:
        address, network = self._arguments(node, 2)
        found = self._path(address)
        if found is None or not fits(found[1], STRING):
            message = f"`{self._shown(address)}` is not a field with an address"
            raise _wrong(address, message, "write ip_in(request.ip, '10.0.0.0/8')")
        text = network.value if isinstance(network, Literal) and isinstance(network.value, str) else ""
        try:
            within = read.address_within(ip_network(text), found[0])
        except ValueError as error:
            raise _wrong(network, f"`{self._shown(network)}` is not a network", read.network_hint(text)) from error
        self.flat.read(node, "ip_in", found[0], within, text)
        return BOOL

    def _method(self, node: Call, target: Node) -> Kind:
        if node.name in functions.MACROS:
            return self._macro(node, target)
        if node.name not in METHODS:
            self._unknown(node)
        of, takes, gives = METHODS[node.name]
        self._must(target, of)
        for argument, kind in zip(self._arguments(node, len(takes)), takes, strict=True):
            self._must(argument, kind)
        return gives

    def _macro(self, node: Call, target: Node) -> Kind:
        if self._bound:
            message = "macros cannot be nested, since the work would be the product of two lists"
            raise ConditionSyntaxError(message, node.at, node.at + len(node.name), "use `in` for the inner list")
        holder = self._kind(target)
        if holder.name not in ("list", "map", "dyn"):
            raise _wrong(target, f"`{self._shown(target)}` is {holder}, expected a list or map")
        item, body = self._arguments(node, 2)
        if not isinstance(item, Name) or item.name in SCHEMA or item.name.startswith("_"):
            raise _wrong(item, "expected a new name here", "write exists(x, x == 'a')")
        self._bound = {item.name: STRING if holder.name == "map" else holder.item or DYN}
        self._must(body, BOOL)
        self._bound = {}
        return BOOL

    def _arguments(self, node: Call, count: int) -> tuple[Node, ...]:
        if len(node.arguments) != count:
            plural = "argument" if count == 1 else "arguments"
            message = f"`{node.name}` takes {count or 'no'} {plural}, not {len(node.arguments)}"
            raise ConditionSyntaxError(message, node.at, node.end)
        return node.arguments

    def _unknown(self, node: Call) -> NoReturn:
        target = self._shown(node.target) if node.target else ""
        message, hint = functions.unknown_function(node.name, target)
        raise ConditionSyntaxError(message, node.at, node.at + len(node.name), hint)
