"""The functions of conditions, and the operand types of their operators.

This is the part of CEL that the library implements correctly for all values of these types. Left out are functions
that it lacks (`string(true)`, time zones), that count in bytes (`size`), or whose cost callers could drive up
(`matches` compiles its pattern at each evaluation, `map` and `filter` are quadratic).
"""

from __future__ import annotations

from collections.abc import Mapping

from app.policy.language.fault import did_you_mean
from app.policy.language.when.program import compile_program
from app.policy.language.when.shape import BOOL, DOUBLE, DURATION, DYN, INT, STRING, TIMESTAMP, Kind

LIST = Kind("list", DYN)
ORDERED = (INT, DOUBLE, STRING, TIMESTAMP, DURATION)

# The argument types of a function, of which it takes one, and its result type.
FUNCTIONS: Mapping[str, tuple[tuple[Kind, ...], Kind]] = {
    "int": ((STRING, INT, DOUBLE), INT),
    "double": ((STRING, INT, DOUBLE), DOUBLE),
    "string": ((STRING, INT, DOUBLE, TIMESTAMP, DURATION), STRING),
    "timestamp": ((STRING, TIMESTAMP), TIMESTAMP),
    "duration": ((STRING, DURATION), DURATION),
}
# The receiver type of a method, its argument types, and its result type.
METHODS: Mapping[str, tuple[Kind, tuple[Kind, ...], Kind]] = {
    **dict.fromkeys(("contains", "startsWith", "endsWith"), (STRING, (STRING,), BOOL)),
    **dict.fromkeys(("getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek"), (TIMESTAMP, (), INT)),
    **dict.fromkeys(("getDayOfYear", "getHours", "getMinutes", "getSeconds"), (TIMESTAMP, (), INT)),
}
MACROS = ("all", "exists", "exists_one")
# Answered from a path before CEL evaluates.
SPECIAL = ("has", "ip_in")

_LEFT_OUT = {
    "matches": "its pattern would be compiled at each decision; use startsWith, endsWith or contains",
    "size": "compare with [] or use exists",
    "map": "use exists or all",
    "filter": "use exists or all",
}
EXAMPLES = {"timestamp": "write timestamp('2026-11-24T08:00:00Z')", "duration": "write duration('90m')"}


def fits(left: Kind, right: Kind) -> bool:
    """Whether two types are compatible. `dyn` may be any type, which is known only when deciding."""
    if DYN in (left, right):
        return True
    return left.name == right.name and (left.item is None or right.item is None or fits(left.item, right.item))


def ordered(left: Kind, right: Kind) -> bool:
    """Whether values of two types can be ordered."""
    return fits(left, right) and all(any(fits(kind, one) for one in ORDERED) for kind in (left, right))


def outcome(operator: str, left: Kind, right: Kind) -> Kind | None:
    """The result type of an arithmetic operator; None if it does not apply to these types."""
    for first, second, result in _ARITHMETIC[operator]:
        if fits(left, first) and fits(right, second):
            if DYN in (left, right):
                return DYN
            return left if result == LIST else result
    return None


_NUMBERS = ((INT, INT, INT), (DOUBLE, DOUBLE, DOUBLE))
_TIMES = ((DURATION, DURATION, DURATION), (TIMESTAMP, DURATION, TIMESTAMP))
_ARITHMETIC: Mapping[str, tuple[tuple[Kind, Kind, Kind], ...]] = {
    "+": (*_NUMBERS, *_TIMES, (STRING, STRING, STRING), (LIST, LIST, LIST)),
    "-": (*_NUMBERS, *_TIMES, (TIMESTAMP, TIMESTAMP, DURATION)),
    "*": _NUMBERS,
    "/": _NUMBERS,
    "%": ((INT, INT, INT),),
}
ARITHMETIC = tuple(_ARITHMETIC)


def is_valid_call(call: str) -> bool:
    """Whether CEL's library accepts this call of a function with a constant."""
    try:
        compile_program(call).execute()
    except (ValueError, RuntimeError, ArithmeticError):
        return False
    return True


def unknown_function(name: str, target: str) -> tuple[str, str]:
    """Message and hint for a call of an unknown function, or of an unknown method if `target` is not empty."""
    functions, methods = (*FUNCTIONS, *SPECIAL), (*METHODS, *MACROS)
    if name in _LEFT_OUT:
        return f"`{name}` is not supported in conditions", _LEFT_OUT[name]
    if target and name in functions:
        return (
            f"`{name}` is not a method",
            f"write {name}({target}, …)" if name == "ip_in" else f"write {name}({target})",
        )
    if not target and name in methods:
        return f"`{name}` is a method", f"call it on a value, as in x.{name}(…)"
    known = methods if target else functions
    return f"there is no `{name}`", did_you_mean(name, known) or f"use one of {', '.join(known)}"
