"""Resolves the subject of an AuthZEN request to the grants that it would hold and its attributes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType

from app.identity.api_keys import KeyRecord, refusal_reason
from app.identity.api_keys import principal_of as key_principal
from app.identity.permission_claim import parse_permissions
from app.identity.principal import ANONYMOUS, ANYONE, Principal, is_fact
from app.policy.engine.snapshot import Snapshot
from app.policy.engine.target import Target
from app.policy.language.entities import Known
from app.policy.language.when.condition import Context
from app.policy.language.when.context import LazyContext
from app.policy.language.when.shape import NO_ORG, Properties, Subject
from app.policy.language.when.shared import SharedReads

USER_TYPES = ("user", "identity")
KEY_TYPE = "key"
_METHOD = "authzen"
_NOTHING: Properties = MappingProxyType({})


class NoSuchSubject(Exception):
    """The subject cannot be a principal, so nothing is allowed. The message says why."""


@dataclass(frozen=True, slots=True)
class ResolvedSubject:
    """A subject with its grants. `owner` and `environment` are those of an API key, empty otherwise."""

    type: str
    id: str
    held: frozenset[str]
    properties: Properties = field(default_factory=lambda: _NOTHING, hash=False)
    owner: str = ""
    environment: str = ""


def principal_of(subject: ResolvedSubject) -> Principal:
    """The principal that the subject would be, for the decision log. It is not verified.

    Any other type than user and key is prefixed to the id, so that the subject is not mistaken for a user.
    """
    if subject.type == KEY_TYPE:
        key_id = int(subject.id)
        return Principal(subject.owner, "api_key", subject.held, key_id=key_id, environment=subject.environment)
    if subject.type in USER_TYPES:
        return Principal(subject.id, "jwt", subject.held)
    return Principal(f"{subject.type}:{subject.id}", "anonymous", subject.held)


@dataclass(frozen=True, slots=True)
class Keys:
    """The database records of the API keys in a request, by id as written there.

    A key of an environment other than `environments` is treated as unknown.
    """

    records: Mapping[str, KeyRecord] = field(default_factory=lambda: MappingProxyType({}))
    environments: Collection[str] = ()

    def usable(self, identity: str, now: datetime) -> KeyRecord:
        """The record of a key, if it would be accepted now. Raises NoSuchSubject."""
        record = self.records.get(identity)
        if record is None or refusal_reason(record, self.environments, now):
            raise NoSuchSubject("the key is unknown, revoked, expired, or of an environment that is not accepted")
        return record


NO_KEYS = Keys()


def resolve_subject(kind: str, identity: str, sent: Properties, known: Known, keys: Keys = NO_KEYS) -> ResolvedSubject:
    """Resolve a subject by type and id; attributes that were `sent` override those of the policy's entities.

    A user holds what a verified token would state, and the permissions in its attributes. A key holds what the
    database says, and nothing that a caller sends. Any other type holds only its permissions. No caller can state a
    fact. Raises NoSuchSubject.
    """
    is_user = kind in USER_TYPES
    entity = known.get(("user" if is_user else kind, identity))
    properties: Properties = sent if entity is None else {**entity.properties, **sent} if sent else entity.properties
    if kind == KEY_TYPE:
        record = keys.usable(identity, datetime.now(UTC))
        held = key_principal(record).held
        return ResolvedSubject(kind, identity, held, properties, record.subject, record.environment)
    if kind == "anonymous":
        return ResolvedSubject(kind, identity, ANONYMOUS.held, properties)
    if not identity:
        raise NoSuchSubject("the subject has no id")
    stated = [grant for grant in parse_permissions(properties.get("permissions")) if not is_fact(grant)]
    if is_user:
        return ResolvedSubject(kind, identity, frozenset((*stated, ANYONE, "auth:jwt", f"user:{identity}")), properties)
    return ResolvedSubject(kind, identity, frozenset((*stated, ANYONE)), properties)


def evaluation_context(
    snapshot: Snapshot,
    subject: ResolvedSubject,
    target: Target,
    *,
    resource: tuple[str, str, Properties],
    action: Properties,
    context: Properties,
    shared: SharedReads | None = None,
) -> Context:
    """Build the condition variables of an evaluation: `resource` is its type, id and attributes, `action` the
    attributes of the action.

    Of `request` only the time is known, since its sender is not the subject. `shared` is for evaluations that have
    variables in common.
    """
    kind, identity, properties = resource
    variables = LazyContext(
        subject=lambda: _subject(snapshot, subject),
        resource=lambda: {"type": kind, "id": identity, "properties": properties},
        action=lambda: {"name": target.action, "properties": action},
        request=lambda: {"time": datetime.now(UTC)},
        params=lambda: target.params,
        context=lambda: context,
    )
    variables.shared = shared
    return variables


def _subject(snapshot: Snapshot, subject: ResolvedSubject) -> Subject:
    return {
        "type": subject.type,
        "id": subject.id,
        "owner": subject.owner,
        "method": _METHOD,
        "client_id": "",
        "org": NO_ORG,
        "environment": subject.environment,
        "permissions": snapshot.effective(subject.held),
        "claims": _NOTHING,
        "act": _NOTHING,
        "properties": subject.properties,
    }
