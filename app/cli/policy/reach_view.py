"""The JSON documents of `authz policy reach`, `who` and `usage`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct, field

from app.keys.reaching import KeyHolder
from app.policy.analysis.reach import AppWay, Holder, ReachedView, WayIn
from app.policy.analysis.usage import Usage
from app.policy.language.row_view import RowView


class ReachedEndpoints(Struct, frozen=True):
    """Everything that grants or a key reach."""

    revision: str
    held: Annotated[list[str], Meta(description="The grants of the caller.")] = field(name="as")
    results: list[ReachedView]


class AccessPaths(Struct, frozen=True):
    """Who reaches something. `denied_by` are rows that may deny it nevertheless."""

    revision: str
    action: str
    resource: str
    ways: list[WayIn]
    holders: list[Holder]
    apps: list[AppWay]
    denied_by: list[RowView]
    keys: Annotated[list[KeyHolder] | None, Meta(description="Active keys that reach it; null without --keys.")]
    keys_after: Annotated[int | None, Meta(description="The --after of the next page of keys; null at the end.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUsage(Usage):
    """Which scopes a key used in the last `days`. `sufficient_scopes` are narrower ones that would suffice.

    `no_longer_allowed` was allowed then and is not now.
    """

    key: int
    days: int
    logged_since: Annotated[datetime | None, Meta(description="The time of the oldest decision in the log.")]
