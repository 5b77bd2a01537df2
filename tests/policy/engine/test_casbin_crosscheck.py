"""The Casbin cross-check of each policy before it is active: a policy with a mismatch is refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.policy.engine import casbin_crosscheck
from app.policy.engine.live import build
from app.policy.engine.rule_index import Index
from app.policy.language import model
from app.policy.language.fault import PolicyRefused
from app.policy.language.rule import Rule, RuleTerms
from tests.policy.shipped import policy_of, routes, shipped_files

KEY = ("/api/v1/teams", "GET")


def _terms(needs: frozenset[str], effect: str) -> RuleTerms:
    return RuleTerms("a.csv", needs, (KEY[1],), "deny" if effect == "deny" else "allow")


def _rules(*effects: str) -> Index:
    return {
        KEY: tuple(
            Rule(_terms(frozenset({f"a{line}:read"}), effect), KEY[0], line) for line, effect in enumerate(effects, 1)
        )
    }


@pytest.fixture
def lenient_casbin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Casbin whose model lets an allow beat a deny."""
    lenient = model.TEXT.replace(" && !some(where (p.eft == deny))", "")
    assert lenient != model.TEXT
    routes()  # built once from the shipped files with the shipped model
    monkeypatch.setattr(model, "TEXT", lenient)
    yield


@pytest.mark.parametrize("effects", [("allow",), ("deny",), ("allow", "deny"), ("deny", "allow", "allow", "deny")])
def test_casbin_agrees_on_every_combination_of_rules(effects: tuple[str, ...]) -> None:
    assert not list(casbin_crosscheck.mismatches(_rules(*effects)))


@pytest.mark.usefixtures("lenient_casbin")
def test_a_difference_in_what_a_deny_means_is_found() -> None:
    found = list(casbin_crosscheck.mismatches(_rules("allow", "deny")))
    assert KEY in {(mismatch.resource, mismatch.action) for mismatch in found}
    assert not any(mismatch.engine for mismatch in found)
    assert not list(casbin_crosscheck.mismatches(_rules("allow", "allow")))


def test_casbin_is_asked_once_about_the_same_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    verified = casbin_crosscheck.VerifiedRules()
    index = build(policy_of(shipped_files()), routes()).index
    assert not list(casbin_crosscheck.mismatches(index, verified))
    monkeypatch.setattr(casbin_crosscheck, "Enforcer", None)  # a question would raise TypeError
    assert not list(casbin_crosscheck.mismatches(index, verified))
    with pytest.raises(TypeError):
        list(casbin_crosscheck.mismatches({**index, **_rules("allow", "deny", "allow")}, verified))


@pytest.mark.usefixtures("lenient_casbin")
def test_a_mismatch_is_found_each_time() -> None:
    verified = casbin_crosscheck.VerifiedRules()
    first = list(casbin_crosscheck.mismatches(_rules("allow", "deny"), verified))
    assert first == list(casbin_crosscheck.mismatches(_rules("allow", "deny"), verified)) != []


@pytest.mark.usefixtures("lenient_casbin")
def test_a_policy_with_a_mismatch_is_refused() -> None:
    rows = b"p, auth:api_key, /api/v1/teams/**, GET, deny\n# end\n"
    files = {name: data for name, data in shipped_files().items() if not name.startswith("tests/")}
    files["more.csv"] = rows
    # The text of the file is compared with the model too, so it must be the lenient one here.
    files["model.conf"] = f"{model.TEXT}# end\n".encode()
    with pytest.raises(PolicyRefused) as refused:
        build(policy_of(files), routes())
    assert {fault.code for fault in refused.value.faults} == {"disputed"}, refused.value.faults
    assert "the engine denies" in refused.value.faults[0].message


class _Other:
    """A Casbin that records each question and always gives the same answer."""

    def __init__(self, answer: bool) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str, frozenset[str]]] = []

    def __call__(self, _: object) -> _Other:
        return self

    def allows(self, held: frozenset[str], resource: str, action: str, _: object) -> bool:
        self.asked.append((resource, action, held))
        return self.answer


@pytest.mark.parametrize(
    ("effects", "allowed"),
    [
        (("allow",), ["a1:read", "|0|"]),
        (("allow", "allow"), ["a1:read", "a1:read a2:read", "a2:read", "|0|", "|0| |1|", "|1|"]),
        (("deny", "allow"), ["a2:read", "|1|"]),
        (("deny",), []),
    ],
)
def test_each_set_of_held_rows_is_checked(
    monkeypatch: pytest.MonkeyPatch, effects: tuple[str, ...], allowed: list[str]
) -> None:
    denying = _Other(False)
    monkeypatch.setattr(casbin_crosscheck, "Enforcer", denying)
    found = list(casbin_crosscheck.mismatches(_rules(*effects)))
    assert sorted(" ".join(sorted(mismatch.held)) for mismatch in found) == allowed
    assert all(mismatch.engine for mismatch in found)
    assert all(str(mismatch).startswith("the engine allows ") for mismatch in found)
    allowing = _Other(True)
    monkeypatch.setattr(casbin_crosscheck, "Enforcer", allowing)
    denied = list(casbin_crosscheck.mismatches(_rules(*effects)))
    assert len(denied) + len(found) == len(allowing.asked) == len(denying.asked)
    assert not any(mismatch.engine for mismatch in denied)
    sets = {held for resource, _, held in allowing.asked if resource.startswith("|")}
    assert len(sets) == 2 ** len(effects)


def test_a_resource_with_very_many_rules_is_checked_by_a_sample() -> None:
    assert not list(casbin_crosscheck.mismatches(_rules(*["allow", "deny"] * 2_000)))


def test_the_shipped_policy_has_no_mismatch() -> None:
    assert not list(casbin_crosscheck.mismatches(build(policy_of(shipped_files()), routes()).index))
