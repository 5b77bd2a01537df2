"""The models of a resource on the wire, made from its table and body, and how the OpenAPI document shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from litestar.openapi.spec import OpenAPIType, Schema
from litestar.plugins import OpenAPISchemaPlugin
from litestar.typing import FieldDefinition
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.fields import FieldInfo
from sqlalchemy import Table

from app.db.tables import Body
from app.http.wire.litestar_private import SchemaCreator, registered_schema


class RowModel(BaseModel):
    """A row as it is answered: every field, and nothing optional."""

    model_config = ConfigDict(defer_build=True)


class Given(BaseModel):
    """The fields of a row that a PATCH gives. Which fields go together is for the whole row to check."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, defer_build=True)


@dataclass(frozen=True, slots=True)
class Models:
    """What a resource takes and gives."""

    body: type[Body]
    given: type[Given]
    row: type[RowModel]
    page: type[BaseModel]


def models_of(name: str, table: Table, body: type[Body]) -> Models:
    """The models for rows of `table`, whose fields are those of `body` and what the server sets."""
    fields: Mapping[str, FieldInfo] = body.model_fields
    server: dict[str, Any] = {
        column.name: (int, Field(description="Set by the server."))
        for column in table.columns
        if column.name not in fields
    }
    answered = {
        key: (field.rebuild_annotation(), Field(description=field.description)) for key, field in fields.items()
    }
    row = create_model(name, __base__=RowModel, __doc__=body.__doc__, **server, **cast(Any, answered))
    given = create_model(
        f"{name}Patch",
        __base__=Given,
        __doc__=f"{body.__doc__} Fields that are left out stay as they are.",
        **cast(Any, {key: (field.rebuild_annotation(), _left_out(field)) for key, field in fields.items()}),
    )
    page = create_model(
        f"{name}Page",
        __doc__="A page of a list, by ascending id.",
        next=(str | None, Field(description="The path of the next page.")),
        previous=(str | None, Field(description="The path of the page before.")),
        results=(list[row], ...),
    )
    return Models(body, given, row, page)


def _left_out(field: FieldInfo) -> Any:
    # No default shows in the documentation, and none is validated.
    return Field(default_factory=lambda: None, description=field.description)


def messages(error: ValidationError) -> dict[str, str]:
    """What is wrong, by field."""
    return {".".join(map(str, fault["loc"])): fault["msg"] for fault in error.errors(include_input=False)}


class ResourceSchemas(OpenAPISchemaPlugin):
    """Shows these models by pydantic's own JSON Schema; Litestar's reading of them loses bounds and patterns."""

    @staticmethod
    def is_plugin_supported_type(value: Any) -> bool:
        return isinstance(value, type) and issubclass(value, Body | RowModel | Given)

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: SchemaCreator) -> Schema:
        described = field_definition.annotation.model_json_schema()
        schema = registered_schema(schema_creator, field_definition)
        schema.type = OpenAPIType.OBJECT
        schema.title = described["title"]
        schema.description = described.get("description")
        schema.properties = {name: _untitled(of) for name, of in described["properties"].items()}
        schema.required = described.get("required")
        schema.additional_properties = described.get("additionalProperties")
        return schema


def _untitled(described: dict[str, Any]) -> Any:
    return {key: value for key, value in described.items() if key != "title"}
