"""The limits that pages state without a test at each of them are those of the program."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.db import console_sessions
from app.http.door.budgets import FIXED_BUDGETS
from app.oauth import document_clients, document_fetch, dynamic_clients, lifetimes, names, redirects, registry
from app.oauth.clients import MAX_ID_CHARACTERS
from tests.support.server import ROOT

APPS, LIMITS = ("scripts/clients/apps.md", "scripts/deploy/limits.md")
HALF_HOUR, DAY = timedelta(minutes=30), timedelta(days=1)


@pytest.mark.parametrize(
    ("page", "sentence", "numbers"),
    [
        (APPS, "A name has at most {} printable characters", [names.MAX_CHARACTERS]),
        (APPS, "of which it has at most {}:", [redirects.MAX_REDIRECTS]),
        (APPS, "up to {} days |", [registry.MAX_OVERLAP_SECONDS // 86_400]),
        (APPS, "with a path, of at most {} characters", [MAX_ID_CHARACTERS]),
        (
            APPS,
            "within {:g} seconds, up to {:g} KB ({:g} KB with the head of the answer)",
            [document_fetch.SECONDS, document_fetch.MAX_BYTES / 1024, document_fetch.MAX_RECEIVED / 1024],
        ),
        (APPS, "between {:g} minutes and a day", [document_fetch.MIN_AGE_SECONDS / 60]),
        (LIMITS, "or pushed ones | client address | none: {} |", [FIXED_BUDGETS["authorizations"]]),
        (LIMITS, "or to revoke one | client address | none: {} |", [FIXED_BUDGETS["tokens"]]),
        (LIMITS, "wrong secrets of an app in a minute | app | none: {} |", [FIXED_BUDGETS["client_secrets"]]),
        (LIMITS, "`AUTHZ_APP_REGISTRATION` is set | client address | none: {} |", [FIXED_BUDGETS["registrations"]]),
        (LIMITS, "in a minute that fail | client address | none: {} |", [FIXED_BUDGETS["sign_ins"]]),
        (LIMITS, "| user | none: {}, two at once |", [document_clients.FETCHES_PER_MINUTE]),
        (LIMITS, "{:,} requests of apps may wait for their user", [lifetimes.OPEN_REQUESTS]),
        (LIMITS, "and {:,} apps may have registered themselves", [dynamic_clients.MAX_UNUSED]),
        (LIMITS, "A user has at most {:,} sessions of the console", [console_sessions.MAX_OF_USER]),
    ],
)  # fmt: skip
def test_a_page_states_a_limit(page: str, sentence: str, numbers: list[float]) -> None:
    text = " ".join((ROOT / page).read_text().split())
    assert sentence.format(*numbers) in text


def test_limits_that_pages_state_in_words() -> None:
    assert (lifetimes.REQUEST, dynamic_clients.UNUSED) == (HALF_HOUR, DAY)
    assert (registry.OVERLAP_SECONDS, document_fetch.MAX_AGE_SECONDS) == (86_400, 86_400)
    assert (document_clients.SLOW_FETCHES, document_clients.MAX_FETCHES_OF_USER) == (5, 2)
