"""Backs up a SQLite database while servers write to it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import URL

from app.db.address import address_of
from app.db.errors import UnusableDatabase


def backup(url: str, file: Path) -> int:
    """Copy a consistent state of the SQLite database to a new private file, and return its size in bytes.

    Raises UnusableDatabase for PostgreSQL, a missing or damaged database, or an existing `file`.
    """
    address = address_of(url)
    if not isinstance(address, URL):
        raise UnusableDatabase("PostgreSQL is backed up with its own pg_dump; this command copies SQLite files.")
    source = Path(address.database or "")
    if not source.is_file():
        raise UnusableDatabase(f"There is no database {source} to back up.")
    part = file.with_name(f"{file.name}.part")
    try:
        # Under another name until it is complete, so that a partial copy is never mistaken for a backup.
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        try:
            _copy(source, part)
            os.link(part, file)
        finally:
            part.unlink()
    except FileExistsError:
        raise UnusableDatabase(f"{file} exists already: name a new file.") from None
    except OSError as refused:
        raise UnusableDatabase(f"{file} cannot be written: {refused.strerror}.") from refused
    except sqlite3.Error as fault:
        raise UnusableDatabase(f"{source} cannot be copied: {fault}.") from None
    return file.stat().st_size


def _copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as database, closing(sqlite3.connect(target)) as copy:
        database.backup(copy)
        (text,) = copy.execute("PRAGMA quick_check(1)").fetchone()
        if text != "ok":
            raise sqlite3.DatabaseError(f"it is damaged: {text}")
    with target.open("rb") as written:
        os.fsync(written.fileno())
