"""PostgreSQL whose notifications do not arrive: listening connections that end, and none that are sent."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.history.replicas import ask, cut_off

# The functions of the triggers that notify.
_NOTIFYING = ("note_key_change", "note_app_change", "tell_of_policy")


@contextmanager
def without_listeners(url: str) -> Iterator[list[int]]:
    """Repeatedly end the connections on which replicas listen, at random moments; yield how many were ended."""
    stop = threading.Event()
    ended = [0]

    def end() -> None:
        while not stop.wait(random.uniform(0.05, 0.5)):
            ended[0] += cut_off(url)

    thread = threading.Thread(target=end)
    thread.start()
    try:
        yield ended
    finally:
        stop.set()
        thread.join()


@contextmanager
def without_notifications(url: str) -> Iterator[None]:
    """Suppress notifications of the database, so that replicas only poll."""
    definitions = [ask(url, f"SELECT pg_get_functiondef('{name}'::regproc)")[0][0] for name in _NOTIFYING]
    muted = [re.sub(r"PERFORM pg_notify\([^;]*;", "NULL;", definition) for definition in definitions]
    assert all(before != after for before, after in zip(definitions, muted, strict=True))
    ask(url, *muted)
    try:
        yield
    finally:
        ask(url, *definitions)
