"""The tokens of third-party apps: access and refresh tokens, codes and secrets. Only their SHA-256 is stored."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

TokenKind = Literal["access", "refresh", "code", "secret"]
PREFIXES: Mapping[TokenKind, str] = MappingProxyType(
    {"access": "grd_oat_", "refresh": "grd_ort_", "code": "grd_oac_", "secret": "grd_ocs_"}
)
ANY_PREFIX = tuple(PREFIXES.values())
DIGITS = 48
_SHAPES = {kind: re.compile(rf"{prefix}[0-9a-f]{{{DIGITS}}}") for kind, prefix in PREFIXES.items()}


def mint_token(kind: TokenKind) -> str:
    """A new token with 192 random bits."""
    return PREFIXES[kind] + secrets.token_hex(DIGITS // 2)


def has_shape(token: str, kind: TokenKind) -> bool:
    """Whether a text has the prefix and the digits of this kind of token."""
    return _SHAPES[kind].fullmatch(token) is not None
