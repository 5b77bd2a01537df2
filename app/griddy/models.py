"""The models of a resource, created from its table and body, and their schemas in the OpenAPI document."""

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
    page: type[BaseModel]


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
        __doc__="A page of a list, by ascending id.",
        next=(str | None, Field(description="The path of the next page.")),
        previous=(str | None, Field(description="The path of the previous page.")),
        results=(list[row], ...),
    )
    return Models(body, patch, row, page)


def _optional(field: FieldInfo) -> Any:
    # A factory, so that the schema has no default and none is validated.
    return Field(default_factory=lambda: None, description=field.description)


def messages(error: ValidationError) -> dict[str, str]:
    """The messages of an error, by field."""
    return {".".join(map(str, fault["loc"])): fault["msg"] for fault in error.errors(include_input=False)}


class ResourceSchemas(OpenAPISchemaPlugin):
    """Documents these models with pydantic's JSON Schema: Litestar's own schema loses bounds and patterns."""

    @staticmethod
    def is_plugin_supported_type(value: Any) -> bool:
        return isinstance(value, type) and issubclass(value, Body | RowModel | PatchModel)

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: SchemaCreator) -> Schema:
        json_schema = field_definition.annotation.model_json_schema()
        schema = registered_schema(schema_creator, field_definition)
        schema.type = OpenAPIType.OBJECT
        schema.title = json_schema["title"]
        schema.description = json_schema.get("description")
        schema.properties = {name: _without_title(field) for name, field in json_schema["properties"].items()}
        schema.required = json_schema.get("required")
        schema.additional_properties = json_schema.get("additionalProperties")
        return schema


def _without_title(json_schema: dict[str, Any]) -> Any:
    return {key: value for key, value in json_schema.items() if key != "title"}
