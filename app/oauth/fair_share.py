"""Divides tables that anyone may fill among the networks of callers, so that one caller cannot use up all places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from typing import Any

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

UNKNOWN = ""
# The beginnings of an origin, each a smaller network: /16, /24 and /32 of IPv4, /32, /48 and /64 of IPv6.
WIDTHS = (9, 13, 17)
_EVICTED = 100


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
    """Delete the oldest rows of the party that has the most, if there are more than `limit`.

    That is the largest network, in it the smaller one with the most, down to an address, and what comes from there. So
    a flood takes the place of its own rows alone.
    """
    if ((await session.scalar(select(func.count(shared.id)).where(*shared.counted))) or 0) <= limit:
        return
    largest = list(shared.counted)
    number = 0
    for group in (*(func.substr(shared.origin, 1, width) for width in WIDTHS), *shared.parties):
        query = select(group, func.count()).where(*largest).group_by(group)
        found = (await session.execute(query.order_by(func.count().desc(), func.min(shared.id)).limit(1))).one_or_none()
        if found is None:  # another transaction has made room meanwhile
            return
        largest.append(group == found[0])
        number = found[1]
    # Several at once, as the counts take long; half of them at most, so that the party still has more than others.
    oldest = select(shared.id).where(*largest).order_by(shared.id).limit(max(1, min(_EVICTED, number // 2)))
    await delete_free(session, shared, oldest)


async def delete_free(session: AsyncSession, shared: SharedTable, ids: Select[int]) -> None:
    """Delete rows, except those that another transaction deletes now: two could wait for each other."""
    deleted = delete(shared.table).where(shared.id.in_(ids.with_for_update(skip_locked=True)))
    await session.execute(deleted, execution_options={"synchronize_session": False})
