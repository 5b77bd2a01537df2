"""Ids in paths and questions, as they are spelled."""

from __future__ import annotations

import pytest

from app.http.wire.ids import ID_SCHEMA, id_of, read_id

GREATEST = 2**63 - 1  # of a column of 64 bits


@pytest.mark.parametrize("number", [1, 7, 10, 1_000_000_000_000_000_000, GREATEST])
def test_an_id_is_a_number_from_1_to_the_greatest_of_a_column(number: int) -> None:
    assert read_id(str(number)) == number


@pytest.mark.parametrize(
    "spelled",
    [
        *("", "0", "00", "01", "-1", "+1", "1_0", "1.0", "1e3", " 1", "1 ", "1\n", "x", "1x", "x1", "٣", "²", "\uff11"),
        *(str(GREATEST + 1), str(10**19), "1" + "0" * 5_000),
    ],
)
def test_any_other_spelling_is_no_id(spelled: str) -> None:
    assert read_id(spelled) is None


def test_the_document_has_the_bounds_of_an_id() -> None:
    assert ID_SCHEMA == {"type": "integer", "format": "int64", "minimum": 1, "maximum": GREATEST}
    described = id_of("the key")
    assert (described.description, described.schema_extra) == ("The id of the key.", dict(ID_SCHEMA))
