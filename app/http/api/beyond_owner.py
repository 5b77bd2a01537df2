"""The API of keys that have scopes which their owner no longer has, like `authz keys check`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlencode

from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter

from app.http.wire.cursors import CursorPosition, read_cursor, write_cursor
from app.http.wire.filters import check_filters
from app.http.wire.handlers import get_or_head
from app.http.wire.json_body import NO_NUL
from app.http.wire.page_size import limit_size
from app.http.wire.problems import InvalidBody
from app.identity.token_format import ENVIRONMENTS
from app.keys.beyond_owners import KeyBeyondOwner, page
from app.services import AnyRequest, services_of

# Not below /api/v1/api-keys, whose rows allow all signed-in users.
PATH = "/api/v1/all-keys/beyond-owner"
PAGE_SIZE = 100  # active keys that are examined for a page
_LIST = f"{PATH}/"
Owner = Annotated[
    str | None,
    QueryParameter(
        min_length=1, max_length=512, pattern=NO_NUL, description="Only the keys of this owner, by its `sub`"
    ),
]
Cursor = Annotated[str | None, QueryParameter(description="from `next` of a page; the first without it")]


@dataclass(frozen=True, slots=True)
class KeysBeyondOwner:
    """The results among the next 100 active keys, by ascending id, under the policy `revision`; there may be none.

    `next` is null when all keys have been examined.
    """

    revision: str
    next: str | None
    results: Sequence[KeyBeyondOwner]


@get_or_head(
    PATH,
    summary="List the API keys beyond their owner's reach",
    tags=["api keys"],
    responses={400: ResponseSpec(InvalidBody, description="The cursor or a filter is invalid")},
)
async def list_api_keys_beyond_owner(
    request: AnyRequest, owner: Owner = None, cursor: Cursor = None
) -> KeysBeyondOwner:
    """An owner has the grants of role rows and those of the last token of theirs in the decision log.

    For a page 100 active keys are examined: follow `next` until it is null.
    """
    check_filters(request, "owner")
    services = services_of(request.app)
    after = read_cursor(cursor, _listing(owner)).after if cursor else 0
    snapshot = services.live.active
    found, end = await page(
        services.sessions,
        snapshot,
        environments=ENVIRONMENTS,
        now=datetime.now(UTC),
        after=after,
        limit=PAGE_SIZE,
        owner=owner,
    )
    shown = limit_size(found, _size)
    if len(shown) < len(found):
        end = shown[-1].id
    following = None
    if end is not None:
        query = {"owner": owner} if owner is not None else {}
        following = (
            f"{_LIST}?{urlencode({**query, 'cursor': write_cursor(CursorPosition(after=end), _listing(owner))})}"
        )
    return KeysBeyondOwner(snapshot.revision, following, shown)


def _listing(owner: str | None) -> str:
    """The listing of a cursor: a cursor for one owner is invalid for any other."""
    return _LIST if owner is None else f"{_LIST}{owner}"


def _size(each: KeyBeyondOwner) -> int:
    return sum(map(len, (each.owner, *each.counting, *each.lost)))
