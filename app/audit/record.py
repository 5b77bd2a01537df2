"""A decision in the log: who, what, why and under which policy, without anything that grants access."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from app.audit.sanitize import clean, without_secrets
from app.identity.org_facts import organization_in, organization_of_owner
from app.identity.principal import ON_BEHALF, OWNER_GRANT, Method, Principal
from app.policy.engine.decision import Decision
from app.policy.language.rule import Rule

MAX_TEXT = 512  # characters of a text that a caller chooses
MAX_GRANTS = 16_384  # characters of a grant set; a larger one is not stored
NOT_STORED: frozenset[str] = frozenset()  # in place of a larger one; no principal holds nothing
_MAX_CACHED_GRANTS = 25  # of a cached grant set
_MAX_CACHED_CHARACTERS = 1_000  # of them


@dataclass(frozen=True, slots=True)
class Unverified:
    """Takes the place of a decision when the caller cannot be verified; false, like a decision that denies.

    `reason` is the public detail of the refusal, followed by its cause in brackets if the detail does not state it.
    `revision` is that of the active policy.
    """

    reason: str
    revision: str

    def __bool__(self) -> bool:
        return False


# Placeholders in a grant set for the facts that name the caller, so that callers with the same grants share a set.
_USER, _KEY, _OWNER, _APP_USER = "user:", "key:", f"{OWNER_GRANT}user:", f"{ON_BEHALF}user:"


@dataclass(frozen=True, slots=True)
class StatedGrants:
    """The grants that principals stated, before roles: a sorted JSON list. Equal sets have equal digests."""

    digest: bytes
    text: str

    def held_by(self, subject: str, key_id: int | None) -> frozenset[str]:
        """The grants, with the facts that name this caller."""
        grants = set(json.loads(self.text))
        for placeholder, name in _names(subject, key_id):
            if placeholder in grants:
                grants.remove(placeholder)
                grants.add(placeholder + name)
        return frozenset(grants)


class DecisionKey(NamedTuple):
    """The fields that a decision shares with many others: those that do not differ by request or token.

    `method` is how the caller was verified; None, with an empty `subject`, if its credentials were bad. `key_id` is
    that of an API key, `client_id` that of an app on behalf of the subject, `impersonator` who acts as the subject.
    `grants` is None for bad credentials, and for a grant set that is too large to store. `resource` is a route
    template, or `type:id`.
    """

    door: str
    subject: str
    method: Method | None
    key_id: int | None
    action: str
    resource: str
    allowed: bool
    reason: str
    rule_place: str | None
    rule_text: str | None
    missing: tuple[str, ...]
    revision: str
    grants: StatedGrants | None
    client_id: str | None = None
    impersonator: str | None = None

    @property
    def held(self) -> frozenset[str] | None:
        """The grants that the caller stated, before roles; None if they are not stored."""
        return self.grants.held_by(self.subject, self.key_id) if self.grants else None

    @property
    def organization(self) -> str | None:
        """The id of the organization of the caller, or of the user of an app; None without one.

        It is among the grants. Where these are too large to store, only that of a key of an organization is known.
        """
        if self.grants:
            return organization_in(self.grants.text)
        return None if self.key_id is None else organization_of_owner(self.subject)


class Record(NamedTuple):
    """A decision. `at` is in microseconds since 1970, UTC; `latency` in microseconds, until the verdict.

    `token_id` is the `jti` of a JWT. Issuers renew tokens every minute or so, hence it is not part of the key. `times`
    is the number of equal decisions that the record stands for.
    """

    at: int
    latency: int
    request_id: str
    token_id: str | None
    key: DecisionKey
    times: int = 1

    @property
    def time(self) -> datetime:
        """The time of the decision."""
        return time_of(self.at)


def time_of(at: int) -> datetime:
    """The time that is `at` microseconds after 1970."""
    # In integers, since a float of seconds is not exact to the microsecond.
    return datetime.fromtimestamp(at // 1_000_000, UTC).replace(microsecond=at % 1_000_000)


def decision_key(
    door: str, resource: str, action: str, principal: Principal | None, outcome: Decision | Unverified
) -> DecisionKey:
    """The key of a decision, with secrets removed."""
    rule = outcome.rule if isinstance(outcome, Decision) else None
    subject = clean(principal.subject, MAX_TEXT) if principal else ""
    return DecisionKey(
        door=door,
        subject=subject,
        method=principal.method if principal else None,
        key_id=principal.key_id if principal else None,
        action=clean(action, MAX_TEXT),
        resource=clean(resource, MAX_TEXT),
        allowed=bool(outcome),
        reason=str(outcome.reason),
        rule_place=rule.place if rule else None,
        rule_text=_rule_text(rule) if rule else None,
        missing=outcome.missing if isinstance(outcome, Decision) else (),
        revision=outcome.revision,
        grants=_grants_of(principal, subject) if principal else None,
        client_id=_clean(principal.client_id) if principal else None,
        impersonator=_clean(principal.impersonator) if principal else None,
    )


def bounded(principal: Principal) -> Principal:
    """A principal for the log alone, without what is longer than the log stores: many may wait for it."""
    texts = (principal.subject, principal.client_id or "", principal.impersonator or "")
    is_stored = sum(map(len, principal.held)) <= MAX_GRANTS
    if is_stored and all(len(text) <= MAX_TEXT for text in texts):
        return principal
    return replace(
        principal,
        subject=clean(principal.subject, MAX_TEXT),
        held=principal.held if is_stored else NOT_STORED,
        client_id=_clean(principal.client_id),
        impersonator=_clean(principal.impersonator),
    )


def size_of(principal: Principal) -> int:
    """About the bytes of the names and grants of a principal."""
    texts = (principal.subject, principal.client_id or "", principal.impersonator or "", *principal.held)
    return 100 * len(principal.held) + sum(map(len, texts))


def token_id_of(principal: Principal | None) -> str | None:
    """The `jti` of a caller's token, with secrets removed; None without one."""
    return _clean(principal.token_id) if principal else None


