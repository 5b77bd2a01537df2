"""One decision, as the log keeps it: who, what, why and under which policy, and nothing that opens a door."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from app.audit.sanitize import clean, without_secrets
from app.identity.principal import OWNER_GRANT, Method, Principal
from app.policy.engine.decision import Decision
from app.policy.language.rule import Rule

MAX_TEXT = 512  # characters of what a caller names
MAX_GRANTS = 16_384  # characters of a grant set; a larger one is not kept


@dataclass(frozen=True, slots=True)
class Unverified:
    """What stands in for a decision when the caller could not be known.

    `reason` is the public detail of the refusal, with its cause in brackets where the detail alone does not tell it.
    Never true, as a decision that denies. `revision` is the policy that would have decided.
    """

    reason: str
    revision: str

    def __bool__(self) -> bool:
        return False


# In a grant set these stand for the fact that a user or key states of itself alone: all else is alike for many.
_OWN_USER, _OWN_KEY, _OWNER = "user:", "key:", f"{OWNER_GRANT}user:"


@dataclass(frozen=True, slots=True)
class StatedGrants:
    """What principals stated, before roles: a JSON list, sorted. Those with the same have the same digest."""

    digest: bytes
    text: str

    def held_by(self, subject: str, key_id: int | None) -> frozenset[str]:
        """The grants, with the caller's own fact."""
        grants = set(json.loads(self.text))
        for stand_in, own in ((_OWN_USER, subject), (_OWN_KEY, str(key_id)), (_OWNER, subject)):
            if stand_in in grants:
                grants.remove(stand_in)
                grants.add(stand_in + own)
        return frozenset(grants)


class Record(NamedTuple):
    """A decision. `at` is in microseconds since 1970, UTC; `latency` in microseconds, until the verdict was known.

    `method` is how the caller was known; None, with an empty `subject`, when its credentials were bad. `grants` is
    None then too, and for a principal that states more than is kept. `resource` is a route template or a thing.
    """

    at: int
    latency: int
    request_id: str
    door: str
    subject: str
    method: Method | None
    key_id: int | None
    token_id: str | None
    action: str
    resource: str
    allowed: bool
    reason: str
    rule_place: str | None
    rule_text: str | None
    missing: tuple[str, ...]
    revision: str
    grants: StatedGrants | None

    @property
    def held(self) -> frozenset[str] | None:
        """What the caller stated, before roles; None where that is not kept."""
        return self.grants.held_by(self.subject, self.key_id) if self.grants else None

    @property
    def time(self) -> datetime:
        """When it was decided."""
        return datetime.fromtimestamp(self.at // 1_000_000, UTC).replace(microsecond=self.at % 1_000_000)


# All of a record but when it was made, how long that took, and for which request: mostly alike from one to the next.
About = tuple[object, ...]
OWN = 3  # fields of a Record that come before those of its About


def about_of(
    door: str, resource: str, action: str, principal: Principal | None, outcome: Decision | Unverified
) -> About:
    """What a record says of an outcome, whenever it was."""
    rule = outcome.rule if isinstance(outcome, Decision) else None
    subject = clean(principal.subject, MAX_TEXT) if principal else ""
    record = Record(
        at=0,
        latency=0,
        request_id="",
        door=door,
        subject=subject,
        method=principal.method if principal else None,
        key_id=principal.key_id if principal else None,
        token_id=clean(principal.token_id, MAX_TEXT) if principal and principal.token_id is not None else None,
        action=clean(action, MAX_TEXT),
        resource=clean(resource, MAX_TEXT),
        allowed=bool(outcome),
        reason=str(outcome.reason),
        rule_place=rule.place if rule else None,
        rule_text=_text_of(rule) if rule else None,
        missing=outcome.missing if isinstance(outcome, Decision) else (),
        revision=outcome.revision,
        grants=grant_set(_shared(principal.held, subject, principal.key_id)) if principal else None,
    )
    return record[OWN:]


def _shared(held: frozenset[str], subject: str, key_id: int | None) -> frozenset[str]:
    """The grants, with stand-ins for what names the caller."""
    for stand_in, own in ((_OWN_USER, subject), (_OWN_KEY, str(key_id)), (_OWNER, subject)):
        # One whose name is not kept as it is states what the log cannot tell.
        if stand_in + own in held:
            held = (held - {stand_in + own}) | {stand_in}
    return held


@lru_cache(maxsize=2_000)
def grant_set(held: frozenset[str]) -> StatedGrants | None:
    """The grants as they are kept; None when they are too many for that."""
    # As JSON, for a string that a token states may have any character, a space included.
    text = without_secrets(json.dumps(sorted(held), separators=(",", ":")))
    return StatedGrants(hashlib.sha256(text.encode()).digest(), text) if len(text) <= MAX_GRANTS else None


_text_of = lru_cache(maxsize=4_000)(Rule.__str__)
