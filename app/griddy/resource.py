"""A resource: its table and body, and the names, paths and models that are derived from them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from inspect import Parameter as Argument
from inspect import Signature
from typing import Annotated, Any

from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from sqlalchemy import Table

from app.db.tables import Body, table_of
from app.griddy.models import Models, models_of
from app.http.wire.ids import id_of, read_id
from app.http.wire.problems import InvalidBody, Problem, detail_spec

Keys = dict[str, str]  # the unparsed ids in a path, by name

_PREFIX = "/api/v1"
_INVALID = ResponseSpec(InvalidBody, description="The body is invalid", generate_examples=False)
_BAD_CURSOR = {
    400: detail_spec(
        "The cursor is invalid", "The cursor is invalid: send `next` or `previous` of this list unchanged."
    )
}


@dataclass(frozen=True, slots=True)
class TableResource:
    """A table whose rows are served at `/api/v1/<path>/`, and the fields that a client may write.

    The path `games/{game_id}/drives` nests rows under the row that their column `game_id` references.
    """

    path: str
    model: type[Body]
    body: type[Body]


@dataclass(frozen=True, slots=True)
class BoundResource:
    """A resource with its derived names. `key` is the name of its id in a path."""

    path: str
    table: Table
    models: Models
    parents: Mapping[str, Table]
    key: str
    words: str
    words_of_many: str

    def within(self, keys: Keys) -> dict[str, int]:
        """The columns whose values are in the path. Raises Problem 404 for an invalid id."""
        return {name: _id(keys, name) for name in self.parents}

    def row_id(self, keys: Keys) -> int:
        """The id of the row. Raises Problem 404 for an invalid id."""
        return _id(keys, self.key)

    def listing(self, within: Mapping[str, int]) -> str:
        """The path of the list."""
        return f"{_PREFIX}/{self.path.format_map(within)}/"

    def collection(self) -> dict[str, Any]:
        """The arguments of a Litestar decorator for the list."""
        return {"path": _typed(f"{_PREFIX}/{self.path}"), "dependencies": {"keys": _keys([*self.parents])}}

    def item(self) -> dict[str, Any]:
        """The arguments of a Litestar decorator for a row."""
        path = _typed(f"{_PREFIX}/{self.path}/{{{self.key}}}")
        return {"path": path, "dependencies": {"keys": _keys([*self.parents, self.key])}}

    def described(self, verb: str, *refusals: int) -> dict[str, Any]:
        """The arguments of a Litestar decorator that document an operation."""
        many = verb == "list"
        name = f"list_{self.table.name}" if many else f"{verb}_{self.key.removesuffix('_id')}"
        article = "an" if self.words[0] in "aeiou" else "a"
        statuses = {*refusals, 404} if self.parents else {*refusals}
        specs = {
            400: _INVALID,
            404: detail_spec("No such row", not_found(self.key).detail),
            409: detail_spec("A conflict with another row", f"Another {self.words} has the same values."),
        }

        def operation_id(_handler: HTTPRouteHandler, method: str, _path: object) -> str:
            return f"{name}_head" if method == "HEAD" else name

        return {
            "operation_id": operation_id,
            "summary": f"List {self.words_of_many}" if many else f"{verb.capitalize()} {article} {self.words}",
            "tags": [self.words_of_many],
            "responses": {status: specs[status] for status in sorted(statuses)} | (_BAD_CURSOR if many else {}),
        }


def bind(resource: TableResource) -> BoundResource:
    """Derive the names, paths and models of a resource."""
    table = table_of(resource.model)
    name = resource.model.__name__
    snake = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
    parents = {}
    for column in re.findall(r"{(\w+)}", resource.path):
        (key,) = table.c[column].foreign_keys
        parents[column] = key.column.table
    return BoundResource(
        path=resource.path,
        table=table,
        models=models_of(name, table, resource.body),
        parents=parents,
        key=f"{snake}_id",
        words=words_of(f"{snake}_id"),
        words_of_many=_words_of_many(table),
    )


def tags_of(resources: Iterable[TableResource]) -> dict[str, str]:
    """The descriptions of the tags of resources in the OpenAPI document."""
    bodies = {_words_of_many(table_of(resource.model)): str(resource.body.__doc__) for resource in resources}
    return {words: f"{words.capitalize()}, each {body[0].lower()}{body[1:]}" for words, body in bodies.items()}


def _words_of_many(table: Table) -> str:
    return table.name.replace("_", " ")


def words_of(key: str) -> str:
    """The noun in the name of a key: `video asset` for `video_asset_id`."""
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
    # As text, because Litestar's parser of numbers is lenient.
    return re.sub(r"{(\w+)}", r"{\1:str}", path)


def _keys(names: list[str]) -> Provide:
    """The dependency with the ids in a path. Litestar reads their names from a signature, which differs by resource."""

    async def keys(**ids: str) -> Keys:
        return ids

    types = {name: Annotated[str, id_of(f"the {words_of(name)}")] for name in names}
    arguments = [Argument(name, Argument.KEYWORD_ONLY, annotation=of) for name, of in types.items()]
    keys.__signature__ = Signature(arguments, return_annotation=Keys)  # type: ignore[attr-defined]  # inspect reads it
    keys.__annotations__ = {**types, "return": Keys}
    return Provide(keys)
