"""What handlers raise when a request cannot be served, and how the documentation describes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

INVALID_BODY = "The request body is invalid."


class Problem(Exception):
    """A request that gets `status`, `detail` and, for an invalid body, `errors`: each a `field` and a `message`."""

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
    """The 400 for a body whose fields have these faults, by field."""
    return Problem(400, INVALID_BODY, [{"field": field, "message": message} for field, message in errors.items()])


@dataclass(frozen=True, slots=True)
class Detail:
    """Why the request was not served."""

    detail: str


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field; `field` is empty when it is the body as a whole."""

    field: str
    message: str


@dataclass(frozen=True, slots=True)
class InvalidBody:
    """Why the body was refused, field by field."""

    detail: str
    errors: list[FieldError]
