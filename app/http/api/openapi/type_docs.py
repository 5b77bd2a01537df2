"""The docstrings of the types in responses, which Litestar leaves out of their schemas."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from dataclasses import is_dataclass
from typing import Any, get_args, get_type_hints

from litestar.handlers import HTTPRouteHandler
from msgspec import Struct

from app.http.wire.model_schemas import PageModel

_MODELS = (Struct, PageModel)


def type_docs(handlers: Iterable[HTTPRouteHandler]) -> dict[str, str]:
    """The docstrings of all dataclasses, structs and pages in the responses of handlers, by name of the type."""
    pending = [part for handler in handlers for part in _response_types(handler)]
    seen: set[Any] = set()
    found: dict[str, str] = {}
    while pending:
        part = pending.pop()
        pending.extend(get_args(part))
        if not isinstance(part, type) or part in seen or not (is_dataclass(part) or issubclass(part, _MODELS)):
            continue
        seen.add(part)
        if not issubclass(part, PageModel):  # whose rows pydantic describes
            pending.extend(get_type_hints(part, include_extras=True).values())
        text = part.__doc__
        if text and not text.startswith(f"{part.__name__}("):  # which Python writes for a dataclass without one
            found[part.__name__] = inspect.cleandoc(text)
    return found


def _response_types(handler: HTTPRouteHandler) -> Iterator[Any]:
    yield handler.parsed_fn_signature.return_type.annotation
    yield from (spec.data_container for spec in (handler.responses or {}).values())
