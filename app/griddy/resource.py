"""What one resource is: its table and body, and all names, paths and models that follow from them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import Parameter as Argument
from inspect import Signature
from typing import Annotated, Any

from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import PathParameter
from sqlalchemy import Table

from app.db.tables import Body, table_of
from app.griddy.models import Models, models_of
from app.http.wire.ids import read_id
from app.http.wire.problems import Detail, InvalidBody, Problem

Keys = dict[str, str]  # the ids in a path, by name, as they are spelled there

_PREFIX = "/api/v1"
_ID_SCHEMA: dict[str, object] = {"type": "integer", "format": "int64", "minimum": 1}
_REFUSALS = {
    400: ResponseSpec(InvalidBody, description="The body is invalid", generate_examples=False),
    404: ResponseSpec(Detail, description="No such row", generate_examples=False),
    409: ResponseSpec(Detail, description="Another row is in the way", generate_examples=False),
    415: ResponseSpec(Detail, description="The body is not JSON", generate_examples=False),
}
_BAD_CURSOR = {400: ResponseSpec(Detail, description="The cursor is invalid", generate_examples=False)}


@dataclass(frozen=True, slots=True)
class TableResource:
    """A table whose rows are served at `/api/v1/<path>/`, and the body that a client may write.

    `games/{game_id}/drives` nests rows under the row that their column `game_id` refers to.
    """

    path: str
    model: type[Body]
    body: type[Body]


@dataclass(frozen=True, slots=True)
class Bound:
    """A resource with what follows from it. `key` is the name of its own id in a path."""

    path: str
    table: Table
    models: Models
    parents: Mapping[str, Table]
    key: str
    words: str
    words_of_many: str

    def within(self, keys: Keys) -> dict[str, int]:
        """The columns that the path fixes. Raises Problem 404 for what cannot be an id."""
        return {name: _id(keys, name) for name in self.parents}

    def own(self, keys: Keys) -> int:
        """The row's own id. Raises Problem 404 for what cannot be one."""
        return _id(keys, self.key)

    def listing(self, within: Mapping[str, int]) -> str:
        """The path of the list."""
        return f"{_PREFIX}/{self.path.format_map(within)}/"

    def collection(self) -> dict[str, Any]:
        """Where the list is, for a decorator of Litestar."""
        return {"path": _typed(f"{_PREFIX}/{self.path}"), "dependencies": {"keys": _keys([*self.parents])}}

    def item(self) -> dict[str, Any]:
        """Where a row is, for a decorator of Litestar."""
        path = _typed(f"{_PREFIX}/{self.path}/{{{self.key}}}")
        return {"path": path, "dependencies": {"keys": _keys([*self.parents, self.key])}}

    def described(self, verb: str, *refusals: int) -> dict[str, Any]:
        """How an operation appears in the OpenAPI document, for a decorator of Litestar."""
        many = verb == "list"
        name = f"list_{self.table.name}" if many else f"{verb}_{self.key.removesuffix('_id')}"
        article = "an" if self.words[0] in "aeiou" else "a"
        statuses = {*refusals, 404} if self.parents else {*refusals}

        def operation_id(_handler: HTTPRouteHandler, method: str, _path: object) -> str:
            return f"{name}_head" if method == "HEAD" else name

        return {
            "operation_id": operation_id,
            "summary": f"List {self.words_of_many}" if many else f"{verb.capitalize()} {article} {self.words}",
            "tags": [self.words_of_many],
            "responses": {status: _REFUSALS[status] for status in sorted(statuses)} | (_BAD_CURSOR if many else {}),
        }


def bind(resource: TableResource) -> Bound:
    """The resource with its names, paths and models."""
    table = table_of(resource.model)
    name = resource.model.__name__
    snake = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
    parents = {}
    for column in re.findall(r"{(\w+)}", resource.path):
        (key,) = table.c[column].foreign_keys
        parents[column] = key.column.table
    return Bound(
        path=resource.path,
        table=table,
        models=models_of(name, table, resource.body),
        parents=parents,
        key=f"{snake}_id",
        words=words_of(f"{snake}_id"),
        words_of_many=table.name.replace("_", " "),
    )


def words_of(key: str) -> str:
    """What a key is the id of: `video_asset_id` of a video asset."""
    return key.removesuffix("_id").replace("_", " ")


def not_found(key: str) -> Problem:
    """The 404 for the row that `key` names in a path."""
    return Problem(404, f"{words_of(key).capitalize()} not found.")


def _id(keys: Keys, key: str) -> int:
    row_id = read_id(keys[key])
    if row_id is None:
        raise not_found(key)
    return row_id


def _typed(path: str) -> str:
    # As text, which is then read strictly.
    return re.sub(r"{(\w+)}", r"{\1:str}", path)


def _keys(names: list[str]) -> Provide:
    """Provides the ids of a path. Litestar learns their names from a signature, which differs by resource."""

    async def keys(**spelled: str) -> Keys:
        return spelled

    types = {
        name: Annotated[str, PathParameter(description=f"The id of the {words_of(name)}.", schema_extra=_ID_SCHEMA)]
        for name in names
    }
    arguments = [Argument(name, Argument.KEYWORD_ONLY, annotation=of) for name, of in types.items()]
    keys.__signature__ = Signature(arguments, return_annotation=Keys)  # type: ignore[attr-defined]  # inspect reads it
    keys.__annotations__ = {**types, "return": Keys}
    return Provide(keys)
