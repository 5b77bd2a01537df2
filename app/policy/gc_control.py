"""Builds beside requests without stopping them.

A policy of many rows is a million small objects. The collector of garbage would walk all of them in one go, with
everybody waiting: so it rests while a policy is built, and what was built is then kept out of its sight. A policy has
no cycles, so that it is freed by its reference count. Nor may there be any in what is done meanwhile.
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
_M_ARENA_MAX = -8  # of malloc.h
_STEP = 1000  # items sorted in one go, which takes a millisecond

_Item = TypeVar("_Item")
_lock = threading.Lock()
_at_rest = 0
_usual_switch = sys.getswitchinterval()


@contextmanager
def long_lived_build() -> Iterator[None]:
    """Build in here what is large and lives long; several may do so at once, in threads of their own."""
    if gc.isenabled():
        gc.collect(1)  # of what is young: else it would be kept out of sight with the rest
    with paused_gc():
        try:
            yield
        finally:
            gc.freeze()


@contextmanager
def paused_gc() -> Iterator[None]:
    """Work on large temporary data without the garbage collector, and with a shorter thread switch interval."""
    global _at_rest  # noqa: PLW0603  # the collector is one for the process, too
    with _lock:
        _at_rest += 1
        if _at_rest == 1:
            gc.disable()
            sys.setswitchinterval(SWITCH_SECONDS)
    try:
        yield
    finally:
        with _lock:
            _at_rest -= 1
            if _at_rest == 0:
                gc.enable()
                sys.setswitchinterval(_usual_switch)


def sorted_in_steps(items: Iterable[_Item], key: Callable[[_Item], Any]) -> Iterator[_Item]:
    """Items sorted by a key, in steps: one sort of them all would block every other thread."""
    unsorted = list(items)
    steps = (unsorted[start : start + _STEP] for start in range(0, len(unsorted), _STEP))
    return heapq.merge(*(sorted(step, key=key) for step in steps), key=key)


def itself(item: _Item) -> _Item:
    """The key of items that are sorted as they are."""
    return item


def use_one_heap() -> None:
    """Have all threads take memory from one heap, before there are any.

    The C library would give each its own, where what one has freed is no room for another.
    """
    _glibc("mallopt", _M_ARENA_MAX, 1)


def release_memory() -> None:
    """Give the system the memory that was freed, which the C library would keep for later."""
    _glibc("malloc_trim", 0)


def _glibc(function: str, *arguments: int) -> None:
    """Call what only that C library has."""
    import ctypes  # noqa: PLC0415  # for a server alone, and not for each command

    found = getattr(ctypes.CDLL(None), function, None) if sys.platform == "linux" else None
    if found is not None:
        found(*arguments)
