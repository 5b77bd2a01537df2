"""New keys, and what is stored of them."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta

import pytest

from app.identity.api_keys import KeyRecord, digest, mint, principal_of
from app.identity.organization import Organization
from app.identity.token_format import ENVIRONMENTS, current

NOW = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)


def test_there_are_two_environments() -> None:
    assert ENVIRONMENTS == ("live", "test")


@pytest.mark.parametrize("environment", ["live", "test"])
def test_a_new_key_is_random_and_stored_as_prefix_and_digest(environment: str) -> None:
    keys = [mint(environment) for _ in range(20)]
    assert len({key.plaintext for key in keys}) == 20
    for key in keys:
        assert re.fullmatch(f"grd_{environment}_[0-9a-f]{{48}}", key.plaintext), "192 random bits"
        assert current().key.fullmatch(key.plaintext)
        assert key.environment == environment
        assert key.prefix == key.plaintext[: len("grd_live_") + 8]
        assert key.digest == digest(key.plaintext) == hashlib.sha256(key.plaintext.encode()).digest()
        assert key.plaintext not in repr(key)
        assert repr(key.digest) not in repr(key)


@pytest.mark.parametrize("environment", ["", "prod", "LIVE", "live_"])
def test_there_is_no_key_for_another_environment(environment: str) -> None:
    with pytest.raises(ValueError, match=f"one of live, test, not '{environment}'"):
        mint(environment)


def test_a_record_becomes_the_principal_that_it_describes() -> None:
    record = KeyRecord(7, "owner", "test", frozenset({"a:read", "b:read"}), b"d" * 32, NOW, None, frozenset({"a:read"}))
    found = principal_of(record)
    assert (found.subject, found.key_id, found.environment, found.expires_at) == ("owner", 7, "test", NOW)
    assert {"a:read", "scope::b:read", "owner::user:owner", "owner::a:read"} <= found.held
    assert "b:read" not in found.held
    assert "d" * 32 not in repr(record)


def test_the_record_of_an_organization_becomes_its_principal() -> None:
    scopes, stated = frozenset({"a:read", "b:read"}), frozenset({"a:read", "org-role:admin"})
    record = KeyRecord(
        7, "org:acme", "test", scopes, b"d" * 32, NOW, None, organization="acme", membership_grants=stated
    )
    found = principal_of(record)
    assert (found.subject, found.key_id, found.environment, found.expires_at) == ("org:acme", 7, "test", NOW)
    assert (found.organization, found.method) == (Organization("acme"), "api_key")
    assert {"a:read", "scope::b:read", "org:acme", "owner::org:acme", "owner::org-role:admin"} <= found.held


@pytest.mark.parametrize("ends", [None, NOW, NOW + timedelta(days=1)])
def test_a_record_ends_at_a_time_with_a_zone_or_never(ends: datetime | None) -> None:
    assert KeyRecord(7, "owner", "test", frozenset(), b"", ends, None).expires_at == ends
