"""A target that takes more processor time than the limit of the test."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import strategies as st

from scripts.fuzz.target import Check, Target

MAX_SECONDS = 0.3


@contextmanager
def _opened() -> Iterator[Check]:
    def check(data: bytes) -> None:
        began = time.process_time()
        while data == b"slow" and time.process_time() - began < MAX_SECONDS:
            pass

    yield check


TARGET = Target("slow", [b"quick", b"slow"], lambda _: st.binary(), _opened)
