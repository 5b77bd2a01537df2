"""A target that fails for cases with an `x`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import strategies as st

from scripts.fuzz.target import Check, Target


@contextmanager
def _opened() -> Iterator[Check]:
    def check(data: bytes) -> None:
        if b"x" in data:
            raise KeyError("unexpected")

    yield check


TARGET = Target("raises", [b"a"], lambda _: st.binary(max_size=20).map(lambda data: data.replace(b"\0", b"x")), _opened)
