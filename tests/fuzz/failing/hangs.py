"""A target that never returns from C code, where no exception can reach it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import strategies as st

from scripts.fuzz.target import Check, Target

_EVIL = re.compile(rb"(a+)+b")


@contextmanager
def _opened() -> Iterator[Check]:
    def check(data: bytes) -> None:
        _EVIL.match(data)

    yield check


TARGET = Target("hangs", [b"a", b"a" * 60], lambda _: st.binary(), _opened)
