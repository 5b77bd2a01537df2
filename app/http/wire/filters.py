"""Parser of the filters in a query: unknown and repeated filters are refused."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from litestar.openapi.spec import OpenAPIType, Operation, Parameter, Schema

from app.audit.filter_values import BadFilter, refuse_unknown
from app.audit.sanitize import clean
from app.db.tables.fields import MAX_ID
from app.http.wire.problems import Problem
from app.services import AnyRequest

_INVALID = "The filters are invalid."
_Filter = TypeVar("_Filter")


def filtered_operation(described: Mapping[str, str]) -> type[Operation]:
    """An operation with these filters, for the OpenAPI document."""
    parameters = [
        Parameter(name=name, param_in="query", schema=_schema(name), description=f"{text[0].upper()}{text[1:]}.")
        for name, text in described.items()
    ]

    @dataclass  # so that __init__ calls __post_init__
    class FilteredOperation(Operation):
        def __post_init__(self) -> None:
            self.parameters = list(parameters)

    return FilteredOperation


def _schema(name: str) -> Schema:
    if name == "key_id":
        return Schema(type=OpenAPIType.INTEGER, minimum=1, maximum=MAX_ID)
    return Schema(type=OpenAPIType.STRING, enum=["allow", "deny"] if name == "verdict" else None)


def given_filters(request: AnyRequest) -> dict[str, str]:
    """The parameters of the query. Raises Problem 400 if a name is repeated."""
    given: dict[str, str] = {}
    twice = []
    for name, value in request.query_params.multi_items():
        if name in given:
            twice.append({"field": clean(name, 40), "message": "stands here twice"})
        given[name] = value
    if twice:
        raise Problem(400, _INVALID, twice)
    return given


def check_filters(request: AnyRequest, *known: str, beside: Collection[str] = ("cursor",)) -> None:
    """Refuse parameters that are neither a filter of a list nor among those `beside` them, and repeated ones.

    A caller who misspells a filter would take the whole list for a filtered one. Raises Problem 400.
    """
    given = [name for name in given_filters(request) if name not in beside]
    if errors := refuse_unknown(given, known):
        raise Problem(400, _INVALID, [{"field": name, "message": message} for name, message in errors.items()])


def read_filters(read: Callable[[Mapping[str, str], datetime], _Filter], given: Mapping[str, str]) -> _Filter:
    """The filters, parsed by `read`. Raises Problem 400 with all errors."""
    try:
        return read(given, datetime.now(UTC))
    except BadFilter as bad:
        errors = [{"field": name, "message": message} for name, message in bad.errors.items()]
        raise Problem(400, _INVALID, errors) from None
