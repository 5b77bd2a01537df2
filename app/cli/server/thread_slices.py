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

_SLICE_NANOSECONDS = 100_000  # the minimum
_THIS_THREAD, _NO_FLAGS = 0, 0
# `struct sched_attr`: size, policy, flags, nice, priority, runtime, deadline, period.
_ATTRIBUTES = "=IIQiIQQQ"
# Of sched_setattr(2), since most versions of the C library have no function for it.
_CALLS = {"x86_64": 314, "aarch64": 274}


def use_short_slices() -> bool:
    """Set the slice of this thread and of those it starts from now on, and return whether the system accepts it.

    Linux before 6.12 accepts and ignores it. A scheduling policy that was chosen for the process is kept.
    """
    number = _CALLS.get(platform.machine()) if sys.platform == "linux" else None
    if number is None or os.sched_getscheduler(_THIS_THREAD) != os.SCHED_OTHER:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, _THIS_THREAD)
    size = struct.calcsize(_ATTRIBUTES)
    attributes = struct.pack(_ATTRIBUTES, size, os.SCHED_OTHER, _NO_FLAGS, nice, 0, _SLICE_NANOSECONDS, 0, 0)
    result: int = ctypes.CDLL(None).syscall(ctypes.c_long(number), _THIS_THREAD, attributes, _NO_FLAGS)
    return result == 0
