"""Queries for rows of any table: read a page, and create, change or delete a row, each in one transaction.

A row is a mapping of its columns. `within` maps columns to required values: a drive is found, changed and created only
within its game.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, Table, and_, delete, exists, insert, select, true, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.engine import LOCK_FIRST
from app.db.retry import retried
from app.griddy.refusals import refusal_of_delete, refusal_of_write

Row = Mapping[str, Any]
Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RowPage:
    """Rows by ascending id, and whether there are more before and after them."""

    rows: Sequence[Row]
    more_before: bool
    more_after: bool


async def page(
    session: AsyncSession, table: Table, within: Values, *, size: int, after: int = 0, before: int | None = None
) -> RowPage:
    """At most `size` rows: the first whose id is greater than `after`, or the last less than `before`."""
    inside = _matching(table, within)
    backwards = before is not None
    side = table.c.id < before if backwards else table.c.id > after
    order = table.c.id.desc() if backwards else table.c.id
    found = await session.execute(select(*_columns(table, within)).where(inside, side).order_by(order).limit(size + 1))
    rows: list[Row] = [dict(row) for row in found.mappings()]
    more = len(rows) > size
    del rows[size:]
    if backwards:
        rows.reverse()
    if before is None and after == 0:
        return RowPage(rows, more_before=False, more_after=more)
    behind = _behind(table, rows, after, before)
    others = bool((await session.execute(select(exists().where(inside, behind)))).scalar())
    return RowPage(rows, others, more) if not backwards else RowPage(rows, more, others)


def _behind(table: Table, rows: Sequence[Row], after: int, before: int | None) -> ColumnElement[bool]:
    """The rows on the other side of the cursor, which may have been deleted since it was written."""
    if before is not None:
        return table.c.id > rows[-1]["id"] if rows else table.c.id >= before
    return table.c.id < rows[0]["id"] if rows else table.c.id <= after


async def get(session: AsyncSession, table: Table, row_id: int, within: Values, *, lock: bool = False) -> Row | None:
    """The row, or None. With `lock` it cannot change until the transaction ends."""
    if lock:
        await session.connection(execution_options=LOCK_FIRST)
    query = select(*_columns(table, within)).where(table.c.id == row_id, _matching(table, within))
    found = (await session.execute(query.with_for_update() if lock else query)).mappings().one_or_none()
    return None if found is None else dict(found)


async def row_exists(session: AsyncSession, table: Table, row_id: int) -> bool:
    """Whether the table has a row with this id."""
    return bool((await session.execute(select(exists().where(table.c.id == row_id)))).scalar())


@retried
async def create(session: AsyncSession, table: Table, within: Values, values: Values) -> Row:
    """Insert a row and return it. Raises NotUnique, UnknownReference."""
    try:
        created = await session.execute(insert(table).values(**values, **within).returning(*_columns(table, within)))
        row = dict(created.mappings().one())
        await session.commit()
    except IntegrityError as failed:
        await session.rollback()
        if refused := await refusal_of_write(session, table, {**values, **within}, None):
            raise refused from failed
        raise
    return row


@retried
async def change(session: AsyncSession, table: Table, row_id: int, within: Values, values: Values) -> Row | None:
    """Set columns of a row and return the row, or None. Raises NotUnique, UnknownReference."""
    matching = and_(table.c.id == row_id, _matching(table, within))
    try:
        changed = await session.execute(
            update(table).where(matching).values(**values).returning(*_columns(table, within))
        )
        found = changed.mappings().one_or_none()
        row = None if found is None else dict(found)
        await session.commit()
    except IntegrityError as failed:
        await session.rollback()
        before = await get(session, table, row_id, within) or {}
        if refused := await refusal_of_write(session, table, {**before, **values}, row_id):
            raise refused from failed
        raise
    return row


@retried
async def remove(session: AsyncSession, table: Table, row_id: int, within: Values) -> bool:
    """Delete a row; False if there was none. Raises StillReferencedError."""
    matching = and_(table.c.id == row_id, _matching(table, within))
    try:
        removed = await session.execute(delete(table).where(matching).returning(table.c.id))
        is_removed = removed.one_or_none() is not None
        await session.commit()
    except IntegrityError as failed:
        await session.rollback()
        if refused := await refusal_of_delete(session, table, row_id):
            raise refused from failed
        raise
    return is_removed


def _matching(table: Table, within: Values) -> ColumnElement[bool]:
    return and_(true(), *(table.c[column] == value for column, value in within.items()))


def _columns(table: Table, within: Values) -> list[Column[Any]]:
    """All columns, first the id and those of `within`."""
    first = [table.c.id, *(table.c[column] for column in within)]
    return [*first, *(column for column in table.c if column.name not in ("id", *within))]
