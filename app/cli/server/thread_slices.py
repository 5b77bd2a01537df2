"""Short time slices for the threads of a server, from Linux.

On one core, a thread that wakes, such as the event loop or one that reads a socket of granian, waits until the running
thread has used up its slice of about 3 ms. With slices of 0.1 ms it runs at once. The share of the processor that the
process gets from other processes stays the same.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from pathlib import Path

_SLICE_NANOSECONDS = 100_000  # the minimum
_THIS_THREAD, _NO_FLAGS = 0, 0
# `struct sched_attr`: size, policy, flags, nice, priority, runtime, deadline, period.
_ATTRIBUTES = "=IIQiIQQQ"
# Of sched_setattr(2), since most versions of the C library have no function for it.
_CALLS = {"x86_64": 314, "aarch64": 274}
_PR_SET_DUMPABLE = 4


def use_short_slices() -> bool:
    """Set the slice of this thread and of those it starts from now on, and return whether the system accepts it.

    Linux before 6.12 accepts and ignores it. A scheduling policy that was chosen for the process is kept. Called before
    there are other threads, since it may fork.
    """
    number = _CALLS.get(platform.machine()) if sys.platform == "linux" else None
    if number is None or (_is_filtered() and not _survives(number)):
        return False
    try:
        return _set_slice(number)
    except OSError:
        return False


def _set_slice(number: int) -> bool:
    if os.sched_getscheduler(_THIS_THREAD) != os.SCHED_OTHER:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, _THIS_THREAD)
    size = struct.calcsize(_ATTRIBUTES)
    attributes = struct.pack(_ATTRIBUTES, size, os.SCHED_OTHER, _NO_FLAGS, nice, 0, _SLICE_NANOSECONDS, 0, 0)
    result: int = ctypes.CDLL(None).syscall(ctypes.c_long(number), _THIS_THREAD, attributes, _NO_FLAGS)
    return result == 0


def _is_filtered() -> bool:
    """Whether a filter of system calls applies to this process, by seccomp(2)."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return True
    return "\nSeccomp:\t0\n" not in status


def _survives(number: int) -> bool:
    """Whether a child process that makes the system calls ends by itself.

    A filter may kill the process that makes one instead of refusing it, as that of a unit of systemd does with
    `SystemCallFilter=~@resources`, and nothing else says whether it would.
    """
    child = os.fork()
    if child == 0:
        try:
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)  # to be killed without a core dump
            _set_slice(number)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFEXITED(status)
