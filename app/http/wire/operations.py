"""Classes of operations, for the OpenAPI document."""

from __future__ import annotations

from dataclasses import dataclass

from litestar.openapi.spec import Operation, RequestBody, Schema


@dataclass  # so that __init__ calls __post_init__
class OptionalBodyOperation(Operation):
    """The documentation of an operation with an optional body, which is never `null`."""

    def __post_init__(self) -> None:
        if isinstance(self.request_body, RequestBody):
            self.request_body.required = False
            for media in self.request_body.content.values():
                if isinstance(media.schema, Schema) and media.schema.one_of:
                    media.schema = media.schema.one_of[0]
