"""Schemas of AuthZEN bodies for the OpenAPI document: Litestar does not know them, because it does not read them."""

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


_SUBJECTS, _RESOURCES = "`user`, `key`, `app` or `token`", "`route` or `record`"
_ATTRIBUTES = _object("Attributes; they take precedence over those in the policy's `entities/`.")
_CONTEXT = _object("The variable `context` of conditions. With a token, `ip` is the address that sent it.")
_EXPLAIN = Schema(type=OpenAPIType.BOOLEAN, description="Whether each decision has its reason in `context`.")
_PAGE = _object(
    "The part of the results to return.",
    limit=Schema(type=OpenAPIType.INTEGER, minimum=1, description="The maximum number of results."),
    token=_text("`next_token` of the previous page of the same search."),
)


def _entity(what: str, *required: str) -> Schema:
    fields = {"type": _text(f"Such as {what}."), "id": _text("The id of the entity."), "properties": _ATTRIBUTES}
    return _object("An entity.", *required, **fields)


def _entity_type(what: str) -> Schema:
    """The entity to search for, whose id is ignored, whatever it is."""
    return _object("An entity to search for.", "type", type=_text(f"Such as {what}."), properties=_ATTRIBUTES)


def _fields(*, searched: str = "", optional: bool = False) -> dict[str, Schema]:
    required = () if optional else ("type", "id")
    fields = {
        "subject": _entity_type(_SUBJECTS) if searched == "subject" else _entity(_SUBJECTS, *required),
        "action": _object("The action.", "name", name=_text("Such as `GET`."), properties=_ATTRIBUTES),
        "resource": _entity_type(_RESOURCES) if searched == "resource" else _entity(_RESOURCES, *required),
        "context": _CONTEXT,
    }
    return {name: schema for name, schema in fields.items() if name != searched or searched != "action"}


def _operation(description: str, required: tuple[str, ...], fields: dict[str, Schema]) -> type[Operation]:
    body = RequestBody(
        content={"application/json": OpenAPIMediaType(schema=_object(description, *required, **fields))}, required=True
    )

    @dataclass  # so that __init__ calls __post_init__
    class Described(Operation):
        def __post_init__(self) -> None:
            self.request_body = body

    return Described


def evaluation() -> type[Operation]:
    """The operation of an evaluation."""
    fields = {**_fields(), "options": _object("Options of the evaluation.", explain=_EXPLAIN)}
    return _operation("An access evaluation.", ("subject", "action", "resource"), fields)


def evaluations(most: int, semantics: tuple[str, ...]) -> type[Operation]:
    """The operation of evaluations, of at most `most` items."""
    item = _object("An evaluation; members that it omits are those of the body.", **_fields(optional=True))
    semantic = Schema(type=_STRING, enum=list(semantics), description="When to stop; `execute_all` never stops.")
    fields = {
        **_fields(optional=True),
        "evaluations": Schema(type=OpenAPIType.ARRAY, items=item, max_items=most),
        "options": _object("Options of the evaluations.", evaluations_semantic=semantic, explain=_EXPLAIN),
    }
    return _operation("Access evaluations.", (), fields)


def search(searched: str) -> type[Operation]:
    """The operation of a search for a `subject`, `resource` or `action`."""
    required = tuple(name for name in ("subject", "action", "resource") if (name, searched) != ("action", "action"))
    return _operation(f"A search for {searched}s.", required, {**_fields(searched=searched), "page": _PAGE})
