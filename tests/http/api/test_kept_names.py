"""Questions whose names and grants never occur twice: what the caches keep of them is bounded in bytes."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from secrets import token_hex

import pytest

from app.audit.batch_builder import BatchBuilder
from app.audit.decision_class import AUTHZEN_DOOR
from app.audit.record import grant_set
from app.http.api.authzen.recent import Recent
from app.identity.principal import user_principal
from app.policy.engine.decision import Decision
from app.policy.engine.snapshot import Snapshot
from app.policy.language.reason import Reason
from tests.policy.small import snapshot

MEGABYTE = 1_000_000
DENIAL = Decision(False, Reason.NOT_HELD, "rev")
QUESTIONS = 1_500
TARGET = ("read", "doc", "1")


def _kept(fill: Callable[[], object]) -> int:
    """The bytes that are kept after a cache was filled."""
    gc.collect()
    tracemalloc.start()
    try:
        kept = fill()
        gc.collect()
        size = tracemalloc.get_traced_memory()[0]
        del kept
    finally:
        tracemalloc.stop()
    return size


@pytest.fixture
def policy() -> Snapshot:
    return snapshot("p, a:read, doc, read, allow")


@pytest.mark.parametrize("by_text", [False, True], ids=["subjects", "questions"])
def test_subjects_with_many_grants_are_cached_in_few_bytes(policy: Snapshot, *, by_text: bool) -> None:
    def fill() -> Recent:
        recent = Recent()
        for _ in range(QUESTIONS):
            subject = ("user", "u", {"permissions": [token_hex(2) for _ in range(49)]})
            if by_text:
                recent.add_question(policy, token_hex(200).encode(), subject, TARGET)
            else:
                recent.subject(policy, *subject)
        return recent

    assert _kept(fill) < 6 * MEGABYTE


@pytest.mark.parametrize(("grants", "length"), [(90, 8), (20, 500)])
def test_stored_forms_of_grants_are_cached_in_few_bytes(grants: int, length: int) -> None:
    def fill() -> None:
        for _ in range(300):
            grant_set(frozenset([token_hex(length // 2) for _ in range(grants)]))

    assert _kept(fill) < MEGABYTE // 2


def test_principals_with_few_long_grants_do_not_stay_in_the_builder_of_batches() -> None:
    def fill() -> BatchBuilder:
        builder = BatchBuilder()
        for number in range(300):
            person = user_principal(f"u{number}", [token_hex(4_000), token_hex(4_000)], {})
            builder.taken.append((0, 0, "", AUTHZEN_DOOR, "doc", "read", person, DENIAL, 1))
        while builder.taken:
            builder.fill(50)
        builder.start_batch()
        return builder

    assert _kept(fill) < 6 * MEGABYTE
