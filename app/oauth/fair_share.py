"""Divides tables that anyone may fill among the networks of callers, so that one caller cannot use up all places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from typing import Any

from sqlalchemy import ColumnElement, Label, Select, SQLColumnExpression, delete, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

UNKNOWN = ""
# The beginnings of an origin, each a smaller network: /16, /24 and /32 of IPv4, /32, /48 and /64 of IPv6.
WIDTHS = (9, 13, 17)
_EVICTED = 100  # at once, since ranks take long


@dataclass(frozen=True, slots=True)
class SharedTable:
    """A table whose rows that `counted` selects are divided by their origin, and those of an origin by `parties`."""

    table: type[SQLModel]
    id: SQLColumnExpression[int]
    origin: SQLColumnExpression[str]
    parties: Sequence[SQLColumnExpression[Any]] = ()
    counted: Sequence[ColumnElement[bool]] = ()


def origin_of(address: str | None) -> str:
    """The origin of an address: 17 characters, of which the first 9 and 13 are those of its networks.

    An address that is unknown, or the name of a Unix socket, has an empty one.
    """
    try:
        parsed = ip_address((address or "").partition("%")[0])
    except ValueError:
        return UNKNOWN
    if not isinstance(parsed, IPv4Address):
        if parsed.ipv4_mapped is None:
            return "6" + parsed.packed[:8].hex()
        parsed = parsed.ipv4_mapped
    first, third, last = parsed.packed[:2].hex(), parsed.packed[2:3].hex(), parsed.packed[3:].hex()
    return f"4{first}0000{third}00{last}00"


async def make_room(session: AsyncSession, shared: SharedTable, limit: int) -> None:
    """Delete rows if there are more than `limit`: the oldest ones of the party that has the most.

    That is the largest network, in it the smaller one with the most, down to an address, and of what comes from there
    the largest of `parties`. So a flood takes the place of its own rows alone.
    """
    if (await session.scalars(select(func.count(shared.id)).where(*shared.counted))).one() <= limit:
        return
    excess = _ranked(shared).subquery()
    number = max(1, min(_EVICTED, limit // _EVICTED))
    most = select(excess.c.id).order_by(excess.c.rank.desc(), excess.c.id).limit(number)
    await delete_free(session, shared, select(shared.id).where(shared.id.in_(most)))


def _ranked(shared: SharedTable) -> Select[Any]:
    """The rows with a rank: the last in rank is one of the party with the most, and of those the oldest.

    In each party, from the smallest to the largest, rows are put in the order of their former rank, new ones first.
    """
    names = [f"party_{number}" for number, _ in enumerate(shared.parties)]
    parties: list[Label[Any]] = [party.label(name) for party, name in zip(shared.parties, names, strict=True)]
    rows: Select[Any] = select(
        shared.id.label("id"), shared.origin.label("origin"), *parties, literal(0).label("rank")
    ).where(*shared.counted)
    for width in (None, *reversed(WIDTHS)):
        inner = rows.subquery().c
        own = [inner[name] for name in names]
        party = [inner.origin, *own] if width is None else [func.substr(inner.origin, 1, width)]
        rank = func.row_number().over(partition_by=party, order_by=(inner.rank, inner.id.desc()))
        rows = select(inner.id, inner.origin, *own, rank.label("rank"))
    return rows


async def delete_free(session: AsyncSession, shared: SharedTable, ids: Select[int]) -> None:
    """Delete rows, except those that another transaction deletes now: two could wait for each other."""
    deleted = delete(shared.table).where(shared.id.in_(ids.with_for_update(skip_locked=True)))
    await session.execute(deleted, execution_options={"synchronize_session": False})
