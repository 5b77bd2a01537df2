"""The exception for responses with an error status, and the schemas of these responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from msgspec import UNSET, UnsetType

INVALID = "The request is invalid."
INVALID_BODY = "The request body is invalid."


class Problem(Exception):
    """An error response: a status, a detail and, for an invalid body, `errors` with a `field` and a `message` each."""

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = headers or {}


def invalid(errors: Mapping[str, str]) -> Problem:
    """The 400 for an invalid body; `errors` are messages by field."""
    return Problem(400, INVALID_BODY, [{"field": field, "message": message} for field, message in errors.items()])


@dataclass(frozen=True, slots=True)
class Detail:
    """Why the request was not served."""

    detail: str


def detail_spec(description: str, *details: str) -> ResponseSpec:
    """The documentation of a refusal with a `detail`, of which `details` are examples."""
    examples = [Example(id=f"example_{number}", value={"detail": each}) for number, each in enumerate(details, 1)]
    return ResponseSpec(Detail, description=description, generate_examples=False, examples=examples)


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field; `field` is empty for the body as a whole."""

    field: str
    message: str


@dataclass(frozen=True, slots=True)
class InvalidBody:
    """Why the request was refused; `errors` are the invalid fields of its body, or its invalid filters."""

    detail: str
    # A factory, because the OpenAPI document cannot show the default.
    errors: list[FieldError] | UnsetType = field(default_factory=lambda: UNSET)
