"""Models of the API, written by `scripts/sdk/write_models.py`. Times are ISO 8601 in UTC."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict


class IssueKey(TypedDict):
    """The properties of a new key."""

    name: str
    environment: NotRequired[Literal["live", "test"]]
    scopes: NotRequired[list[str]]
    expires_at: NotRequired[str | None]


class IssuedKey(TypedDict):
    """A new key with its plaintext, which is shown only once."""

    api_key: KeyView
    plaintext: str
    warning: NotRequired[str]


class KeyView(TypedDict):
    """A key as its owner sees it: never its plaintext."""

    id: int
    name: str
    environment: str
    key_prefix: str
    scopes: list[str]
    created_at: str
    last_used_at: str | None
    expires_at: str | None
    revoked_at: str | None
    is_active: bool


class RotateKey(TypedDict):
    """For how many seconds the old and the new key are both accepted."""

    grace_seconds: NotRequired[int]


class RotatedKey(TypedDict):
    """A new key with its plaintext, which is shown only once, and the key that it replaces."""

    api_key: KeyView
    plaintext: str
    old_api_key: KeyView
    warning: NotRequired[str]
