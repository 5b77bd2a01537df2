"""The tokens of third-party apps: access and refresh tokens, codes and secrets. Only their SHA-256 is stored."""

from __future__ import annotations

import secrets

from app.identity.token_format import DIGITS, TokenKind, current


def mint_token(kind: TokenKind) -> str:
    """A new token with 192 random bits."""
    return current().app_token_start(kind) + secrets.token_hex(DIGITS // 2)


def has_shape(token: str, kind: TokenKind) -> bool:
    """Whether a text has a prefix and the digits of this kind of token."""
    return current().app_tokens[kind].fullmatch(token) is not None
