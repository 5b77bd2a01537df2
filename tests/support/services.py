"""The services of a small application; those that it does not use are None."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from litestar.datastructures import State

from app.services import Services, state_with


def state_of(**given: Any) -> State:
    """The state of an application with these services. Raises TypeError for an unknown service."""
    unused: dict[str, Any] = {field.name: None for field in fields(Services)}
    return state_with(Services(**(unused | given)))
