"""The types of fields: what they accept, how they are stored and how they are described.

Each accepts only its exact type, whatever mode a library validates in: no "2" for 2, no 1 for true, no timestamp for a
date.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator
from pydantic import Field as Bounds
from pydantic_core import PydanticCustomError

from app.audit.sanitize import has_secret

MAX_ID = 2**63 - 1

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})", re.ASCII)
# Bidirectional overrides display another text than the one that is stored.
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")


def _integer(value: object) -> object:
    if type(value) is not int:
        raise PydanticCustomError("integer", "must be an integer")
    return value


def _boolean(value: object) -> object:
    if type(value) is not bool:
        raise PydanticCustomError("boolean", "must be true or false")
    return value


def _string(value: object) -> object:
    if type(value) is not str:
        raise PydanticCustomError("string", "must be a string")
    return value


def _line(value: str) -> str:
    if value != value.strip():
        raise PydanticCustomError("blank", "must not be blank, nor begin or end with a space")
    return _printable(value, "")


def _prose(value: str) -> str:
    if not value.strip():
        raise PydanticCustomError("blank", "must not be blank")
    return _printable(value, "\n\t")


def _printable(value: str, also: str) -> str:
    for character in value:
        unprintable = unicodedata.category(character) in _UNPRINTABLE or character in _REORDERING
        if unprintable and character not in also:
            raise PydanticCustomError("control", "must not contain control characters")
    if has_secret(value):
        raise PydanticCustomError("secret", "must not contain an API key or a token, since it is stored and shown")
    return value


def _date(value: object) -> object:
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise PydanticCustomError("date", "must be a date that exists") from None
    if type(value) is date:
        return value
    raise PydanticCustomError("date", "must be a date such as 2025-02-09")


def _moment(value: object) -> object:
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        try:
            return datetime.fromisoformat(value).astimezone(UTC)
        except (ValueError, OverflowError):
            raise PydanticCustomError("moment", "must be a time that exists") from None
    if isinstance(value, datetime) and value.utcoffset() is not None:
        return value.astimezone(UTC)
    raise PydanticCustomError("moment", "must be a time with its offset from UTC, such as 2025-02-09T23:30:00Z")


INTEGER = BeforeValidator(_integer)
_STRING = BeforeValidator(_string)

# The type check is last, since pydantic applies it first.
Id = Annotated[int, Bounds(ge=1, le=MAX_ID), INTEGER]
Count = Annotated[int, Bounds(ge=0, le=1_000_000), INTEGER]
Year = Annotated[int, Bounds(ge=1850, le=2200), INTEGER]
Score = Annotated[int, Bounds(ge=0, le=999), INTEGER]
Ordinal = Annotated[int, Bounds(ge=1, le=99), INTEGER]
Yards = Annotated[int, Bounds(ge=-99, le=99), INTEGER]
Money = Annotated[int, Bounds(ge=0, le=MAX_ID), INTEGER]
Pixels = Annotated[int, Bounds(ge=1, le=20_000), INTEGER]

Name = Annotated[str, Bounds(min_length=1, max_length=120), AfterValidator(_line), _STRING]
Note = Annotated[str, Bounds(min_length=1, max_length=4000), AfterValidator(_prose), _STRING]
Abbreviation = Annotated[str, Bounds(pattern=r"^[A-Z0-9]{2,8}$", max_length=8), _STRING]
Country = Annotated[str, Bounds(pattern=r"^[A-Z]{2}$", max_length=2), _STRING]
Currency = Annotated[str, Bounds(pattern=r"^[A-Z]{3}$", max_length=3), _STRING]
Uri = Annotated[str, Bounds(pattern=r"^[a-z][a-z0-9+.-]*://[!-~]+$", max_length=2000), _STRING]
Sha256 = Annotated[str, Bounds(pattern=r"^[0-9a-f]{64}$", max_length=64), _STRING]
Clock = Annotated[str, Bounds(pattern=r"^(15:00|(0[0-9]|1[0-4]):[0-5][0-9])$", max_length=5), _STRING]

Flag = Annotated[bool, BeforeValidator(_boolean)]
Day = Annotated[date, BeforeValidator(_date)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
