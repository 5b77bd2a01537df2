"""Controls the garbage collector, so that building a large policy does not block requests.

A policy of many rows has a million small objects, and a full collection would visit all of them while requests wait.
So the collector is paused during a build, and its result is frozen. A policy has no reference cycles and is freed by
reference counting. Code that runs while the collector is paused must not create cycles either.
"""

from __future__ import annotations

import gc
import heapq
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

# Thread switch interval in seconds; the event loop waits that long for a computing thread.
SWITCH_SECONDS = 0.0005
# Collections of the young generation before one of the middle generation, which visits what has survived them. With the
# default of 10, each AuthZEN batch causes one of 1.2 ms; with this, four of 0.3 ms.
MIDDLE_COLLECTION_THRESHOLD = 2
# Collections of the middle generation before a full one. With the default of 10, batches of decisions cause several
# full collections each second, of 12 ms each; with this, one in ten seconds. In between, garbage in reference cycles
# stays for at most 700,000 allocations.
FULL_COLLECTION_THRESHOLD = 250
_M_ARENA_MAX = -8  # of malloc.h
_STEP = 1000  # items per sort, which takes a millisecond

_Item = TypeVar("_Item")
_lock = threading.Lock()
_pauses = 0
_usual_switch = sys.getswitchinterval()


@contextmanager
def long_lived_build() -> Iterator[None]:
    """Pause collection while a large, long-lived object is built, and freeze it. Threads may build concurrently."""
    if gc.isenabled():
        gc.collect(1)  # young garbage would be frozen too
    with paused_gc():
        try:
            yield
        finally:
            gc.freeze()


@contextmanager
def paused_gc() -> Iterator[None]:
    """Work on large temporary data without the garbage collector, and with a shorter thread switch interval."""
    global _pauses  # noqa: PLW0603  # the collector is global, too
    with _lock:
        _pauses += 1
        if _pauses == 1:
            gc.disable()
            sys.setswitchinterval(SWITCH_SECONDS)
    try:
        yield
    finally:
        with _lock:
            _pauses -= 1
            if _pauses == 0:
                gc.enable()
                sys.setswitchinterval(_usual_switch)


def sorted_in_steps(items: Iterable[_Item], key: Callable[[_Item], Any]) -> Iterator[_Item]:
    """Sort items by a key in steps, since one sort of all items would block every other thread."""
    unsorted = list(items)
    steps = (unsorted[start : start + _STEP] for start in range(0, len(unsorted), _STEP))
    return heapq.merge(*(sorted(step, key=key) for step in steps), key=key)


def natural_order(item: _Item) -> _Item:
    """Return the item: the key that sorts items by their own order."""
    return item


def shorten_collections() -> None:
    """Make collections short and full ones rare: each stops all threads while it visits what requests have created."""
    gc.set_threshold(gc.get_threshold()[0], MIDDLE_COLLECTION_THRESHOLD, FULL_COLLECTION_THRESHOLD)


def use_one_heap() -> None:
    """Make all threads allocate from one heap; call it before they start.

    Otherwise the C library gives each thread its own heap, and no thread can reuse memory that another has freed.
    """
    _glibc("mallopt", _M_ARENA_MAX, 1)


def release_memory() -> None:
    """Return freed memory to the system, which the C library would keep otherwise."""
    _glibc("malloc_trim", 0)


def _glibc(function: str, *arguments: int) -> None:
    """Call a function of the GNU C library; do nothing on other systems."""
    import ctypes  # noqa: PLC0415  # only servers need it, not every command

    found = getattr(ctypes.CDLL(None), function, None) if sys.platform == "linux" else None
    if found is not None:
        found(*arguments)
