"""The name of a client, which anyone may have chosen: it is text beside the host, and cannot look like more."""

from __future__ import annotations

import unicodedata

from app.audit.sanitize import has_secret

MAX_CHARACTERS = 60
UNNAMED = "Unnamed app"
_MAX_MARKS = 3  # in a row, on one letter: no script needs more, and they would cover the lines above
# Characters that Python calls printable, although they are shown as a blank.
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")


def name_fault(name: str) -> str | None:
    """Why a client cannot have this name; None if it can.

    Controls of the direction of text and invisible characters are not printable.
    """
    if not name.strip() or name != name.strip():
        return "must not be blank, nor begin or end with a space"
    if len(name) > MAX_CHARACTERS:
        return f"must have at most {MAX_CHARACTERS} characters"
    if not name.isprintable() or not _BLANK.isdisjoint(name):
        return "must be printable, without invisible characters and controls of the direction of text"
    if has_secret(name):
        return "must not contain an API key or a token, since it is stored and shown"
    marks = 0
    for character in name:
        marks = marks + 1 if unicodedata.category(character) in ("Mn", "Me") else 0
        if marks > _MAX_MARKS or (marks and character == name[0]):
            return "must not have so many marks on a letter"
    return None
