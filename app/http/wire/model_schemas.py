"""Schemas of pydantic's models in the OpenAPI document, which are pydantic's own.

Litestar's lose bounds and patterns, and describe a mapping with bounds as a list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from litestar.openapi.spec import OpenAPIType, Schema
from litestar.plugins import OpenAPISchemaPlugin
from litestar.typing import FieldDefinition
from pydantic import BaseModel

from app.http.wire.litestar_private import SchemaCreator, registered_schema

Example = Callable[[type[BaseModel]], Mapping[str, Any] | None]


class PageModel(BaseModel):
    """A page of a list. Litestar describes it, since it contains other models."""


class ModelSchemas(OpenAPISchemaPlugin):
    """Describes models without other models in them; `example_of` returns an example of a model, if there is one."""

    def __init__(self, example_of: Example) -> None:
        self._example_of = example_of

    @staticmethod
    def is_plugin_supported_type(value: Any) -> bool:
        return isinstance(value, type) and issubclass(value, BaseModel) and not issubclass(value, PageModel)

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: SchemaCreator) -> Schema:
        model = field_definition.annotation
        json_schema = model.model_json_schema()
        schema = registered_schema(schema_creator, field_definition)
        schema.type = OpenAPIType.OBJECT
        schema.title = json_schema["title"]
        schema.description = json_schema.get("description")
        schema.properties = {name: _without_title(field) for name, field in json_schema["properties"].items()}
        schema.required = json_schema.get("required")
        schema.additional_properties = json_schema.get("additionalProperties")
        if example := self._example_of(model):
            schema.examples = [dict(example)]
        return schema


def _without_title(json_schema: dict[str, Any]) -> Any:
    return {key: value for key, value in json_schema.items() if key != "title"}
