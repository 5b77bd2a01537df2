"""Ids in paths: their strict parser, and their schema in the OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from litestar.params import PathParameter

from app.db.tables.fields import MAX_ID

ID_SCHEMA: Mapping[str, object] = {"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_ID}
_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)


def id_of(noun: str) -> Any:
    """The description of a path parameter. It is text, because Litestar's parser of numbers is lenient."""
    return PathParameter(description=f"The id of {noun}.", schema_extra=dict(ID_SCHEMA))


def read_id(spelled: str) -> int | None:
    """The id, or None for what cannot be one. Python itself would also take +5, 1_0 and other scripts' digits."""
    if _ID.fullmatch(spelled) is None or int(spelled) > MAX_ID:
        return None
    return int(spelled)
