"""Resolves the subject of an AuthZEN request to the grants that it would hold and its attributes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType

from app.identity.api_keys import KeyRecord, refusal_reason
from app.identity.api_keys import principal_of as key_principal
from app.identity.app_facts import AppIdentity, InvalidApp
from app.identity.errors import Unauthenticated
from app.identity.external_app import external_app
from app.identity.organization import Organization
from app.identity.permission_claim import parse_permissions
from app.identity.principal import (
    ANONYMOUS,
    ANYONE,
    Principal,
    acting_party,
    delegated_principal,
    impersonator_of,
    is_fact,
)
from app.policy.engine.snapshot import Snapshot
from app.policy.engine.target import Target
from app.policy.language.entities import Known
from app.policy.language.when.condition import Context
from app.policy.language.when.context import LazyContext, org_of, subject_of
from app.policy.language.when.shape import Properties, Subject
from app.policy.language.when.shared import SharedReads

USER_TYPES = ("user", "identity")
KEY_TYPE, APP_TYPE, TOKEN_TYPE = "key", "app", "token"
_METHOD = "authzen"
_NOTHING: Properties = MappingProxyType({})


class NoSuchSubject(Exception):
    """The subject cannot be a principal, so nothing is allowed. The message says why."""


@dataclass(frozen=True, slots=True)
class ResolvedSubject:
    """A subject with its grants.

    `owner` is that of an API key or the user of an app, `environment` that of a key; empty otherwise. `organization` is
    that of a key or of the user of an app. `act` is the party that acts as the user, as the service that asks says.
    `principal` is that of a verified token.
    """

    type: str
    id: str
    held: frozenset[str]
    properties: Properties = field(default_factory=lambda: _NOTHING, hash=False)
    owner: str = ""
    environment: str = ""
    organization: Organization | None = None
    act: Properties = field(default_factory=lambda: _NOTHING, hash=False)
    principal: Principal | None = None

    @property
    def impersonator(self) -> str | None:
        """The `sub` of the acting party; None if the subject acts itself."""
        return impersonator_of({"act": self.act}) if self.act else None


def principal_of(subject: ResolvedSubject) -> Principal:
    """The principal that the subject would be, for the decision log. Only that of a token is verified.

    Any other type than user, key and app is prefixed to the id, so that the subject is not mistaken for a user.
    """
    if subject.principal is not None:
        return subject.principal
    if subject.type == KEY_TYPE:
        key_id = int(subject.id)
        return Principal(
            subject.owner,
            "api_key",
            subject.held,
            key_id=key_id,
            environment=subject.environment,
            organization=subject.organization,
        )
    if subject.type == APP_TYPE:
        organization = subject.organization
        return Principal(
            subject.owner,
            "oauth",
            subject.held,
            client_id=subject.id,
            impersonator=subject.impersonator,
            organization=organization,
        )
    if subject.type in USER_TYPES:
        return Principal(subject.id, "jwt", subject.held, impersonator=subject.impersonator)
    return Principal(f"{subject.type}:{subject.id}", "anonymous", subject.held)


@dataclass(frozen=True, slots=True)
class AppConsent:
    """What a user allowed an app that may act now: the scopes, and what the user's last sign-in granted."""

    app: AppIdentity
    scopes: frozenset[str]
    permissions: frozenset[str]
    organization: Organization | None = None


@dataclass(frozen=True, slots=True)
class StoredSubjects:
    """What is known of the subjects of a request: the API keys by id as written there, and consents.

    A key of an environment other than `environments` is treated as unknown. `consents` are those of users, by the ids
    of app and user. `authorization_servers` are the names of the issuers whose access tokens are those of apps.
    """

    records: Mapping[str, KeyRecord] = field(default_factory=lambda: MappingProxyType({}))
    environments: Collection[str] = ()
    consents: Mapping[tuple[str, str], AppConsent] = field(default_factory=lambda: MappingProxyType({}))
    authorization_servers: Collection[str] = ()
    # The principals of verified tokens.
    tokens: Mapping[str, Principal] = field(default_factory=lambda: MappingProxyType({}), repr=False)

    def usable(self, identity: str, now: datetime) -> KeyRecord:
        """The record of a key, if it would be accepted now. Raises NoSuchSubject."""
        record = self.records.get(identity)
        if record is None or refusal_reason(record, self.environments, now):
            raise NoSuchSubject("the key is unknown, revoked, expired, or of an environment that is not accepted")
        return record

    def consent(self, client_id: str, user: str, sent: Properties) -> AppConsent:
        """What a user allowed an app. Raises NoSuchSubject.

        Only an app of another authorization server has what was `sent`, as only its token says that.
        """
        issuer, slash, name = client_id.partition("/")
        if slash and issuer in self.authorization_servers:
            return _external_consent(issuer, name, sent)
        consent = self.consents.get((client_id, user))
        if consent is None:
            raise NoSuchSubject("the user has not allowed the app, or one of them is unknown, disabled or blocked")
        return consent


