"""A target that takes more than a second of processor time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import strategies as st

from scripts.fuzz.target import MAX_SECONDS, Check, Target


@contextmanager
def _opened() -> Iterator[Check]:
    def check(data: bytes) -> None:
        began = time.process_time()
        while data == b"slow" and time.process_time() - began < MAX_SECONDS + 0.05:
            pass

    yield check


TARGET = Target("slow", [b"quick", b"slow"], lambda _: st.binary(), _opened)
