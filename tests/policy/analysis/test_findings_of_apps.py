"""Findings about rows for apps: those that allow the user of an app alone, and those that change no verdict."""

from __future__ import annotations

import pytest

from app.policy.analysis.findings import find
from tests.policy.small import snapshot

REST = ("p, a:read a:write b:read c:read, /y, GET, allow",)
ASK = "p, app-kind:registered, scope:a:read, ask, allow"


def codes(*rows: str) -> list[str]:
    return [finding.at.code for finding in find(snapshot(*rows, *REST))]


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        (("p, app:acme user:ann, /x, GET, allow",), ["user-side-row"]),
        (("p, auth:oauth org:org_1, /x, GET, allow",), ["user-side-row"]),
        (("p, app:acme role:vip, /x, GET, allow", "g, user:ann, role:vip"), ["user-side-row"]),
        (("p, app:acme role:vip, /x, GET, allow", "g, a:read, role:vip"), []),
        (("p, app:acme role:vip, /x, GET, allow", "g, app:acme, role:vip"), []),
        (("p, app:acme a:read, /x, GET, allow", ASK), []),
        (("p, a:read, /x, GET, allow", "p, app:acme user:ann, /x, GET, deny"), []),
        (("p, app:acme, /x, GET, allow", "p, user:ann, /x, GET, deny"), []),
        ((ASK, ASK, "p, a:read, /x, GET, allow"), ["duplicate-row"]),
        (("p, a:read, /x, GET, allow", "p, auth:oauth, /x, GET, deny"), []),
    ],
)
def test_rows_about_apps(rows: tuple[str, ...], found: list[str]) -> None:
    assert codes(*rows) == found
