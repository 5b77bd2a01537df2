"""The time slices of a server's threads."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, os, platform, struct, threading
from app.cli.server.thread_slices import use_short_slices
{before}
print(use_short_slices())

def attributes():
    read = ctypes.create_string_buffer(48)
    number = {{"x86_64": 315, "aarch64": 275}}[platform.machine()]
    assert ctypes.CDLL(None).syscall(number, 0, read, 48, 0) == 0
    _, policy, _, nice, _, runtime, *_ = struct.unpack("=IIQiIQQQ", read)
    print(policy, nice, runtime)

thread = threading.Thread(target=attributes)
thread.start()
thread.join()
"""

# Filters sched_setattr(2) from now on, by seccomp(2): `{action}` is what the kernel does when it is called.
FILTER = """
import ctypes, struct
calls = struct.pack("=" + "HBBI" * 4, 0x20, 0, 0, 0, 0x15, 0, 1, {number}, 6, 0, 0, {action}, 6, 0, 0, 0x7fff0000)
filter = ctypes.create_string_buffer(calls)
program = ctypes.create_string_buffer(struct.pack("=HxxxxxxQ", 4, ctypes.addressof(filter)))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, program, 0, 0) == 0
"""
KILL_PROCESS, KILL_THREAD, REFUSE, ALLOW = "0x80000000", "0", "0x00050001", "0x7fff0000"


def _printed(before: str) -> list[str]:
    program = PROGRAM.format(before=before)
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()


def test_threads_that_start_later_have_a_short_slice_and_their_priority_stays() -> None:
    accepted, policy, nice, runtime = _printed("os.setpriority(os.PRIO_PROCESS, 0, 19)")
    assert (accepted, policy, nice) == ("True", str(os.SCHED_OTHER), "19")
    kernel = tuple(int(part) for part in os.uname().release.split(".")[:2])
    assert kernel < (6, 12) or runtime == "100000"


@pytest.mark.parametrize("policy", ["SCHED_BATCH", "SCHED_IDLE"])
def test_a_scheduling_policy_that_was_chosen_stays(policy: str) -> None:
    accepted, kept, *_ = _printed(f"os.sched_setscheduler(0, os.{policy}, os.sched_param(0))")
    assert (accepted, kept) == ("False", str(getattr(os, policy)))


@pytest.mark.parametrize(
    ("action", "accepted"),
    [(KILL_PROCESS, "False"), (KILL_THREAD, "False"), (REFUSE, "False"), (ALLOW, "True")],
    ids=["kill the process", "kill the thread", "refuse", "allow"],
)
def test_a_process_lives_on_under_a_filter_of_system_calls(action: str, accepted: str) -> None:
    number = {"x86_64": 314, "aarch64": 274}[os.uname().machine]
    first, policy, *_ = _printed(FILTER.format(number=number, action=action))
    assert (first, policy) == (accepted, str(os.SCHED_OTHER))
