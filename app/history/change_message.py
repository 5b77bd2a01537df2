"""Checks the texts that are stored with a change: its message, and the reason to accept failing cases."""

from __future__ import annotations

import unicodedata

from app.audit.sanitize import has_secret

MAX_MESSAGE = 2000  # characters
MIN_REASON = 3  # letters and digits
_JOINERS = "\u200c\u200d"  # within words of some scripts, and within emoji
# In the category of letters, but invisible.
_FILLERS = "\u115f\u1160\u3164\uffa0"


def message_fault(message: str) -> str:
    """Why a message is refused; empty if it is accepted. An empty message is accepted."""
    return _fault(message, 1, ("Cc", "Cs")) if message else ""


def reason_fault(reason: str) -> str:
    """Why a reason is refused; empty if it is accepted."""
    return _fault(reason, MIN_REASON, ("C", "Zl", "Zp"))


def _fault(text: str, least: int, refused: tuple[str, ...]) -> str:
    if len(text) > MAX_MESSAGE:
        return f"Write at most {MAX_MESSAGE:,} characters."
    for char in text.replace("\r\n", "\n"):
        if unicodedata.category(char).startswith(refused) and char not in f"\n\t{_JOINERS}":
            return f"Leave out the character U+{ord(char):04X}, which cannot be seen."
    if has_secret(text):
        return "Leave out the API key or the token: this text is stored and shown."
    if sum(char.isalnum() and char not in _FILLERS for char in text) < least:
        return f"Write words: at least {least} letters or digits." if least > 1 else "Write words, not signs alone."
    return ""
