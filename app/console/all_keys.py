"""The list of all keys of all owners, identified by prefix, and their revocation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from litestar import Response, post
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncSession

from app.console.keys import badge, root_mark
from app.console.page import long_page, may_open, page, see_other
from app.db.tables.keys import ApiKey
from app.http.api.actors import requesting_actor
from app.http.wire.cursors import decode, encode
from app.http.wire.filters import check_filters
from app.http.wire.handlers import RequestSession, get_or_head
from app.http.wire.ids import read_id
from app.http.wire.problems import Problem
from app.identity.token_format import PUBLIC_PART, current
from app.keys import api_keys, beyond_owners, listing
from app.keys.listing import SORTS, STATUSES, KeyFilter, KeyPosition, Sort, place_of
from app.keys.revocations import revoke_key
from app.keys.status import is_accepted
from app.services import AnyRequest, services_of

PATH = "/console/all-keys"
PAGE_SIZE = 50
SORT_NAMES: Mapping[Sort, str] = {
    "newest": "Newest first",
    "oldest": "Oldest first",
    "used": "Used last",
    "expires": "Expires first",
}
_FILTERS = ("owner", "prefix", "status")
_NO_KEY = "There is no such key."
_HEX = re.compile("[0-9a-f]*")
_MAX_ECHO = 16  # characters of a text that is no prefix: the public part of a key is never shorter
_CURSOR = re.compile(r"([0-9]{1,18}) (-|[0-9]{1,18})", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@get_or_head(PATH)
async def all_keys(request: AnyRequest, session: RequestSession) -> Response[str]:
    """Show a page of the keys that match."""
    given = {name: request.query_params.get(name, "").strip() for name in (*_FILTERS, "sort")}
    given["prefix"] = _public_part(given["prefix"])
    cursor = request.query_params.get("cursor", "")
    selected, errors = _filter_of(given)
    try:
        check_filters(request, *_FILTERS, beside=("sort", "cursor"))
    except Problem as problem:
        errors |= {error["field"]: error["message"] for error in problem.errors}
    after = _decode_position(cursor) if cursor else None
    if cursor and after is None:
        errors["cursor"] = "This page does not belong to this list: begin at the first."
    now = datetime.now(UTC)
    rows = [] if errors else await listing.page(session, selected, now=now, after=after, limit=PAGE_SIZE + 1)
    shown = rows[:PAGE_SIZE]
    filters = {name: text for name, text in given.items() if text}
    more = (
        {**filters, "cursor": _encode_position(place_of(shown[-1], selected.sort))} if len(rows) > PAGE_SIZE else None
    )
    services = services_of(request.app)
    active = (api_keys.record_of(key) for key in shown if is_accepted(key, now))
    beyond = {
        each.id: each
        for each in await beyond_owners.of_keys(session, services.live.active, active, services.long_work.give_way)
    }
    return await long_page(
        request,
        "all_keys.html",
        status=400 if errors else 200,
        keys=[(key, badge(key, now)) for key in shown],
        has_root=root_mark(services.live.active),
        beyond=beyond,
        given=given,
        prefix_example=_prefix_example(),
        longest_prefix=current().longest_public_part,
        errors=errors,
        statuses=STATUSES,
        sorts=SORT_NAMES,
        sort=selected.sort,
        is_filtered=any(given[name] for name in _FILTERS),
        first=f"{PATH}?{urlencode(filters)}" if cursor else None,
        following=f"{PATH}?{urlencode(more)}" if more else None,
        by={sort: f"{PATH}?{urlencode({**filters, 'sort': sort})}" for sort in SORTS},
        may_revoke=may_open(request, f"{PATH}/{{key_id}}/revoke", "POST"),
    )


@get_or_head(f"{PATH}/{{key_id:str}}/revoke")
async def ask_revoke(key_id: FromPath[str], request: AnyRequest, session: RequestSession) -> Response[str]:
    """Ask for confirmation, with the details of the key."""
    key = await _key(session, key_id)
    return page(request, "all_keys_revoke.html", key=key, badge=badge(key, datetime.now(UTC)))


@post(f"{PATH}/{{key_id:str}}/revoke", status_code=303)
async def revoke(key_id: FromPath[str], request: AnyRequest, session: RequestSession) -> Response[None]:
    """Revoke a key; its next request is refused. Revoking again changes nothing."""
    key = await revoke_key(session, read_id(key_id) or 0, requesting_actor(request), datetime.now(UTC))
    if key is None:
        raise Problem(404, _NO_KEY)
    services_of(request.app).verifier.invalidate(key.id)
    return see_other(f"{PATH}?{urlencode({'prefix': key.key_prefix})}")


ROUTES = (all_keys, ask_revoke, revoke)


async def _key(session: AsyncSession, spelled: str) -> ApiKey:
    key_id = read_id(spelled)
    key = await listing.find(session, key_id) if key_id else None
    if key is None:
        raise Problem(404, _NO_KEY)
    return key


def _public_part(text: str) -> str:
    """What may be shown of a prefix that was sent: a complete key may have been pasted, of which the rest is secret."""
    found = PUBLIC_PART.match(text)
    return found[0] if found and _HEX.fullmatch(text, found.end()) else text[:_MAX_ECHO]


def _prefix_example() -> str:
    return f"{current().key_start('live')}0a1b2c3d"


def _filter_of(given: Mapping[str, str]) -> tuple[KeyFilter, dict[str, str]]:
    errors: dict[str, str] = {}
    prefix = given["prefix"]
    if prefix and not PUBLIC_PART.fullmatch(prefix):
        errors["prefix"] = f"must be the beginning of a key, such as {_prefix_example()}"
    status = next((each for each in STATUSES if each == given["status"]), None)
    sort: Sort = next((each for each in SORTS if each == given["sort"]), SORTS[0])
    if given["status"] and status is None:
        errors["status"] = f"must be one of {', '.join(STATUSES)}"
    if len(given["owner"]) > 512 or not given["owner"].isprintable():
        errors["owner"] = "must be printable text of at most 512 characters"
    return KeyFilter(given["owner"] or None, prefix or None, status, sort), errors


def _encode_position(place: KeyPosition) -> str:
    micros = "-" if place.time is None else str((place.time - _EPOCH) // timedelta(microseconds=1))
    return encode(f"{place.id} {micros}".encode())


def _decode_position(cursor: str) -> KeyPosition | None:
    """The place that a cursor encodes; None if it is not a cursor."""
    try:
        found = _CURSOR.fullmatch(decode(cursor).decode("ascii"))
        if found is None:
            return None
        if found[2] == "-":
            return KeyPosition(int(found[1]))
        return KeyPosition(int(found[1]), _EPOCH + timedelta(microseconds=int(found[2])))
    except (ValueError, OverflowError):
        return None
