"""The presence of the sample API's tables in a database, which a deployment without the sample API does not need."""

from __future__ import annotations

from sqlalchemy import Connection, inspect

from app.griddy.tables import catalog, holdings, metadata

TABLES = [
    table
    for table in metadata.sorted_tables
    if table in {getattr(each, "__table__", None) for module in (catalog, holdings) for each in vars(module).values()}
]
# A database has all of them or none.
FIRST = TABLES[0].name


def provide(connection: Connection, is_new: bool) -> None:
    """Create the tables in a database that has none."""
    if not is_new:
        metadata.create_all(connection, tables=TABLES)


def is_present(connection: Connection) -> bool:
    """Whether a database has the tables."""
    return inspect(connection).has_table(FIRST)


def leave_out(connection: Connection, is_new: bool) -> None:
    """Remove the tables from a new database. Those of an older one stay, since they may have rows."""
    if is_new:
        metadata.drop_all(connection, tables=TABLES)
