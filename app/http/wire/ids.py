"""Strict parser of ids in paths."""

from __future__ import annotations

import re

from app.db.tables.fields import MAX_ID

_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)


def read_id(spelled: str) -> int | None:
    """The id, or None for what cannot be one. Python itself would also take +5, 1_0 and other scripts' digits."""
    if _ID.fullmatch(spelled) is None or int(spelled) > MAX_ID:
        return None
    return int(spelled)
