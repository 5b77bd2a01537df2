"""A table as a REST resource: list, create, retrieve, replace, change and delete, from the line that declares it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import GenericAlias
from typing import Annotated, Any, cast

from litestar import Response, delete, patch, post, put
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody, QueryParameter
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.tables import Body
from app.griddy import rows
from app.griddy.models import Given, messages
from app.griddy.refusals import NotUnique, StillReferredTo, UnknownReference
from app.griddy.resource import Bound, Keys, TableResource, bind, not_found
from app.http.wire.cursors import CursorPosition, read_cursor, write_cursor
from app.http.wire.handlers import RequestSession, get_or_head
from app.http.wire.json_body import json_where_room
from app.http.wire.problems import Problem, invalid

PAGE_SIZE = 50
_Keys = NamedDependency[Keys]
_Cursor = Annotated[
    str | None, QueryParameter(description="From `next` or `previous` of a page; the first without it.")
]


def routes(resource: TableResource) -> list[HTTPRouteHandler]:
    """The routes of a resource. They say nothing of who may use them: that is for rows of the policy."""
    of = bind(resource)
    return [make(of) for make in (_list, _create, _retrieve, _replace, _change, _delete)]


def _list(of: Bound) -> HTTPRouteHandler:
    async def list_rows(keys: _Keys, session: RequestSession, cursor: _Cursor = None) -> Mapping[str, Any]:
        within = of.within(keys)
        listing = of.listing(within)
        place = CursorPosition() if cursor is None else read_cursor(cursor, listing)
        page = await rows.page(session, of.table, within, size=PAGE_SIZE, after=place.after, before=place.before)
        if not page.rows:
            await _parents_exist(of, session, within)
        following, preceding = _beside(place, page)
        return {
            "next": f"{listing}?cursor={write_cursor(following, listing)}" if page.more_after else None,
            "previous": f"{listing}?cursor={write_cursor(preceding, listing)}" if page.more_before else None,
            "results": page.rows,
        }

    decorate = get_or_head(**of.collection(), **of.described("list"))
    return decorate(_typed(list_rows, returns=of.models.page))


def _create(of: Bound) -> HTTPRouteHandler:
    async def create_row(keys: _Keys, data: Body, session: RequestSession) -> Response[Mapping[str, Any]]:
        within = of.within(keys)
        try:
            row = await rows.create(session, of.table, within, data.model_dump())
        except (UnknownReference, NotUnique) as refused:
            raise _problem(of, refused, within) from refused
        return Response(row, headers={"Location": f"{of.listing(within)}{row['id']}/"})

    decorate = post(**of.collection(), before_request=json_where_room, **of.described("create", 400, 409, 415))
    return decorate(_typed(create_row, data=of.models.body, returns=GenericAlias(Response, (of.models.row,))))


def _retrieve(of: Bound) -> HTTPRouteHandler:
    async def retrieve_row(keys: _Keys, session: RequestSession) -> rows.Row:
        return _found(of, await rows.get(session, of.table, of.own(keys), of.within(keys)))

    decorate = get_or_head(**of.item(), **of.described("retrieve", 404))
    return decorate(_typed(retrieve_row, returns=of.models.row))


def _replace(of: Bound) -> HTTPRouteHandler:
    async def replace_row(keys: _Keys, data: Body, session: RequestSession) -> rows.Row:
        return await _write(of, session, keys, data.model_dump())

    decorate = put(**of.item(), before_request=json_where_room, **of.described("replace", 400, 404, 409, 415))
    return decorate(_typed(replace_row, data=of.models.body, returns=of.models.row))


def _change(of: Bound) -> HTTPRouteHandler:
    async def change_row(keys: _Keys, data: Given, session: RequestSession) -> rows.Row:
        before = _found(of, await rows.get(session, of.table, of.own(keys), of.within(keys), lock=True))
        given = data.model_dump(exclude_unset=True)
        body = of.models.body
        try:
            whole = body.model_validate({name: before[name] for name in body.model_fields} | given)
        except ValidationError as error:
            raise invalid(messages(error)) from None
        return await _write(of, session, keys, {name: getattr(whole, name) for name in given}) if given else before

    decorate = patch(**of.item(), before_request=json_where_room, **of.described("change", 400, 404, 409, 415))
    return decorate(_typed(change_row, data=of.models.given, returns=of.models.row))


def _delete(of: Bound) -> HTTPRouteHandler:
    async def delete_row(keys: _Keys, session: RequestSession) -> None:
        try:
            there = await rows.remove(session, of.table, of.own(keys), of.within(keys))
        except StillReferredTo as refused:
            by = " and ".join(table.replace("_", " ") for table in refused.tables)
            raise Problem(409, f"This {of.words} is still referred to by {by}: change or delete those first.") from None
        if not there:
            raise not_found(of.key)

    return delete(**of.item(), **of.described("delete", 404, 409))(delete_row)


def _typed(handler: Callable[..., Awaitable[Any]], *, returns: Any, data: Any = None) -> Callable[..., Awaitable[Any]]:
    """Give a handler the types of its resource, by which Litestar validates and documents."""
    handler.__annotations__["return"] = returns
    if data is not None:
        handler.__annotations__["data"] = cast(Any, JSONBody)[data]
    return handler


async def _write(of: Bound, session: AsyncSession, keys: Keys, values: Mapping[str, Any]) -> rows.Row:
    within = of.within(keys)
    try:
        return _found(of, await rows.change(session, of.table, of.own(keys), within, values))
    except (UnknownReference, NotUnique) as refused:
        raise _problem(of, refused, within) from refused


def _found(of: Bound, row: rows.Row | None) -> rows.Row:
    if row is None:
        raise not_found(of.key)
    return row


async def _parents_exist(of: Bound, session: AsyncSession, within: Mapping[str, int]) -> None:
    for key, parent in of.parents.items():
        if not await rows.is_there(session, parent, within[key]):
            raise not_found(key)


def _beside(place: CursorPosition, page: rows.RowPage) -> tuple[CursorPosition, CursorPosition]:
    """The places right after a page and right before it; of an empty page, where it would have been."""
    if page.rows:
        return CursorPosition(after=page.rows[-1]["id"]), CursorPosition(before=page.rows[0]["id"])
    if place.before is not None:
        return CursorPosition(after=place.before - 1), place
    return place, CursorPosition(before=place.after + 1)


def _problem(of: Bound, refused: UnknownReference | NotUnique, within: Mapping[str, int]) -> Problem:
    if isinstance(refused, NotUnique):
        same = " and ".join(name for name in refused.fields if name not in within)
        return Problem(409, f"Another {of.words} has the same {same}.")
    for key in within:
        if key in refused.fields:
            return not_found(key)
    return invalid(
        {name: f"there are no {table.replace('_', ' ')} with this id" for name, table in refused.fields.items()}
    )
