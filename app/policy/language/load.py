"""Parses policy files into a policy, which is not yet checked against a route table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from app.identity.issuer import TrustedIssuer
from app.policy.gc_control import long_lived_build
from app.policy.language import cases, entities, issuers, model, roles, upstreams
from app.policy.language import permissions as catalog
from app.policy.language.cases import Case
from app.policy.language.directory import read
from app.policy.language.entities import Entities
from app.policy.language.fault import Fault, PolicyRefused
from app.policy.language.nearby_rows import NearbyRows
from app.policy.language.permissions import Permission
from app.policy.language.roles import Roles
from app.policy.language.rows import Rows
from app.policy.language.rule import Membership, Rule
from app.policy.language.source import PolicySource
from app.policy.language.text_edit import edit_between
from app.policy.language.upstreams import Upstream
from app.policy.routing.routes import Route

_Row = TypeVar("_Row", Rule, Membership)


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

    What comes from files that did not change is reused from the policy `before`.
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
    templates = (route.template for service in services for route in service.routes)
    # What is not in the catalogue is a fault, so rows, cases and entities can be reused only with the same one.
    earlier = before if before and before.catalog.keys() == permissions.keys() else None
    rows = _rows(source, permissions, faults, templates, earlier)
    links = roles.link(rows.memberships, faults)
    files, known_cases = (earlier.source.files, earlier.cases) if earlier else ({}, ())
    tests = cases.load(source, permissions, faults, files, known_cases)
    files, known_entities = (earlier.source.files, earlier.entities) if earlier else ({}, Entities())
    known = entities.load(source, permissions, faults, files, known_entities)
    trusted = issuers.load(source, faults)
    if faults:
        raise PolicyRefused(faults)
    return Policy(
        source, permissions, tuple(rows.rules), tuple(rows.memberships), links, tests, services, known, trusted
    )


def _rows(
    source: PolicySource,
    permissions: Mapping[str, Permission],
    faults: list[Fault],
    templates: Iterable[str],
    earlier: Policy | None,
) -> Rows:
    """The rows of all files; those of files and lines that did not change are reused from the policy `earlier`."""
    texts = {file: text for file, text in source.files.items() if file.endswith(".csv")}
    rows = Rows(permissions, faults, templates, texts.values())
    files = earlier.source.files if earlier else {}
    same = {file for file, text in texts.items() if files.get(file) == text}
    rules, memberships = _by_file(earlier.rules if earlier else ()), _by_file(earlier.memberships if earlier else ())
    for file, text in texts.items():
        if file in same:
            rows.rules += rules.get(file, ())
            rows.memberships += memberships.get(file, ())
        else:
            known = (rules.get(file, []), memberships.get(file, []))
            _parse_edited(rows, file, files.get(file, ""), text, known)
    return rows


def _parse_edited(
    rows: Rows, file: str, before: str, text: str, known: tuple[Sequence[Rule], Sequence[Membership]]
) -> None:
    """Parse the lines of a file that changed. The rows that it had on other lines, and nearby, are reused."""
    edit = edit_between(before, text)
    all_known: list[Rule | Membership] = [*known[0], *known[1]]
    rows.share_lines(all_known)
    edited = ((row for row in each if edit.first <= row.line <= edit.last_before) for each in known)
    nearby = NearbyRows(edit.before, edit.first, *edited)
    for row in all_known:
        if row.line < edit.first:
            rows.add(row, row.line)
    rows.parse(file, edit.now, nearby, edit.first)
    for row in all_known:
        if row.line > edit.last_before:
            rows.add(row, row.line + edit.last_now - edit.last_before)


def _by_file(rows: Iterable[_Row]) -> Mapping[str, list[_Row]]:
    found: dict[str, list[_Row]] = {}
    for row in rows:
        found.setdefault(row.file, []).append(row)
    return found
