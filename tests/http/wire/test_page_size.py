"""A page has fewer rows if they are very large, and at least one."""

from __future__ import annotations

import pytest

from app.http.wire.page_size import limit_size


@pytest.mark.parametrize(
    ("sizes", "shown"),
    [
        ([], 0),
        ([5], 1),
        ([11], 1),
        ([11, 1], 1),
        ([4, 4, 2], 3),
        ([4, 4, 3], 2),
        ([0] * 100, 100),
        ([1, 100, 1], 1),
        ([10, 0, 0, 1], 3),
    ],
)
def test_rows_fit_a_page_up_to_its_size(sizes: list[int], shown: int) -> None:
    assert list(limit_size(sizes, int, 10)) == sizes[:shown]
