"""The page of replicas: the revision and lag of each, and silent ones."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

from tests.console.admins import officer, words
from tests.support.server import DATABASE, Server, eventually

_INSERT = """
INSERT INTO replicas (host, pid, version, revision, entry_id, started_at, seen_at, refused, files)
VALUES (?, ?, '0.1.0', ?, ?, ?, ?, ?, ?)
"""


def test_every_process_is_shown_with_its_last_report(console: Server) -> None:
    person = officer(console)
    path = "/console/replicas"
    assert eventually(lambda: "1 live process serves the newest policy" in words(person.get(path).text))
    assert "this one" in words(person.get(path).text)
    now = datetime.now(UTC)
    soon, long_ago = ((now - age).strftime("%Y-%m-%d %H:%M:%S.%f") for age in (timedelta(0), timedelta(hours=3)))
    others = (
        ("<b>east</b>", 7, "0123456789abcdef", 0, soon, soon, "catalog.csv:7:18: no route matches `/x`", ""),
        ("west", 8, "fedcba9876543210", None, long_ago, long_ago, "", "read-only file system"),
    )
    with closing(sqlite3.connect(console.directory / DATABASE)) as database:
        database.executemany(_INSERT, others)
        database.commit()
        try:
            shown = words(person.get(path).text)
        finally:
            database.execute("DELETE FROM replicas WHERE pid IN (7, 8)")
            database.commit()
    assert "1 behind" in shown
    assert "of 2 live processes" in shown
    assert "<b>east</b>" in shown
    assert "It cannot load the newest policy: catalog.csv:7:18: no route matches" in shown
    assert "Its files are outdated: read-only file system." in shown
    assert "silent" in shown
    assert "3 hours ago" in shown
