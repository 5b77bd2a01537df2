"""A target that ends its process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import strategies as st

from scripts.fuzz.target import Check, Target


@contextmanager
def _opened() -> Iterator[Check]:
    def check(data: bytes) -> None:
        if data == b"crash":
            os.abort()

    yield check


TARGET = Target("crashes", [b"fine", b"crash"], lambda _: st.binary(), _opened)
