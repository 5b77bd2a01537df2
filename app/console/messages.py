"""Messages that people write beside a change."""

from __future__ import annotations

MAX_MESSAGE = 2000  # characters


def message_fault(message: str) -> str:
    """Why a message cannot be kept; empty when it can."""
    if len(message) > MAX_MESSAGE:
        return f"Write at most {MAX_MESSAGE:,} characters."
    if "\x00" in message:  # which PostgreSQL cannot keep
        return "Leave out the character NUL."
    return ""
