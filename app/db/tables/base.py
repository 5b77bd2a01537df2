"""The base of all tables and request bodies."""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import BigInteger, Integer, Table
from sqlmodel import Field, SQLModel

# Names of constraints are part of the schema: the same in a migration and on both databases.
SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = SQLModel.metadata

# 64 bits on both databases; SQLite generates ids only for a column declared INTEGER.
ROW_ID = BigInteger().with_variant(Integer, "sqlite")
# An id is never reused, even after the newest row was deleted: it may be in a policy or a bookmark.
NEVER_REUSED: dict[str, Any] = {"sqlite_autoincrement": True}


class Body(SQLModel):
    """The fields of a row that a client may set. Undeclared fields are refused, and errors never show the input."""

    # Defaults are validated, since what may be left out can depend on other fields. Validators are built on first use,
    # so that they do not slow down the start.
    model_config = {
        "defer_build": True,
        "extra": "forbid",
        "from_attributes": False,
        "hide_input_in_errors": True,
        "validate_default": True,
    }


def row_id() -> Any:
    """The field of a row's id, which the database generates."""
    return Field(default=None, primary_key=True, sa_type=ROW_ID)


def refers_to(table: str, *, ondelete: Literal["RESTRICT", "CASCADE"] = "RESTRICT", **field: Any) -> Any:
    """A field with the id of a row of `table`, which cannot be deleted then unless `ondelete` allows it."""
    return Field(foreign_key=f"{table}.id", ondelete=ondelete, index=True, sa_type=ROW_ID, **field)


def table_of(model: type[SQLModel]) -> Table:
    """The table of a table model."""
    return metadata.tables[str(model.__tablename__)]
