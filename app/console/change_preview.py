"""The values with which pages show a change of the policy before it is made."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from app.history.published import Published
from app.policy.analysis.access_change import AccessDiff
from app.policy.analysis.access_view import access_of, files_of, summary_of

MAX_SHOWN = 100  # changes of access, or rows


async def preview_values(found: Published | None, fields: Mapping[str, str]) -> dict[str, object]:
    """What a change does, nothing if it is None, and what the fields of its form acknowledge."""
    difference = found.difference if found else AccessDiff(())
    return {
        "summary": await asyncio.to_thread(summary_of, difference),
        "access": await asyncio.to_thread(access_of, difference),
        "files": files_of(found.files if found else ()),
        "rows": found.rows if found else (),
        "shown": MAX_SHOWN,
        "widens": difference.widens or (found is not None and found.replaces is not None),
        "replaces": found.replaces if found else None,
        "cases": found.cases if found else None,
        "fewer": found.fewer if found else None,
        "message": fields.get("message", ""),
        "accepted": fields.get("accept", ""),
        "acknowledged": fields.get("acknowledge") == "yes",
        "fewer_acknowledged": fields.get("fewer") == "yes",
    }
