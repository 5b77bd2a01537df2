"""Developers with sessions and keys, and hostile names of keys."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx

from app.identity.api_keys import mint
from tests.console.sessions import Person, sign_in
from tests.support.server import Server

KEYS = "/console/keys"
HOSTILE = {
    "script": "<script>alert(1)</script>",
    "attribute": '" autofocus onfocus="alert(1)',
    "bidi": "a\u202etxt.exe\u202c",
    "nul": "a\x00b",
    "template": "{{ 'xy' ~ 'zq' }}{% raw %}",
    "long": "W" * 200,
    "astral": "\U0001f3c8 \u0e47\u0e47\u0e47 ﷽",
}
_people = count(1)


def developer(console: Server, *permissions: str) -> Subject:
    subject = f"user_dev_{next(_people)}_{datetime.now(UTC).timestamp()}"
    return Subject(console, subject, permissions or ("catalog:read", "catalog:write"))


class Subject(Person):
    """A user with a session, and the subject at the issuer."""

    def __init__(self, console: Server, subject: str, permissions: tuple[str, ...]) -> None:
        super().__init__(console, sign_in(console, subject, permissions).token)
        self.subject = subject
        self.database = console.directory / "authz.db"

    def form_id(self, path: str) -> str:
        """The id of a form on a page."""
        found = re.search(r'name="form_id" value="([0-9a-f]{32})"', self.get(path).text)
        assert found
        return found[1]

    def issue(self, **fields: Any) -> httpx.Response:
        form = {"name": "CI", "scopes": ["catalog:read"], "lives": "90", "environment": "live", **fields}
        return self.post(f"{KEYS}/new", **{"form_id": self.form_id(f"{KEYS}/new"), **form})

    def put(self, name: str, **columns: Any) -> int:
        """Insert a key into the database; return its id."""
        new = mint("live")
        now = datetime.now(UTC)
        row = {
            "subject": self.subject,
            "name": name,
            "environment": "live",
            "key_prefix": new.prefix,
            "digest": new.digest,
            "scopes": '["catalog:read"]',
            "created_at": now,
            **columns,
        }
        cells = [_stored(cell) for cell in row.values()]
        with closing(sqlite3.connect(self.database, timeout=10)) as database, database:
            marks = ", ".join("?" * len(row))
            return int(
                database.execute(f"INSERT INTO api_keys ({', '.join(row)}) VALUES ({marks})", cells).lastrowid or 0
            )


def _stored(cell: Any) -> Any:
    return cell.astimezone(UTC).replace(tzinfo=None).isoformat(" ") if isinstance(cell, datetime) else cell


def days(number: float) -> datetime:
    return datetime.now(UTC) + timedelta(days=number)


def plaintext(answer: httpx.Response) -> str:
    found = re.search(r"grd_(?:live|test)_[0-9a-f]{48}", answer.text)
    assert found, answer.text
    return found[0]


def teams(console: Server, token: str) -> httpx.Response:
    with console.client(token) as client:
        return client.get("/api/v1/teams/")
