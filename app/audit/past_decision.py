"""Decides a logged request again, under the active policy."""

from __future__ import annotations

from app.audit.record import Record
from app.policy.analysis.explain import explain
from app.policy.analysis.explanation import Explanation
from app.policy.engine.snapshot import Snapshot
from app.policy.engine.target import NoSuchTarget
from app.policy.language.endpoint import endpoint_fault
from app.policy.language.given import Given


class CannotDecideAgain(Exception):
    """The log does not contain enough of the request. The message says what is missing."""


def decide_again(record: Record, snapshot: Snapshot, given: Given) -> Explanation:
    """Explain the decision of this policy on the same grants, action and resource. Raises CannotDecideAgain.

    Variables of conditions are not in the log: they are missing unless `given`.
    """
    key = record.key
    if key.method is None:
        raise CannotDecideAgain("the credentials were bad, so no policy decided it")
    held = key.held
    if held is None:
        raise CannotDecideAgain("the caller held more grants than the log keeps")
    if endpoint_fault(key.action, key.resource):
        raise CannotDecideAgain("the request matched no route, so no policy decided it")
    known: dict[str, dict[str, object]] = {name: dict(fields) for name, fields in given.items()}
    if key.key_id is not None:
        known["subject"] = {"owner": key.subject, **known.get("subject", {})}
    try:
        return explain(snapshot, held, key.action, key.resource, known)
    except NoSuchTarget as error:
        raise CannotDecideAgain(f"{error.message} now") from None
