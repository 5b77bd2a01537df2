"""The models of a resource, created from its table and body, and examples of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.fields import FieldInfo
from sqlalchemy import Table

from app.db.tables import Body
from app.griddy.examples import example_row
from app.http.wire.model_schemas import PageModel

# The table and the body of each model, for the examples in the OpenAPI document.
_TABLES: dict[type[BaseModel], tuple[Table, type[Body]]] = {}


class RowModel(BaseModel):
    """A row in a response, with all fields."""

    model_config = ConfigDict(defer_build=True)


class PatchModel(BaseModel):
    """The fields in a PATCH. Rules about several fields are checked on the complete row."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, defer_build=True)


@dataclass(frozen=True, slots=True)
class Models:
    """The models of a resource: `body` of POST and PUT, `patch` of PATCH, `row` and `page` of responses."""

    body: type[Body]
    patch: type[PatchModel]
    row: type[RowModel]
    page: type[PageModel]


def models_of(name: str, table: Table, body: type[Body]) -> Models:
    """The models for rows of `table`: the fields of `body`, and the columns that the server sets."""
    fields: Mapping[str, FieldInfo] = body.model_fields
    server: dict[str, Any] = {
        column.name: (int, Field(description="Set by the server."))
        for column in table.columns
        if column.name not in fields
    }
    body_fields = {
        key: (field.rebuild_annotation(), Field(description=field.description)) for key, field in fields.items()
    }
    row = create_model(name, __base__=RowModel, __doc__=body.__doc__, **server, **cast(Any, body_fields))
    patch = create_model(
        f"{name}Patch",
        __base__=PatchModel,
        __doc__=f"{body.__doc__} Omitted fields are not changed.",
        **cast(Any, {key: (field.rebuild_annotation(), _optional(field)) for key, field in fields.items()}),
    )
    page = create_model(
        f"{name}Page",
        __base__=PageModel,
        __doc__="A page of a list, by ascending id.",
        next=(str | None, Field(description="The path of the next page.")),
        previous=(str | None, Field(description="The path of the previous page.")),
        results=(list[row], ...),
    )
    _TABLES.update(dict.fromkeys((body, patch, row), (table, body)))
    return Models(body, patch, row, page)


def _optional(field: FieldInfo) -> Any:
    # A factory, so that the schema has no default and none is validated.
    return Field(default_factory=lambda: None, description=field.description)


def messages(error: ValidationError) -> dict[str, str]:
    """The messages of an error, by field."""
    return {".".join(map(str, fault["loc"])): fault["msg"] for fault in error.errors(include_input=False)}


def example_of(model: type[BaseModel]) -> dict[str, Any] | None:
    """An example of a model, from the sample data; None if it is not a model of a resource."""
    if model not in _TABLES:
        return None
    row = example_row(*_TABLES[model])
    return {name: row[name] for name in model.model_fields}
