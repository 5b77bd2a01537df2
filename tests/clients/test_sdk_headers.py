"""Both SDKs read header fields in the same way, malformed ones too."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from scripts.sdk.python.griddy import _headers as python
from tests.clients.sdk_callers import NodeCaller

CHALLENGES: dict[str, list[str]] = {
    'Bearer error="insufficient_scope", scope="a:read b:write"': ["a:read", "b:write"],
    'bearer ERROR="insufficient_scope",SCOPE="a:read"': ["a:read"],
    "Bearer error=insufficient_scope, scope=a": ["a"],
    'Bearer error = "insufficient_scope" , scope = "a"': ["a"],
    'Bearer realm="x, scope=\\"b\\"", error="insufficient_scope", scope="a"': ["a"],
    'Bearer error="insufficient_scope", error_description="scope=\\"b\\"", scope="a"': ["a"],
    'Bearer error="insufficient_scope", x-scope="b"': [],
    'Bearer error="insufficient_scope", scope="\\a"': ["a"],
    'Bearer error="insufficient_scope", scope=" a  b "': ["a", "b"],
    'Bearer error="insufficient_scope", scope=""': [],
    'Basic realm="x", Bearer error="insufficient_scope", scope="a"': ["a"],
    'Negotiate YWJj==, Bearer error="insufficient_scope", scope="a"': ["a"],
    'Basic error="insufficient_scope", scope="b", Bearer': [],
    'Bearer error="insufficient_scope", Basic scope="b"': [],
    ', ,Bearer error="insufficient_scope",, scope="a",': ["a"],
    'Bearer error="invalid_token", scope="a"': [],
    'Bearer scope="a"': [],
    "Bearer": [],
    "": [],
    "   ": [],
    'error="insufficient_scope", scope="a"': [],
    'Bearer error="insufficient_scope" scope="a"': [],
    'Bearer error="insufficient_scope", scope="a': [],
    'Bearer error="insufficient_scope", scope="a" garbage': [],
    'Bearer error="insufficient_scope", scope="a", scope="b"': [],
    'Bearer error="insufficient_scope", scope="a\\"b"': [],
    'Bearer error="insufficient_scope", scope="a\\\\b"': [],
    'Bearer error="insufficient_scope", scope="a\tb"': [],
    'Bearer error="insufficient_scope", scope="é"': [],
    'Bearer error="insufficient_scope", scope="a", é=b': [],
    '"Bearer" error="insufficient_scope", scope="a"': [],
    'Bearer error=, scope="a"': [],
    'Bearer ="insufficient_scope"': [],
}
NOW = datetime.now(UTC).replace(microsecond=0)


def date(seconds: int) -> str:
    """A date of HTTP, so many seconds from now."""
    return format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)


WAITS: dict[str, float | None] = {
    "0": 0,
    "31": 31,
    "007": 7,
    "86400": 86_400,
    "86401": 86_400,
    "9" * 400: 86_400,
    date(-60): 0,
    date(1_000_000): 86_400,
    "Thu, 01 Jan 1970 00:00:00 GMT": 0,
    "Fri, 31 Dec 9999 23:59:59 GMT": 86_400,
    "": None,
    "-1": None,
    "+1": None,
    "1.5": None,
    "1e3": None,
    "0x10": None,
    "1_0": None,
    "1 ": None,
    "1, 2": None,
    "\u0661": None,
    "\u00b2": None,
    "Infinity": None,
    "NaN": None,
    "Invalid Date": None,
    "soon": None,
    "tomorrow": None,
    "2999-01-01T00:00:00Z": None,
    "2999": 2999,
    "Mon, 01 Jan 2999 00:00:00 GMT": None,  # a Tuesday
    "Tue, 01 Jan 2999 00:00:00 GMT": 86_400,
    "Tue, 1 Jan 2999 00:00:00 GMT": None,
    "tue, 01 jan 2999 00:00:00 gmt": None,
    "Tue, 01 Jan 2999 00:00:00 +0000": None,
    "Tue, 01 Jan 2999 00:00:00 EST": None,
    "Tue, 01 Jan 2999 00:00:00": None,
    "Tue, 31 Feb 2999 00:00:00 GMT": None,
    "Tue, 01 Jan 2999 24:00:00 GMT": None,
    "Tue, 01 Jan 2999 00:00:60 GMT": None,
    "Tuesday, 01-Jan-99 00:00:00 GMT": None,
    "Tue Jan  1 00:00:00 2999": None,
    "Tue, 01 Jan 2999 00:00:00 GMT (comment)": None,
}
LINKS = [
    "",
    ", ,",
    "<>",
    "</a?b>; rel=next",
    '</a?b>; rel="next"; title="a; b, c"',
    '</a?b>;rel="next";rel="prev",</c>; REL=last',
    "</a?b>; rel",
    "</a?b>; rel=",
    "</a?b>; =next",
    "</a?b> ; rel = next ,",
    "</a?b>;; rel=next",
    "</a b>; rel=next",
    "</a?b; rel=next",
    "a?b; rel=next",
    '</a?b>; rel="next',
    '</a?b>; rel="ne\\xt"',
    '</a?b>; rel="next" </c>; rel=prev',
    "</é>; rel=é",
]


def links(header: str) -> list[dict[str, Any]] | None:
    """The links as the other SDK has them."""
    found = python.links_of(header)
    return None if found is None else [asdict(link) for link in found]


READERS: dict[str, Callable[[str], Any]] = {
    "bearerChallenge": python.bearer_challenge,
    "missingScopes": lambda header: list(python.missing_scopes(header)),
    "secondsOf": python.seconds_of,
    "linksOf": links,
}


@pytest.fixture(scope="module")
def typescript(node_griddy: NodeCaller) -> dict[str, list[Any]]:
    """How the SDK for TypeScript reads the headers of the tables."""
    return node_griddy.read(missingScopes=[*CHALLENGES], secondsOf=[*WAITS], linksOf=LINKS)


def test_a_challenge_names_the_missing_permissions(typescript: dict[str, list[Any]]) -> None:
    for header, found, expected in zip(CHALLENGES, typescript["missingScopes"], CHALLENGES.values(), strict=True):
        assert (found, READERS["missingScopes"](header)) == (expected, expected), header


def test_a_wait_is_seconds_or_a_date_and_at_most_a_day(typescript: dict[str, list[Any]]) -> None:
    for header, found, expected in zip(WAITS, typescript["secondsOf"], WAITS.values(), strict=True):
        assert (found, READERS["secondsOf"](header)) == (expected, expected), header


def test_a_date_is_a_wait_from_now(node_griddy: NodeCaller) -> None:
    header = format_datetime(datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=601), usegmt=True)
    (found,) = node_griddy.read(secondsOf=[header])["secondsOf"]
    assert 500 < found <= 601
    assert 500 < (python.seconds_of(header) or 0) <= 601


def test_links_are_read_alike(typescript: dict[str, list[Any]]) -> None:
    for header, found in zip(LINKS, typescript["linksOf"], strict=True):
        assert found == links(header), header


def test_damaged_headers_are_read_alike(node_griddy: NodeCaller) -> None:
    source = random.Random(20261129)
    headers = [*CHALLENGES, *LINKS, *(wait for wait in WAITS if str(NOW.year) not in wait)]
    parts = ['"', "\\", ",", ";", "=", " ", "\t", "<", ">", "Bearer ", "scope=", "next", "é", "9", "GMT"]
    damaged = []
    for _ in range(1500):
        text = source.choice(headers)[:200]
        for _ in range(source.randrange(1, 4)):
            at = source.randrange(len(text) + 1)
            text = text[:at] + source.choice(["", *parts]) + text[at + source.randrange(3) :]
        damaged.append(text)
    found = node_griddy.read(**dict.fromkeys(READERS, damaged))
    for name, reader in READERS.items():
        for header, value in zip(damaged, found[name], strict=True):
            assert value == reader(header), (name, header)


def test_a_long_header_is_read_in_linear_time(node_griddy: NodeCaller) -> None:
    """A backtracking pattern would take minutes."""
    long = ['Bearer a="' + "\\" * 60_001, "Bearer " + "a=" * 30_000, "<x>" + ";a=b" * 15_000 + "!", "a" * 60_000 + "="]
    found = node_griddy.read(bearerChallenge=long, linksOf=long)
    assert found == {name: [READERS[name](header) for header in long] for name in found}
