"""The `permissions` claim of a token."""

from __future__ import annotations

from collections.abc import Sequence


def permissions(claim: object) -> Sequence[str]:
    """The permission strings of a `permissions` claim: a list of strings, or one string with U+0020 between.

    Anything else grants nothing, a list with one other item included.
    """
    if isinstance(claim, str):
        return [permission for permission in claim.split(" ") if permission]
    if isinstance(claim, list) and all(isinstance(item, str) for item in claim):
        return claim
    return ()
