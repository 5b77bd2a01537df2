"""Documents of commands that are a view of the API with more fields."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_T = TypeVar("_T")


def extended(kind: type[_T], view: DataclassInstance, **more: Any) -> _T:
    """The view as a subclass of its type, with the fields that this adds."""
    return kind(**{each.name: getattr(view, each.name) for each in fields(view)}, **more)
