"""The number of cores that this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def available_cores(cgroups: Path = _CGROUPS, membership: Path = Path("/proc/self/cgroup")) -> int:
    """The cores of the processor affinity, or fewer where a control group limits their time; at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(cores, _limit(cgroups, membership))))


def _limit(cgroups: Path, membership: Path) -> float:
    """The lowest limit of the control group and its ancestors, in cores (`cpu.max` of cgroup v2)."""
    least = math.inf
    # Within a container the group's own directory is the root.
    group = cgroups / _own_group(membership)
    for directory in (group, *group.parents):
        if directory.is_relative_to(cgroups):
            least = min(least, _quota(directory))
    return least


def _own_group(membership: Path) -> str:
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return ""
    return next((line.removeprefix("0::").strip("/") for line in lines if line.startswith("0::")), "")


def _quota(directory: Path) -> float:
    try:
        quota, period = (directory / "cpu.max").read_text().split()
        return math.inf if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):  # no limit is set here
        return math.inf
