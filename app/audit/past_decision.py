"""A decision of the past, asked once more of the policy that is active now."""

from __future__ import annotations

from app.audit.record import Record
from app.policy.analysis.explain import Explanation, explain
from app.policy.engine.snapshot import Snapshot
from app.policy.engine.target import NoSuchTarget
from app.policy.language.endpoint import endpoint_fault
from app.policy.language.given import Given


class CannotAsk(Exception):
    """The log does not keep what it takes to ask once more. The message says what is missing."""


def ask_again(record: Record, snapshot: Snapshot, given: Given) -> Explanation:
    """What this policy says to the same grants, action and resource. Raises CannotAsk.

    What a condition read then is not in the log: it is absent unless `given`.
    """
    if record.method is None:
        raise CannotAsk("the credentials were bad, so no policy was asked")
    held = record.held
    if held is None:
        raise CannotAsk("the caller held more grants than the log keeps")
    if endpoint_fault(record.action, record.resource):
        raise CannotAsk("no route was found then, so no policy was asked")
    known: dict[str, dict[str, object]] = {name: dict(fields) for name, fields in given.items()}
    if record.key_id is not None:
        known["subject"] = {"owner": record.subject, **known.get("subject", {})}
    try:
        return explain(snapshot, held, record.action, record.resource, known)
    except NoSuchTarget as error:
        raise CannotAsk(f"{error.message} any more") from None
