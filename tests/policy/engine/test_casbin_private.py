"""The private hook of Casbin still means what `casbin_private` takes it for."""

from __future__ import annotations

import casbin
import pytest
from casbin.model import FastModel

from app.policy.engine.casbin_private import CompiledMatcherEnforcer, compile_matcher

MODEL = """
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.sub == p.sub && r.obj == p.obj && r.act == p.act
"""
KEYS = [1, 2]  # obj and act


def new_model() -> FastModel:
    model = FastModel(KEYS)
    model.load_model_from_text(MODEL)
    model.model["p"]["p"].policy.append(["alice", "book", "read"])
    return model


def enforcer(matcher: str) -> CompiledMatcherEnforcer:
    enforcer = CompiledMatcherEnforcer(new_model(), cache_key_order=KEYS)
    enforcer.matcher = compile_matcher(matcher, "model.conf")
    return enforcer


@pytest.mark.parametrize(("matcher", "is_allowed"), [("True", True), ("False", False), ("r_sub != p_sub", True)])
def test_casbin_evaluates_the_compiled_matcher_and_not_that_of_the_model(matcher: str, is_allowed: bool) -> None:
    assert enforcer(matcher).enforce("bob", "book", "read") is is_allowed


@pytest.mark.parametrize("request_", [("alice", "book", "read"), ("bob", "book", "read"), ("alice", "book", "write")])
def test_a_matcher_compiled_from_the_model_gives_the_verdict_of_casbin(request_: tuple[str, ...]) -> None:
    compiled = enforcer(new_model().model["m"]["m"].value).enforce(*request_)
    assert compiled is casbin.FastEnforcer(new_model(), cache_key_order=KEYS).enforce(*request_)
    assert compiled is (request_ == ("alice", "book", "read"))


def test_a_matcher_calls_the_functions_of_the_enforcer_and_no_builtin() -> None:
    known = enforcer("is_known(r_sub)")
    known.add_function("is_known", lambda subject: subject == "bob")
    assert known.enforce("bob", "book", "read") is True
    assert known.enforce("alice", "book", "read") is False
    with pytest.raises(NameError):
        enforcer("len(r_sub)").enforce("alice", "book", "read")
