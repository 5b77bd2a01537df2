"""Loading a policy during requests: the garbage collector is disabled meanwhile, and no cycles are left."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections import Counter

import pytest

from app.policy.analysis import cells
from app.policy.analysis.findings import find
from app.policy.engine.checks import check
from app.policy.engine.snapshot import Snapshot, free_snapshots
from app.policy.gc_control import (
    SWITCH_SECONDS,
    long_lived_build,
    paused_gc,
    release_memory,
    shorten_collections,
    sorted_in_steps,
    use_one_heap,
)
from app.policy.language.diff import changes
from tests.policy.shipped import PERSON, policy_of, routes, shipped_files, snapshot_of


def test_the_collector_is_disabled_until_the_last_build_ends() -> None:
    usual = sys.getswitchinterval()
    inside, done = threading.Event(), threading.Event()

    def other() -> None:
        with long_lived_build():
            inside.set()
            done.wait(10)

    thread = threading.Thread(target=other)
    with long_lived_build():
        thread.start()
        inside.wait(10)
        assert not gc.isenabled()
        assert sys.getswitchinterval() == pytest.approx(SWITCH_SECONDS)
    assert not gc.isenabled()
    done.set()
    thread.join()
    assert gc.isenabled()
    assert sys.getswitchinterval() == pytest.approx(usual)


def test_the_collector_is_enabled_after_an_error() -> None:
    with pytest.raises(ValueError, match="a fault"), long_lived_build():
        raise ValueError("a fault")
    assert gc.isenabled()


def test_objects_created_while_the_collector_is_disabled_are_tracked() -> None:
    frozen = gc.get_freeze_count()
    with paused_gc():
        assert not gc.isenabled()
        with long_lived_build():
            assert not gc.isenabled()
        built = gc.get_freeze_count()
        collected_again = [[number] for number in range(100)]
    assert gc.isenabled()
    assert len(collected_again) == 100
    assert built > frozen
    assert gc.get_freeze_count() <= built


def test_a_discarded_policy_leaves_no_reference_cycle() -> None:
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


def test_a_replaced_policy_is_freed_and_keeps_deciding_for_its_users() -> None:
    kept, replaced = snapshot_of(shipped_files()), [snapshot_of(shipped_files())]
    gone = weakref.ref(replaced[0])
    assert replaced[0].decide(PERSON, "/api/v1/leagues", "GET") == kept.decide(PERSON, "/api/v1/leagues", "GET")
    free_snapshots(replaced)
    assert replaced == []
    assert gone() is None
    before = kept.decide(PERSON, "/api/v1/leagues", "GET")
    free_snapshots([kept])
    assert kept.decide(PERSON, "/api/v1/leagues", "GET") is before


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 5000])
def test_sorting_in_steps_equals_sorting(count: int) -> None:
    numbers = [number * 7919 % 5003 for number in range(count)]
    assert list(sorted_in_steps(numbers, int)) == sorted(numbers)


def test_the_memory_functions_of_the_c_library_are_used_if_present(monkeypatch: pytest.MonkeyPatch) -> None:
    """`mallopt(M_ARENA_MAX, 1)` and `malloc_trim(0)`, if the library has them."""
    calls: list[tuple[object, ...]] = []

    class Library:
        def __init__(self, name: None) -> None:
            assert name is None

        def mallopt(self, parameter: int, value: int) -> None:
            calls.append(("mallopt", parameter, value))

        def malloc_trim(self, pad: int) -> None:
            calls.append(("malloc_trim", pad))

    monkeypatch.setattr("ctypes.CDLL", Library)
    monkeypatch.setattr(sys, "platform", "linux")
    use_one_heap()
    release_memory()
    assert calls == [("mallopt", -8, 1), ("malloc_trim", 0)]
    monkeypatch.setattr(sys, "platform", "darwin")
    release_memory()
    assert len(calls) == 2


def test_collections_become_short_and_full_ones_rare() -> None:
    """With the same allocations, the middle generation is collected more often, and there is less of it each time."""
    before = gc.get_threshold()
    try:
        usual = _collections_of_lasting_objects()
        shorten_collections()
        short = _collections_of_lasting_objects()
    finally:
        gc.set_threshold(*before)
    assert usual[2] >= 5
    assert short[2] <= usual[2] // 5
    assert short[1] >= 2 * (usual[1] + usual[2])
    assert sum(short) == pytest.approx(sum(usual), rel=0.1)  # each begins with the young generation


def _collections_of_lasting_objects() -> list[int]:
    """The number of collections by generation while objects are created, of which many stay for a while."""
    gc.collect()
    started = [generation["collections"] for generation in gc.get_stats()]
    for _ in range(20):
        lasting = [[number] for number in range(50_000)]
        assert lasting
    return [generation["collections"] - was for generation, was in zip(gc.get_stats(), started, strict=True)]


def test_findings_leave_no_reference_cycle() -> None:
    snapshot = snapshot_of(shipped_files())
    gc.collect()
    with paused_gc():
        find(snapshot)
        left = Counter(type(item).__name__ for item in gc.get_objects() if type(item).__module__ == cells.__name__)
    assert not left


class Cyclic:
    """An object that only the garbage collector frees."""

    def __init__(self) -> None:
        self.own = self


@pytest.mark.parametrize(("generation", "is_freed"), [(0, True), (2, False)])
def test_a_build_frees_young_garbage_which_would_be_frozen_and_does_not_look_for_old(
    generation: int, *, is_freed: bool
) -> None:
    gc.disable()  # else it may become old
    try:
        cyclic = Cyclic()
        gc.collect(generation)  # what survives is of the next generation
        found = weakref.ref(cyclic)
        del cyclic
        gc.enable()
        with long_lived_build():
            assert (found() is None) is is_freed
    finally:
        gc.enable()
        gc.unfreeze()
    if not is_freed:
        gc.collect()
        assert found() is None
