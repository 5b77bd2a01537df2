"""The cache of AuthZEN subjects and targets: only resolutions that depend on nothing but the policy."""

from __future__ import annotations

import pytest

from app.http.api.authzen.evaluate import Evaluator
from app.http.api.authzen.recent import MAX_BODY_BYTES, MAX_ENTRIES, MAX_LENGTH, MAX_PERMISSIONS, Recent
from app.http.api.authzen.wire import NOTHING, AccessQuestion, RequestedAction, RequestedEntity
from app.policy.engine.decision import Decision
from app.policy.engine.resolved_subject import NoSuchSubject, resolve_subject
from app.policy.engine.target import NoSuchTarget
from tests.policy.small import snapshot

POLICY = "p, c:read, /x/{id}, GET, allow"


def test_a_repeated_subject_has_the_cached_principal() -> None:
    recent, policy = Recent(), snapshot(POLICY)
    first = recent.subject(policy, "user", "alice", NOTHING)
    assert first is not None
    assert first[0] == resolve_subject("user", "alice", NOTHING, {})
    assert recent.subject(policy, "user", "alice", NOTHING) is first
    for kind, identity in (("user", "bob"), ("identity", "alice"), ("robot", "alice")):
        other = recent.subject(policy, kind, identity, NOTHING)
        assert other is not None
        assert other[0] == resolve_subject(kind, identity, NOTHING, {})
        assert other is not first


def test_resolutions_that_depend_on_more_than_the_policy_are_not_cached() -> None:
    recent, policy = Recent(), snapshot(POLICY)
    assert recent.subject(policy, "key", "1", NOTHING) is None
    for kind in ("key", "app", "token"):
        assert recent.subject(policy, kind, "1", {"permissions": ["c:read"]}) is None
    for sent in (
        {"permissions": ["c:read"], "level": 1},
        {"level": 1},
        {"permissions": "c:read"},
        {"permissions": ["c:read", 1]},
        {"permissions": ["c:read", True]},
        {"permissions": ["c:read", None]},
        {"permissions": {"c:read": 1}},
        {"permissions": ["c:read"] * (MAX_PERMISSIONS + 1)},
    ):
        assert recent.subject(policy, "user", "alice", sent) is None, sent


def test_a_subject_with_permissions_alone_is_cached_with_them() -> None:
    recent, policy = Recent(), snapshot(POLICY)
    found = []
    for sent in (
        NOTHING,
        {"permissions": []},
        {"permissions": [""]},
        {"permissions": ["c:read"]},
        {"permissions": ["c:read", "d:read"]},
        {"permissions": ["d:read", "c:read"]},
        {"permissions": ["permissions"]},
        {"permissions": ["permissions", "c:read"]},
        {"permissions": ["c:read d:read"]},
        {"permissions": ["user:bob", "role:editor"]},
    ):
        for kind, identity in (("user", "alice"), ("user", "permissions"), ("robot", "alice")):
            subject = recent.subject(policy, kind, identity, sent)
            assert subject is not None
            assert subject[0] == resolve_subject(kind, identity, sent, {})
            assert subject[0].properties == sent
            assert recent.subject(policy, kind, identity, dict(sent)) is subject
            found.append(subject)
    assert len(set(map(id, found))) == len(found)


def test_a_subject_with_long_permissions_is_not_cached() -> None:
    recent, policy = Recent(), snapshot(POLICY)
    sent = {"permissions": ["a" * MAX_LENGTH]}
    first = recent.subject(policy, "user", "alice", sent)
    assert first is not None
    assert recent.subject(policy, "user", "alice", sent) is not first


def test_refusals_are_not_cached() -> None:
    recent, policy = Recent(), snapshot(POLICY)
    for _ in range(2):
        with pytest.raises(NoSuchSubject):
            recent.subject(policy, "user", "", NOTHING)
        with pytest.raises(NoSuchTarget):
            recent.target(policy, "GET", "route", "/z")


