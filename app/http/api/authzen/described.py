"""How AuthZEN's bodies appear in the OpenAPI document: they are read by hand, so Litestar does not know them."""

from __future__ import annotations

from dataclasses import dataclass

from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema

_OBJECT, _STRING = OpenAPIType.OBJECT, OpenAPIType.STRING


def _object(description: str, *required: str, **properties: Schema) -> Schema:
    return Schema(
        type=_OBJECT, description=description, required=list(required) or None, properties=dict(properties) or None
    )


def _text(description: str) -> Schema:
    return Schema(type=_STRING, description=description)


_ATTRIBUTES = _object("Attributes; they go before those in the policy's `entities/`.")
_CONTEXT = _object("What conditions read as `context`.")
_EXPLAIN = Schema(type=OpenAPIType.BOOLEAN, description="Whether each decision says why, in its `context`.")
_PAGE = _object(
    "Which part of the results.",
    limit=Schema(type=OpenAPIType.INTEGER, minimum=1, description="At most so many."),
    token=_text("`next_token` of the page before, of the same search."),
)


def _entity(what: str, *required: str) -> Schema:
    fields = {"type": _text(f"Such as {what}."), "id": _text("Which one."), "properties": _ATTRIBUTES}
    return _object("An entity.", *required, **fields)


def _fields(*, searched: str = "", optional: bool = False) -> dict[str, Schema]:
    whole = () if optional else ("type", "id")
    fields = {
        "subject": _entity("`user` or `key`", *(("type",) if searched == "subject" else whole)),
        "action": _object("The action.", "name", name=_text("Such as `GET`."), properties=_ATTRIBUTES),
        "resource": _entity("`route` or `record`", *(("type",) if searched == "resource" else whole)),
        "context": _CONTEXT,
    }
    return {name: schema for name, schema in fields.items() if name != searched or searched != "action"}


def _operation(description: str, required: tuple[str, ...], fields: dict[str, Schema]) -> type[Operation]:
    body = RequestBody(
        content={"application/json": OpenAPIMediaType(schema=_object(description, *required, **fields))}, required=True
    )

    @dataclass  # without which the base's __init__ would not call __post_init__
    class Described(Operation):
        def __post_init__(self) -> None:
            self.request_body = body

    return Described


def evaluation() -> type[Operation]:
    """The operation of an evaluation."""
    fields = {**_fields(), "options": _object("How to answer.", explain=_EXPLAIN)}
    return _operation("May they?", ("subject", "action", "resource"), fields)


def evaluations(most: int, semantics: tuple[str, ...]) -> type[Operation]:
    """The operation of evaluations, of at most so many items."""
    item = _object("A question; what it leaves out is as above.", **_fields(optional=True))
    semantic = Schema(type=_STRING, enum=list(semantics), description="When to stop; `execute_all` does not.")
    fields = {
        **_fields(optional=True),
        "evaluations": Schema(type=OpenAPIType.ARRAY, items=item, max_items=most),
        "options": _object("How to answer.", evaluations_semantic=semantic, explain=_EXPLAIN),
    }
    return _operation("May they, for each item?", (), fields)


def search(searched: str) -> type[Operation]:
    """The operation of a search for a `subject`, `resource` or `action`."""
    required = tuple(name for name in ("subject", "action", "resource") if (name, searched) != ("action", "action"))
    return _operation(f"Which {searched}s?", required, {**_fields(searched=searched), "page": _PAGE})
