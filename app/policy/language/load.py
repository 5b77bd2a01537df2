"""Parses policy files into a policy, which is not yet checked against a route table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from app.identity.issuer import TrustedIssuer
from app.policy.gc_control import long_lived_build
from app.policy.language import cases, entities, issuers, model, roles, upstreams
from app.policy.language import permissions as catalog
from app.policy.language.cases import Case
from app.policy.language.directory import read
from app.policy.language.entities import Entities
from app.policy.language.fault import PolicyRefused
from app.policy.language.permissions import Permission
from app.policy.language.roles import Roles
from app.policy.language.rows import Rows
from app.policy.language.rule import Membership, Rule
from app.policy.language.source import PolicySource
from app.policy.language.upstreams import Upstream
from app.policy.routing.routes import Route


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed policy: rules and memberships by file and line, the roles that memberships define, cases, the services
    behind gateways, entities, and issuers."""

    source: PolicySource
    catalog: Mapping[str, Permission]
    rules: tuple[Rule, ...]
    memberships: tuple[Membership, ...]
    roles: Roles
    cases: tuple[Case, ...] = ()
    services: tuple[Upstream, ...] = ()
    entities: Entities = field(default_factory=Entities)
    issuers: tuple[TrustedIssuer, ...] = ()

    @property
    def upstreams(self) -> tuple[Route, ...]:
        """The endpoints of other services."""
        return tuple(route for service in self.services for route in service.routes)

    @property
    def revision(self) -> str:
        """The digest that identifies this policy."""
        return self.source.revision


def load(directory: Path) -> Policy:
    """Load a policy directory. Raises PolicyRefused with every fault."""
    return parse(read(directory))


def parse(source: PolicySource, before: Policy | None = None) -> Policy:
    """Parse the files of a policy. Raises PolicyRefused with every fault; rows are parsed if the catalogue has none.

    Services and entities whose files did not change are reused from the policy `before`.
    """
    with long_lived_build():
        return _parsed(source, before)


def _parsed(source: PolicySource, before: Policy | None) -> Policy:
    faults = list(source.faults)
    model.check(source, faults)
    before_catalog = len(faults)
    permissions = catalog.load(source, faults)
    if len(faults) > before_catalog or catalog.FILE not in source.files:
        # Without its catalogue, each row would have a fault, which would hide that of the catalogue.
        raise PolicyRefused(faults)
    files, known_services = (before.source.files, before.services) if before else ({}, ())
    services = upstreams.load(source, faults, files, known_services)
    texts = {file: text for file, text in source.files.items() if file.endswith(".csv")}
    templates = (route.template for service in services for route in service.routes)
    rows = Rows(permissions, faults, templates, texts.values())
    for file, text in texts.items():
        rows.parse(file, text)
    links = roles.link(rows.memberships, faults)
    tests = cases.load(source, permissions, faults)
    # Entities are checked against the catalogue, so they can be reused only with the same one.
    earlier = before if before and before.catalog.keys() == permissions.keys() else None
    files, known_entities = (earlier.source.files, earlier.entities) if earlier else ({}, Entities())
    known = entities.load(source, permissions, faults, files, known_entities)
    trusted = issuers.load(source, faults)
    if faults:
        raise PolicyRefused(faults)
    return Policy(
        source, permissions, tuple(rows.rules), tuple(rows.memberships), links, tests, services, known, trusted
    )