def test_another_policy_has_its_own_cache() -> None:
    recent = Recent()
    policies = [snapshot(POLICY), snapshot(POLICY)]
    subjects = [recent.subject(policy, "user", "alice", NOTHING) for policy in policies]
    targets = [recent.target(policy, "GET", "route", "/x/7") for policy in policies]
    assert subjects[0] == subjects[1]
    assert subjects[0] is not subjects[1]
    assert targets[0] == targets[1]
    assert targets[0] is not targets[1]
    assert recent.target(policies[1], "GET", "route", "/x/7") is targets[1]


def test_the_cache_is_bounded() -> None:
    recent, policy = Recent(), snapshot(POLICY)
    long = "a" * MAX_LENGTH
    assert recent.subject(policy, "user", long, NOTHING) is not recent.subject(policy, "user", long, NOTHING)
    first = recent.subject(policy, "user", "0", NOTHING)
    for number in range(1, MAX_ENTRIES + 1):
        recent.subject(policy, "user", str(number), NOTHING)
    assert recent.subject(policy, "user", "0", NOTHING) is not first


def test_questions_are_cached_by_their_whole_text_under_one_policy() -> None:
    recent, policy, other = Recent(), snapshot(POLICY), snapshot(POLICY)
    subject, target = ("user", "alice", NOTHING), ("GET", "route", "/x/7")
    assert recent.question(policy, b"a") is None
    recent.add_question(policy, b"a", subject, target)
    resolved = recent.subject(policy, *subject)
    assert resolved is not None
    assert recent.question(policy, b"a") == (resolved[1], "/x/{id}", "GET")
    assert recent.question(policy, b"a ") is None
    for kind in ("key", "app", "token"):
        recent.add_question(policy, b"b", (kind, "1", NOTHING), target)
    recent.add_question(policy, b"b", ("user", "alice", {"level": 1}), target)
    recent.add_question(policy, b"b" * (MAX_BODY_BYTES + 1), subject, target)
    assert recent.question(policy, b"b") is None
    assert recent.question(policy, b"b" * (MAX_BODY_BYTES + 1)) is None
    for number in range(MAX_ENTRIES - 1):
        recent.add_question(policy, b"%d" % number, subject, target)
    assert recent.question(policy, b"a") is not None
    recent.add_question(policy, b"c", subject, target)
    assert recent.question(policy, b"a") is None
    assert recent.question(policy, b"c") is not None
    assert recent.question(other, b"c") is None


@pytest.mark.parametrize(("permissions", "is_cached"), [(1, True), (50, True), (51, False)])
def test_a_subject_with_up_to_50_permissions_is_cached(permissions: int, is_cached: bool) -> None:
    sent = {"permissions": [str(number) for number in range(permissions)]}
    assert (Recent().subject(snapshot(POLICY), "user", "alice", sent) is not None) is is_cached


@pytest.mark.parametrize(("size", "is_cached"), [(1, True), (512, True), (513, False)])
def test_a_question_of_up_to_512_bytes_is_cached(size: int, is_cached: bool) -> None:
    recent, policy, body = Recent(), snapshot(POLICY), b"a" * size
    recent.add_question(policy, body, ("user", "alice", NOTHING), ("GET", "route", "/x/7"))
    assert (recent.question(policy, body) is not None) is is_cached


def test_a_cached_subject_is_not_resolved_again(monkeypatch: pytest.MonkeyPatch) -> None:
    recent, policy = Recent(), snapshot(POLICY)
    sent = {"permissions": ["c:read"]}
    recent.subject(policy, "user", "alice", sent)

    def resolve(*_: object) -> None:
        raise AssertionError("resolved")

    for module in ("evaluate", "recent"):
        monkeypatch.setattr(f"app.http.api.authzen.{module}.resolve_subject", resolve)
    question = AccessQuestion(
        RequestedEntity("user", sent, "alice"), RequestedAction("GET"), RequestedEntity("route", id="/x/7")
    )
    found = Evaluator(policy, recent=recent).evaluate(question)
    assert isinstance(found, Decision)
    assert found.allowed
