"""Building beside requests: the collector rests meanwhile, is awake afterwards, and nothing is left for it to find."""

from __future__ import annotations

import gc
import sys
import threading

import pytest

from app.policy.aside import SWITCH_SECONDS, aside
from app.policy.check import check
from app.policy.diff import changes
from app.policy.snapshot import Snapshot
from tests.policy.shipped import policy_of, routes, shipped_files


def test_the_collector_rests_until_the_last_of_those_who_build_is_done() -> None:
    usual = sys.getswitchinterval()
    inside, done = threading.Event(), threading.Event()

    def other() -> None:
        with aside():
            inside.set()
            done.wait(10)

    thread = threading.Thread(target=other)
    with aside():
        thread.start()
        inside.wait(10)
        assert not gc.isenabled()
        assert sys.getswitchinterval() == pytest.approx(SWITCH_SECONDS)
    assert not gc.isenabled()
    done.set()
    thread.join()
    assert gc.isenabled()
    assert sys.getswitchinterval() == pytest.approx(usual)


def test_the_collector_is_awake_after_a_fault() -> None:
    with pytest.raises(ValueError, match="a fault"), aside():
        raise ValueError("a fault")
    assert gc.isenabled()


def test_a_policy_that_is_loaded_checked_and_compared_leaves_no_cycle_when_it_goes() -> None:
    active = policy_of(shipped_files())
    files = dict(shipped_files())
    files["catalog.csv"] = files["catalog.csv"].replace(b"# end", b"# another\n# end")
    table = routes()
    gc.unfreeze()
    gc.collect()
    gc.disable()
    try:
        other: Snapshot | None = Snapshot(policy_of(files), table)
        assert other
        assert check(other) == []
        assert changes(active, other.policy) == ()
        other = None
        gc.unfreeze()
        assert gc.collect() == 0
    finally:
        gc.enable()
