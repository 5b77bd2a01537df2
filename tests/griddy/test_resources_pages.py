"""Lists: pages of fifty rows with opaque cursors, in both directions, during inserts and deletes."""

from __future__ import annotations

import random
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.griddy.resource_api import Rows

Page = dict[str, Any]


def _tags(api: httpx.Client, count: int, prefix: str = "tag") -> list[int]:
    return [Rows(api).create("tags", name=f"{prefix} {number}") for number in range(count)]


def _get(api: httpx.Client, reference: str) -> Page:
    answer = api.get(reference.removeprefix("/api/v1"))
    assert answer.status_code == 200, answer.text
    page: Page = answer.json()
    assert set(page) == {"next", "previous", "results"}
    for other in (page["next"], page["previous"]):
        assert other is None or other.startswith("/api/v1/tags/?cursor=")
    return page


def _ids(page: Page) -> list[int]:
    return [row["id"] for row in page["results"]]


def _cursor(page: Page, direction: str) -> str:
    return parse_qs(urlsplit(page[direction]).query)["cursor"][0]


@pytest.mark.parametrize("count", [0, 1, 49, 50, 51, 100, 101])
def test_every_row_is_on_one_page_in_both_directions(api: httpx.Client, count: int) -> None:
    ids = _tags(api, count)
    forth = [_get(api, "/tags/")]
    while forth[-1]["next"]:
        forth.append(_get(api, forth[-1]["next"]))
    assert [_ids(page) for page in forth] == [ids[start : start + 50] for start in range(0, max(count, 1), 50)]
    assert forth[0]["previous"] is None
    back = [forth[-1]]
    while back[-1]["previous"]:
        back.append(_get(api, back[-1]["previous"]))
    assert back[::-1] == forth


def test_inserted_and_deleted_rows_do_not_shift_pages(api: httpx.Client) -> None:
    ids = _tags(api, 130)
    first = _get(api, "/tags/")
    for gone in (ids[10], ids[49], ids[50], ids[75]):
        api.delete(f"/tags/{gone}")
    new = _tags(api, 5, "new")
    second = _get(api, first["next"])
    third = _get(api, second["next"])
    left = [row for row in ids if row not in (ids[50], ids[75])]
    assert [*_ids(first), *_ids(second), *_ids(third)] == [*left, *new]
    assert third["next"] is None
    back = _get(api, second["previous"])
    assert _ids(back) == [row for row in ids[:50] if row not in (ids[10], ids[49])]
    assert back["previous"] is None
    assert _ids(_get(api, back["next"])) == _ids(second)


def test_a_page_without_rows_still_leads_back(api: httpx.Client) -> None:
    ids = _tags(api, 60)
    first = _get(api, "/tags/")
    second = _get(api, first["next"])
    for gone in ids[50:]:
        api.delete(f"/tags/{gone}")
    empty = _get(api, first["next"])
    assert (_ids(empty), empty["next"]) == ([], None)
    assert _ids(_get(api, empty["previous"])) == ids[:50]
    for gone in ids[:50]:
        api.delete(f"/tags/{gone}")
    nothing = _get(api, second["previous"])
    assert nothing == {"next": None, "previous": None, "results": []}


def test_a_first_page_without_rows_still_leads_on(api: httpx.Client) -> None:
    ids = _tags(api, 60)
    second = _get(api, _get(api, "/tags/")["next"])
    for gone in ids[:50]:
        api.delete(f"/tags/{gone}")
    empty = _get(api, second["previous"])
    assert (_ids(empty), empty["previous"]) == ([], None)
    assert _ids(_get(api, empty["next"])) == ids[50:]


def test_each_lasting_row_is_listed_once_in_any_order_of_operations(api: httpx.Client) -> None:
    chance = random.Random(20250209)
    alive = _tags(api, 120)
    lasting, seen = set(alive), []
    page = _get(api, "/tags/")
    while True:
        seen += _ids(page)
        for gone in chance.sample(alive, 6):
            api.delete(f"/tags/{gone}")
            alive.remove(gone)
            lasting.discard(gone)
        alive += _tags(api, 3, f"new {len(seen)}")
        if not page["next"]:
            break
        page = _get(api, page["next"])
    assert seen == sorted(set(seen))
    assert lasting <= set(seen)


def test_a_nested_list_has_its_own_pages(api: httpx.Client) -> None:
    rows = Rows(api)
    asset = rows.video_asset()["video_asset_id"]
    tags = _tags(api, 55)
    listing = f"/video-assets/{asset}/tags/"
    for tag in tags:
        rows.create(f"video-assets/{asset}/tags", tag_id=tag)
    first = api.get(listing).json()
    assert [row["tag_id"] for row in first["results"]] == tags[:50]
    assert first["next"].startswith(f"/api/v1{listing}?cursor=")
    second = api.get(first["next"].removeprefix("/api/v1")).json()
    assert [row["tag_id"] for row in second["results"]] == tags[50:]


def test_a_cursor_of_another_list_is_400(api: httpx.Client) -> None:
    _tags(api, 51)
    cursor = _cursor(_get(api, "/tags/"), "next")
    spelled = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()

    def encoded(text: str) -> str:
        return urlsafe_b64encode(text.encode()).rstrip(b"=").decode()

    assert encoded(spelled) == cursor
    bad = [
        "",
        " ",
        "x",
        "%00",
        "50",
        "a50",
        "é",
        cursor + "=",
        cursor + "A",
        cursor[:-1],
        cursor.swapcase(),
        "A" * 10_000,
    ]
    bad += [
        encoded(text) for text in (spelled.replace("50", "050"), spelled.replace("50", "-1"), spelled + "x", "a50:")
    ]
    bad += [
        encoded(spelled.replace("50", number)) for number in ("9" * 19, "9" * 20, str(2**63), "\uff15\uff10", "5_0")
    ]
    for value in bad:
        answer = api.get("/tags/", params={"cursor": value})
        assert answer.status_code == 400, value
        assert set(answer.json()) == {"detail"}
    assert api.get("/venues/", params={"cursor": cursor}).status_code == 400
    assert api.get("/tags/", params={"cursor": cursor}).status_code == 200
