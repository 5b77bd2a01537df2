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

FormId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


def new_form_id() -> str:
    """A new id for a form."""
    return secrets.token_hex(16)


async def use_form(session: AsyncSession, request: AnyRequest, form_id: str, now: datetime, already: str) -> None:
    """Record a form of the browser session as used, in the same transaction as what it stores.

    Raises Problem 409 with the text `already` if it was sent before.
    """
    digest = hashlib.sha256(f"{csrf_of(request)}.{form_id}".encode()).digest()
    if not await used_forms.use(session, digest, now):
        raise Problem(409, already)
