"""The functions, methods and arithmetic of conditions, with their types."""

from __future__ import annotations

import pytest

from app.policy.language.when.functions import FUNCTIONS, METHODS, fits, ordered, outcome, unknown_function
from app.policy.language.when.shape import BOOL, DOUBLE, DURATION, DYN, INT, NULL, STRING, TIMESTAMP, Kind

KINDS = {"int": INT, "double": DOUBLE, "string": STRING, "bool": BOOL, "timestamp": TIMESTAMP, "duration": DURATION}
TEXTS, NUMBERS = Kind("list", STRING), Kind("list", INT)
ARITHMETIC = {
    "+": "int+int=int double+double=double string+string=string duration+duration=duration "
    "timestamp+duration=timestamp",
    "-": "int-int=int double-double=double duration-duration=duration timestamp-duration=timestamp "
    "timestamp-timestamp=duration",
    "*": "int*int=int double*double=double",
    "/": "int/int=int double/double=double",
    "%": "int%int=int",
}


@pytest.mark.parametrize("operator", ARITHMETIC)
def test_arithmetic_is_limited_to_these_types(operator: str) -> None:
    found = {
        f"{one}{operator}{other}={result.name}"
        for one, left in KINDS.items()
        for other, right in KINDS.items()
        if (result := outcome(operator, left, right)) is not None
    }
    assert found == set(ARITHMETIC[operator].split())


@pytest.mark.parametrize(
    ("left", "right", "result"),
    [
        (TEXTS, TEXTS, TEXTS),
        (NUMBERS, NUMBERS, NUMBERS),
        (DYN, INT, DYN),
        (STRING, DYN, DYN),
        (DYN, DYN, DYN),
        (TEXTS, STRING, None),
        (NULL, NULL, None),
        (BOOL, DYN, None),
    ],
)
def test_lists_are_concatenated_and_dynamic_types_stay_dynamic(left: Kind, right: Kind, result: Kind | None) -> None:
    assert outcome("+", left, right) == result


def test_kinds_fit_by_name_and_item() -> None:
    assert fits(TEXTS, TEXTS) and fits(TEXTS, Kind("list", DYN)) and fits(DYN, TEXTS) and fits(TEXTS, Kind("list"))
    assert not fits(TEXTS, NUMBERS) and not fits(TEXTS, Kind("map", STRING)) and not fits(INT, DOUBLE)
    assert {name for name, kind in KINDS.items() if ordered(kind, kind)} == {*KINDS} - {"bool"}
    assert ordered(DYN, STRING) and not ordered(STRING, INT) and not ordered(BOOL, DYN) and not ordered(TEXTS, TEXTS)


def test_functions_and_methods_have_these_signatures() -> None:
    assert {
        name: (" ".join(kind.name for kind in takes), gives.name) for name, (takes, gives) in FUNCTIONS.items()
    } == {
        "int": ("string int double", "int"),
        "double": ("string int double", "double"),
        "string": ("string int double timestamp duration", "string"),
        "timestamp": ("string timestamp", "timestamp"),
        "duration": ("string duration", "duration"),
    }
    of_text = {name for name, method in METHODS.items() if method == (STRING, (STRING,), BOOL)}
    of_time = {name for name, method in METHODS.items() if method == (TIMESTAMP, (), INT)}
    assert of_text == {"contains", "startsWith", "endsWith"}
    assert of_time == {
        *("getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek"),
        *("getDayOfYear", "getHours", "getMinutes", "getSeconds"),
    }
    assert len(METHODS) == len(of_text | of_time)


@pytest.mark.parametrize(
    ("name", "target", "message", "hint"),
    [
        ("int", "x", "`int` is not a method", "write int(x)"),
        ("ip_in", "x", "`ip_in` is not a method", "write ip_in(x, …)"),
        ("contains", "", "`contains` is a method", "call it on a value, as in x.contains(…)"),
        ("all", "", "`all` is a method", "call it on a value, as in x.all(…)"),
        ("size", "x", "`size` is not supported in conditions", "compare with [] or use exists"),
        ("map", "", "`map` is not supported in conditions", "use exists or all"),
        ("filter", "", "`filter` is not supported in conditions", "use exists or all"),
        ("strin", "", "there is no `strin`", "did you mean `string`?"),
        ("strin", "x", "there is no `strin`", None),
        ("zz", "", "there is no `zz`", "use one of int, double, string, timestamp, duration, has, ip_in"),
    ],
)
def test_an_unknown_name_lists_the_known_ones(name: str, target: str, message: str, hint: str | None) -> None:
    found = unknown_function(name, target)
    assert found[0] == message
    assert found[1] == hint or (hint is None and "string" not in found[1].split())
