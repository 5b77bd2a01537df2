"""Forms that can be sent once: sending one again, by reload or the back button, has no effect."""

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
    """Record a form of the browser session as used, in the same transaction as what it stores.

    Raises Problem 409 with the text `already` if it was sent before.
    """
    digest = hashlib.sha256(f"{csrf_of(request)}.{once}".encode()).digest()
    if not await used_forms.use(session, digest, now):
        raise Problem(409, already)
