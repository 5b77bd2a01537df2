"""Forms that are good once: sent again, by reload or the back button, they do nothing again."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from typing import Annotated

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.console.page import csrf_of
from app.db import used_forms
from app.http.wire.problems import Problem
from app.services import AnyRequest

Once = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


def form_id() -> str:
    """The id of a new form."""
    return secrets.token_hex(16)


async def only_once(session: AsyncSession, request: AnyRequest, once: str, now: datetime, already: str) -> None:
    """Use up a form of this browser session, together with what `session` stores next.

    Raises Problem 409 with the text `already` when it was sent before.
    """
    digest = hashlib.sha256(f"{csrf_of(request)}.{once}".encode()).digest()
    if not await used_forms.use(session, digest, now):
        raise Problem(409, already)
