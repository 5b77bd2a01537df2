"""The scopes that an app may ask for which no administrator registered."""

from __future__ import annotations

from app.identity.access_token_verifier import AppRecord
from app.oauth.scope import is_write
from app.policy.engine.app_scopes import scopes_for
from app.policy.engine.snapshot import Snapshot

# What rows about no app in particular say about one whose id is the address of its metadata document.
_UNREGISTERED = AppRecord("unregistered", "document", "")


def open_scopes(snapshot: Snapshot) -> tuple[str, ...]:
    """These scopes, in the order of the catalogue."""
    return scopes_for(snapshot, _UNREGISTERED)


def first_scopes(snapshot: Snapshot) -> tuple[str, ...]:
    """Those of them that an app asks for at first: to read. It asks for others once a challenge names them."""
    return tuple(scope for scope in open_scopes(snapshot) if not is_write(scope))
