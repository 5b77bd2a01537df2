"""The handlers of a table's REST resource: list, create, retrieve, replace, change and delete.

advanced-alchemy's repositories are not used: they paginate by offset, and their errors do not name the fields of a
violated constraint on each database. Handlers for each resource would be necessary all the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import GenericAlias
from typing import Annotated, Any, cast

from litestar import Response, delete, patch, post, put
from litestar.datastructures.response_header import ResponseHeader
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody, QueryParameter
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.tables import Body
from app.griddy import rows
from app.griddy.models import PatchModel, messages
from app.griddy.refusals import NotUnique, StillReferencedError, UnknownReference
from app.griddy.resource import BoundResource, Keys, TableResource, bind, not_found
from app.http.wire.cursors import CursorPosition, read_cursor, write_cursor
from app.http.wire.handlers import RequestSession, get_or_head
from app.http.wire.json_body import json_where_room
from app.http.wire.problems import Problem, invalid

PAGE_SIZE = 50
_LOCATION = ResponseHeader(name="Location", documentation_only=True, description="The path of the new row.")
_Keys = NamedDependency[Keys]
_Cursor = Annotated[
    str | None, QueryParameter(description="From `next` or `previous` of a page; the first without it.")
]


def routes(resource: TableResource) -> list[HTTPRouteHandler]:
    """The handlers of a resource. Rows of the policy decide who may call them."""
    bound = bind(resource)
    return [make(bound) for make in (_list, _create, _retrieve, _replace, _change, _delete)]


def _list(resource: BoundResource) -> HTTPRouteHandler:
    async def list_rows(keys: _Keys, session: RequestSession, cursor: _Cursor = None) -> Mapping[str, Any]:
        within = resource.within(keys)
        listing = resource.listing(within)
        position = CursorPosition() if cursor is None else read_cursor(cursor, listing)
        page = await rows.page(
            session, resource.table, within, size=PAGE_SIZE, after=position.after, before=position.before
        )
        if not page.rows:
            await _parents_exist(resource, session, within)
        following, preceding = _adjacent_positions(position, page)
        return {
            "next": f"{listing}?cursor={write_cursor(following, listing)}" if page.more_after else None,
            "previous": f"{listing}?cursor={write_cursor(preceding, listing)}" if page.more_before else None,
            "results": page.rows,
        }

    decorate = get_or_head(**resource.collection(), **resource.described("list"))
    return decorate(_typed(list_rows, returns=resource.models.page))


def _create(resource: BoundResource) -> HTTPRouteHandler:
    async def create_row(keys: _Keys, data: Body, session: RequestSession) -> Response[Mapping[str, Any]]:
        within = resource.within(keys)
        try:
            row = await rows.create(session, resource.table, within, data.model_dump())
        except (UnknownReference, NotUnique) as error:
            raise _problem(resource, error, within) from error
        return Response(row, headers={"Location": f"{resource.listing(within)}{row['id']}/"})

    decorate = post(
        **resource.collection(),
        before_request=json_where_room,
        response_headers=[_LOCATION],
        **resource.described("create", 400, 409),
    )
    return decorate(
        _typed(create_row, data=resource.models.body, returns=GenericAlias(Response, (resource.models.row,)))
    )


def _retrieve(resource: BoundResource) -> HTTPRouteHandler:
    async def retrieve_row(keys: _Keys, session: RequestSession) -> rows.Row:
        return _existing(
            resource, await rows.get(session, resource.table, resource.row_id(keys), resource.within(keys))
        )

    decorate = get_or_head(**resource.item(), **resource.described("retrieve", 404))
    return decorate(_typed(retrieve_row, returns=resource.models.row))


def _replace(resource: BoundResource) -> HTTPRouteHandler:
    async def replace_row(keys: _Keys, data: Body, session: RequestSession) -> rows.Row:
        return await _write(resource, session, keys, data.model_dump())

    decorate = put(**resource.item(), before_request=json_where_room, **resource.described("replace", 400, 404, 409))
    return decorate(_typed(replace_row, data=resource.models.body, returns=resource.models.row))


def _change(resource: BoundResource) -> HTTPRouteHandler:
    async def change_row(keys: _Keys, data: PatchModel, session: RequestSession) -> rows.Row:
        before = _existing(
            resource, await rows.get(session, resource.table, resource.row_id(keys), resource.within(keys), lock=True)
        )
        changes = data.model_dump(exclude_unset=True)
        body = resource.models.body
        try:
            after = body.model_validate({name: before[name] for name in body.model_fields} | changes)
        except ValidationError as error:
            raise invalid(messages(error)) from None
        return (
            await _write(resource, session, keys, {name: getattr(after, name) for name in changes})
            if changes
            else before
        )

    decorate = patch(**resource.item(), before_request=json_where_room, **resource.described("change", 400, 404, 409))
    return decorate(_typed(change_row, data=resource.models.patch, returns=resource.models.row))


def _delete(resource: BoundResource) -> HTTPRouteHandler:
    async def delete_row(keys: _Keys, session: RequestSession) -> None:
        try:
            is_removed = await rows.remove(session, resource.table, resource.row_id(keys), resource.within(keys))
        except StillReferencedError as error:
            tables = " and ".join(table.replace("_", " ") for table in error.tables)
            detail = f"This {resource.words} is still referenced by {tables}: change or delete those first."
            raise Problem(409, detail) from None
        if not is_removed:
            raise not_found(resource.key)

    return delete(**resource.item(), **resource.described("delete", 404, 409))(delete_row)


def _typed(handler: Callable[..., Awaitable[Any]], *, returns: Any, data: Any = None) -> Callable[..., Awaitable[Any]]:
    """Annotate a handler with the types of its resource, which Litestar uses for validation and documentation."""
    handler.__annotations__["return"] = returns
    if data is not None:
        handler.__annotations__["data"] = cast(Any, JSONBody)[data]
    return handler


async def _write(resource: BoundResource, session: AsyncSession, keys: Keys, values: Mapping[str, Any]) -> rows.Row:
    within = resource.within(keys)
    try:
        return _existing(resource, await rows.change(session, resource.table, resource.row_id(keys), within, values))
    except (UnknownReference, NotUnique) as error:
        raise _problem(resource, error, within) from error


def _existing(resource: BoundResource, row: rows.Row | None) -> rows.Row:
    if row is None:
        raise not_found(resource.key)
    return row


async def _parents_exist(resource: BoundResource, session: AsyncSession, within: Mapping[str, int]) -> None:
    for key, parent in resource.parents.items():
        if not await rows.row_exists(session, parent, within[key]):
            raise not_found(key)


def _adjacent_positions(position: CursorPosition, page: rows.RowPage) -> tuple[CursorPosition, CursorPosition]:
    """The positions after and before the page at a position, which may be empty."""
    if page.rows:
        return CursorPosition(after=page.rows[-1]["id"]), CursorPosition(before=page.rows[0]["id"])
    if position.before is not None:
        return CursorPosition(after=position.before - 1), position
    return position, CursorPosition(before=position.after + 1)


def _problem(resource: BoundResource, error: UnknownReference | NotUnique, within: Mapping[str, int]) -> Problem:
    if isinstance(error, NotUnique):
        fields = " and ".join(name for name in error.fields if name not in within)
        return Problem(409, f"Another {resource.words} has the same {fields}.")
    for key in within:
        if key in error.fields:
            return not_found(key)
    return invalid(
        {name: f"there are no {table.replace('_', ' ')} with this id" for name, table in error.fields.items()}
    )
