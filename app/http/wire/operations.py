"""Classes of operations, for the OpenAPI document."""

from __future__ import annotations

from dataclasses import dataclass

from litestar.openapi.spec import Operation, RequestBody


@dataclass  # so that __init__ calls __post_init__
class OptionalBodyOperation(Operation):
    """The documentation of an operation with an optional body."""

    def __post_init__(self) -> None:
        if isinstance(self.request_body, RequestBody):
            self.request_body.required = False
