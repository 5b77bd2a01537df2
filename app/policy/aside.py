"""Builds beside requests without stopping them.

A policy of many rows is a million small objects. The collector of garbage would walk all of them in one go, with
everybody waiting: so it rests while a policy is built, and what was built is then kept out of its sight. A policy has
no cycles, so that it is freed all the same when nobody has it any more. Nor may there be any in what is done meanwhile.
"""

from __future__ import annotations

import gc
import heapq
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

# Seconds after which a thread that computes lets others go on; the event loop waits that long for each step.
SWITCH_SECONDS = 0.0005
_STEP = 1000  # items sorted in one go, which takes a millisecond

_Item = TypeVar("_Item")
_lock = threading.Lock()
_building = 0
_usual_switch = sys.getswitchinterval()


@contextmanager
def aside() -> Iterator[None]:
    """Build in here what is large and lives long; several may do so at once, in threads of their own."""
    global _building  # noqa: PLW0603  # the collector is one for the process, too
    with _lock:
        _building += 1
        if _building == 1:
            gc.collect(1)  # of what is young: else it would be kept out of sight with the rest
            gc.disable()
            sys.setswitchinterval(SWITCH_SECONDS)
    try:
        yield
    finally:
        with _lock:
            _building -= 1
            if _building == 0:
                gc.freeze()
                gc.enable()
                sys.setswitchinterval(_usual_switch)


def in_order(items: Iterable[_Item], key: Callable[[_Item], Any]) -> Iterator[_Item]:
    """Items sorted by a key, in steps: one sort of them all would let nobody else go on."""
    unsorted = list(items)
    steps = (unsorted[start : start + _STEP] for start in range(0, len(unsorted), _STEP))
    return heapq.merge(*(sorted(step, key=key) for step in steps), key=key)


def give_back() -> None:
    """Give the system the memory that was freed, which the C library would keep for later, apart for each thread."""
    import ctypes  # noqa: PLC0415  # needed once a policy was replaced, and not to start

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:  # only glibc has it
        trim(0)