def _clean(text: str | None) -> str | None:
    return None if text is None else clean(text, MAX_TEXT)


def _names(subject: str, key_id: int | None) -> tuple[tuple[str, str], ...]:
    return (_USER, subject), (_KEY, str(key_id)), (_OWNER, subject), (_APP_USER, subject)


def _with_placeholders(held: frozenset[str], subject: str, key_id: int | None) -> frozenset[str]:
    for placeholder, name in _names(subject, key_id):
        # A fact whose name was cleaned stays as it is: the log could not restore it.
        if placeholder + name in held:
            held = (held - {placeholder + name}) | {placeholder}
    return held


def grant_set(held: frozenset[str]) -> StatedGrants | None:
    """The stored form of grants; None if they are too large to store."""
    is_short = len(held) <= _MAX_CACHED_GRANTS and sum(map(len, held)) <= _MAX_CACHED_CHARACTERS
    return (_cached_grant_set if is_short else _grant_set)(held)


def _grants_of(principal: Principal, subject: str) -> StatedGrants | None:
    if sum(map(len, principal.held)) > MAX_GRANTS or principal.held == NOT_STORED:
        return None
    return grant_set(_with_placeholders(principal.held, subject, principal.key_id))


def _grant_set(held: frozenset[str]) -> StatedGrants | None:
    # JSON, since a grant of a token may contain any character, including a space.
    text = without_secrets(json.dumps(sorted(held), separators=(",", ":")))
    return StatedGrants(hashlib.sha256(text.encode()).digest(), text) if len(text) <= MAX_GRANTS else None


_cached_grant_set = lru_cache(maxsize=2_000)(_grant_set)
_rule_text = lru_cache(maxsize=4_000)(Rule.__str__)