NO_SUBJECTS = StoredSubjects()


def _external_consent(issuer: str, client_id: str, sent: Properties) -> AppConsent:
    try:
        app = external_app(issuer, client_id)
    except Unauthenticated as fault:
        raise NoSuchSubject(fault.reason) from None
    scopes, permissions = (frozenset(parse_permissions(sent.get(name))) for name in ("scope", "permissions"))
    return AppConsent(app, scopes, permissions)


def resolve_subject(
    kind: str, identity: str, sent: Properties, known: Known, stored: StoredSubjects = NO_SUBJECTS
) -> ResolvedSubject:
    """Resolve a subject by type and id; attributes that were `sent` override those of the policy's entities.

    A user holds what a verified token would state, and the permissions in its attributes; `act` among those that were
    sent says who acts as the user, as the claim of a token does. A key holds what the
    database says, and nothing that a caller sends. So does an app on behalf of the `user` among its attributes, where
    `scope` may name fewer scopes; one of another authorization server holds the `scope` in its attributes, and its user
    the `permissions`. A token, which is its own id, holds what it does at a door. Any other type holds only its
    permissions. No caller can state a fact. Raises NoSuchSubject.
    """
    if kind == TOKEN_TYPE:
        return _resolve_token(stored.tokens.get(identity))
    is_user = kind in USER_TYPES
    entity = known.get(("user" if is_user else kind, identity))
    properties: Properties = sent if entity is None else {**entity.properties, **sent} if sent else entity.properties
    if kind == KEY_TYPE:
        record = stored.usable(identity, datetime.now(UTC))
        key = key_principal(record)
        return ResolvedSubject(
            kind, identity, key.held, properties, record.subject, record.environment, key.organization
        )
    if kind == APP_TYPE:
        return _resolve_app(identity, sent, properties, stored)
    if kind == "anonymous":
        return ResolvedSubject(kind, identity, ANONYMOUS.held, properties)
    if not identity:
        raise NoSuchSubject("the subject has no id")
    stated = [grant for grant in parse_permissions(properties.get("permissions")) if not is_fact(grant)]
    if is_user:
        held = frozenset((*stated, ANYONE, "auth:jwt", f"user:{identity}"))
        return ResolvedSubject(kind, identity, held, properties, act=acting_party(sent))
    return ResolvedSubject(kind, identity, frozenset((*stated, ANYONE)), properties)


def _resolve_token(principal: Principal | None) -> ResolvedSubject:
    if principal is None:
        raise NoSuchSubject("a subject of the type `token` has an evaluation of its own")
    return ResolvedSubject(TOKEN_TYPE, principal.subject, principal.held, principal=principal)


def app_user(sent: Properties) -> str | None:
    """The user on whose behalf an app acts, by the attributes of the app; None if they do not say."""
    user = sent.get("user")
    return user if isinstance(user, str) and user else None


def _resolve_app(client_id: str, sent: Properties, properties: Properties, stored: StoredSubjects) -> ResolvedSubject:
    user = app_user(sent)
    if user is None:
        raise NoSuchSubject("an app acts on behalf of a user: name it as `user` among the properties of the app")
    consent = stored.consent(client_id, user, sent)
    scopes = consent.scopes
    if "scope" in sent:
        scopes &= frozenset(parse_permissions(sent["scope"]))
    try:
        held = delegated_principal(
            user, consent.app, scopes, consent.permissions, organization=consent.organization
        ).held
    except InvalidApp as fault:
        raise NoSuchSubject(str(fault)) from None
    return ResolvedSubject(
        APP_TYPE, client_id, held, properties, owner=user, organization=consent.organization, act=acting_party(sent)
    )


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
    if subject.principal is not None:
        return subject_of(subject.principal, snapshot.effective(subject.held), subject.properties)
    is_app = subject.type == APP_TYPE  # its id is that of the user, as at every door
    return {
        "type": subject.type,
        "id": subject.owner if is_app else subject.id,
        "owner": "" if is_app else subject.owner,
        "method": _METHOD,
        "client_id": subject.id if is_app else "",
        "org": org_of(subject.organization),
        "environment": subject.environment,
        "permissions": snapshot.effective(subject.held),
        "claims": _NOTHING,
        "act": subject.act,
        "properties": subject.properties,
    }
