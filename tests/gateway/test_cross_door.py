"""The same verdict at every door, for a sample of the endpoints and every kind of caller."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.issuer import LiveIssuer
from tests.support.trials.doors import DoorTrial, open_trial

# The slow answer for test_silent.py arrives during these tests.
pytestmark = pytest.mark.usefixtures("hanging")
ROUTES = 14  # of each caller; scripts/trials/doors.py compares all


@pytest.fixture(scope="module")
def trial(issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DoorTrial]:
    """Gateways in front of a service with the routes of the application."""
    with ExitStack() as stack:
        yield open_trial(stack, tmp_path_factory.mktemp("cross"), issuer)


def test_every_caller_gets_the_same_verdict_at_every_door(trial: DoorTrial) -> None:
    assert [fault for caller in trial.callers for fault in trial.differences(caller, routes=ROUTES)] == []
