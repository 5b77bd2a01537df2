"""Stored text of callers: no secrets, and no characters that break a table or a terminal."""

from __future__ import annotations

import pytest

from app.audit.batch import Batch
from app.audit.record import MAX_GRANTS, Record, Unverified, decision_key, grant_set, token_id_of
from app.audit.sanitize import clean, without_secrets, without_whole_secrets
from app.identity.principal import ANONYMOUS, Principal, key_principal, user_principal
from app.policy.engine.decision import Decision
from app.policy.language.reason import Reason

KEY = "grd_live_" + "0123456789abcdef" * 3
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ1c2VyXzEifQ.c2lnbmF0dXJl_-"


def record(subject: str = "user_a", resource: str = "/teams", request_id: str = "r", action: str = "GET") -> Record:
    who = user_principal(subject, [], {"jti": subject})
    batch = Batch()
    index = batch.key_index(decision_key("app", resource, action, who, Decision(False, Reason.UNRULED, "rev")))
    batch.add(1_700_000_000_123_456_789, 1_999, request_id, token_id_of(who), index)
    return next(batch.records())


DIGITS = KEY.removeprefix("grd_live_")


@pytest.mark.parametrize(
    "secret",
    [KEY, KEY.replace("live", "test"), JWT, KEY.upper(), KEY.title(), DIGITS, DIGITS.upper(), f"grd%5Flive%5F{DIGITS}"],
)
@pytest.mark.parametrize("around", ["{}", "record:{}", "a {} b", "x{}", "'{}'"])
def test_a_secret_is_redacted_in_every_field(secret: str, around: str) -> None:
    text = around.format(secret)
    kept = record(subject=text, resource=text, request_id=text, action=text)
    for field in (kept.key.subject, kept.key.resource, kept.request_id, kept.key.action, kept.token_id or ""):
        assert DIGITS[:12] not in field.lower()
        assert secret not in field
        assert "[secret]" in field
    grants = grant_set(frozenset({text, "catalog:read"}))
    assert grants is not None
    assert secret not in grants.text


def test_no_part_of_a_secret_remains_at_a_cut() -> None:
    for start in range(480, 520):
        assert "grd_live_0" not in clean("x" * start + KEY, 512)
        assert len(clean("x" * start + KEY, 512)) <= 512


@pytest.mark.parametrize("before", ["", JWT + " ", f"{KEY} " * 5], ids=["plain", "token", "keys"])
@pytest.mark.parametrize("filler", ["x", "-", "\x00", "\u200b0 "], ids=ascii)
def test_no_part_of_a_secret_remains_where_a_long_text_is_cut(before: str, filler: str) -> None:
    for length in (40, 512):
        for start in range(2 * length - 16, 2 * length + 64):
            text = before + (filler * start)[: start - len(before)] + "-" + DIGITS + "-" + "y" * 1_000
            cut = clean(text, length)
            assert DIGITS[:4] not in cut
            assert len(cut) <= length
            assert cut.endswith("…")


@pytest.mark.parametrize("part", [*JWT.split(".")[:2], JWT.rpartition(".")[0], JWT[:24]])
def test_a_part_of_a_token_is_redacted(part: str) -> None:
    for text in (part, f"at {part} it", f"/teams/{part}"):
        assert without_secrets(text) == text.replace(part, "[secret]")
        assert part not in record(subject=text, request_id=text).key.subject
        assert part not in record(request_id=text).request_id


def test_text_that_resembles_a_secret_is_kept() -> None:
    for text in ("grd_live_", "user_grd_live", "/api/v1/teams/{team_id}", "Eyjafjallajökull"):
        assert without_secrets(text) == text
    for digits in (16, 24, 32, 40, 47, 56, 64, 96, 128):  # revisions, request ids, traces, and digests
        text = ("0123456789abcdef" * 8)[:digits]
        assert without_secrets(text) == without_whole_secrets(text) == text
    text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 3f2504e0-4f89-11d3-9a0c-0305e82c3301"
    assert without_secrets(text) == without_whole_secrets(text) == text


@pytest.mark.parametrize("secret", [KEY, KEY.upper(), f"Grd_Live_{DIGITS}", DIGITS, DIGITS.upper(), JWT])
def test_the_admin_log_keeps_no_secret_but_the_public_prefix(secret: str) -> None:
    assert without_whole_secrets(f"key {secret}, {KEY[:17]}") == f"key [secret], {KEY[:17]}"


@pytest.mark.parametrize("text", ["a\x00b", "a\nb", "\ud800", "a\u202eb", "\x1b[31m", "\x7f"])
def test_characters_unfit_for_tables_or_terminals_are_escaped(text: str) -> None:
    kept = record(subject=text).key.subject
    assert kept.isprintable()
    assert kept.encode().decode() == kept
    assert kept != text


def test_long_text_is_cut_and_very_many_grants_are_not_stored() -> None:
    assert len(record(subject="x" * 100_000).key.subject) == 512
    assert grant_set(frozenset(f"permission:{number}" for number in range(MAX_GRANTS // 10))) is None


def test_a_grant_set_ignores_order_and_keeps_any_character() -> None:
    held = frozenset({"a b", "a", "b", 'q"', "\ud800", "\x00", "é"})
    first, second = grant_set(held), grant_set(frozenset(sorted(held, reverse=True)))
    assert first == second
    assert first is not None
    assert first.held_by("user_a", None) == held
    assert first.text.isascii()
    assert grant_set(frozenset({"a", "b"})) != grant_set(frozenset({"a b"}))


CALLERS = [
    user_principal("user_a", ["catalog:read", "a b"], {}),
    user_principal("user_b", ["catalog:read", "a b"], {}),
    user_principal("key:7", [], {}),
    user_principal("x" * 600, ["catalog:read"], {}),
    user_principal("a\nb", [], {}),
    user_principal("[secret]", [], {}),
    user_principal(KEY, [], {}),
    key_principal("user_a", 7, "live", ["catalog:read"]),
    key_principal("user_a", 8, "live", ["catalog:read"]),
    key_principal("user:user_a", 9, "test", []),
    ANONYMOUS,
    Principal("service:user", "anonymous", frozenset({"anyone", "catalog:read"})),
]


@pytest.mark.parametrize("caller", CALLERS, ids=range(len(CALLERS)))
def test_stored_grants_are_read_unchanged(caller: Principal) -> None:
    decision = Decision(False, Reason.UNRULED, "rev")
    kept = decision_key("app", "/teams", "GET", caller, decision)
    assert kept.held == frozenset(without_secrets(grant) for grant in caller.held)


def test_callers_with_equal_grants_share_a_set_and_keep_their_names() -> None:
    decision = Decision(False, Reason.UNRULED, "rev")
    made = [decision_key("app", "/teams", "GET", caller, decision) for caller in CALLERS]
    for first, second in (made[:2], made[7:9]):
        assert first.grants == second.grants
        assert first.held != second.held
    assert made[0].grants != made[7].grants


def test_older_sets_with_a_name_are_read_unchanged() -> None:
    for caller in CALLERS[:2] + CALLERS[7:9]:
        old = grant_set(caller.held)
        assert old
        assert old.held_by(caller.subject, caller.key_id) == caller.held


def test_times_are_in_microseconds_and_utc() -> None:
    kept = record()
    assert (kept.at, kept.latency) == (1_700_000_000_123_456, 1)
    assert kept.time.isoformat() == "2023-11-14T22:13:20.123456+00:00"


def test_an_unverified_caller_is_never_allowed() -> None:
    assert not Unverified("Invalid token.", "rev")
