"""Imports the policy of a Casbin program: reads it, carries it over, and proves the result against pycasbin."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from app.policy.casbin_import.carried_rule import CarriedRule
from app.policy.casbin_import.casbin_policy import CasbinPolicy, pattern_fault
from app.policy.casbin_import.casbin_rows import CasbinRow
from app.policy.casbin_import.handler_routes import check_handlers, of_handlers_alone
from app.policy.casbin_import.import_fault import ImportNote, ImportRefused
from app.policy.casbin_import.import_options import NO_FUNCTION, ImportOptions
from app.policy.casbin_import.known_values import KnownValues
from app.policy.casbin_import.matcher import PATTERNS, FieldTest
from app.policy.casbin_import.model_file import PolicyEffect
from app.policy.casbin_import.new_names import NewNames
from app.policy.casbin_import.object_sets import ObjectReader
from app.policy.casbin_import.own_document import (
    SourcedRule,
    closed_endpoints,
    closed_heads,
    fitted,
    own_routes,
    paths_with_head,
)
from app.policy.casbin_import.policy_texts import merged, roles_text, rules_text
from app.policy.casbin_import.priorities import apply_order
from app.policy.casbin_import.role_graph import RoleKey
from app.policy.casbin_import.role_rows import memberships, needed
from app.policy.casbin_import.route_document import closing_rows, generated_paths, write_document
from app.policy.casbin_import.row_alternatives import AlternativeReader
from app.policy.casbin_import.row_translator import ANONYMOUS, RowTranslator, Vocabulary
from app.policy.casbin_import.settling import settle
from app.policy.casbin_import.subject_needs import SubjectReader
from app.policy.casbin_import.translation import Translation
from app.policy.language.fault import Fault
from app.policy.language.grants import is_grant, known_roles
from app.policy.language.load import Policy
from app.policy.language.rule import SCOPE_TYPE
from app.policy.routing.routes import SERVICE, RouteTable

_PATTERN = re.compile(r"[*{}^|\[\]]|/:")


@dataclass(frozen=True, slots=True)
class ImportedPolicy:
    """The new files by name, the rule of each line of the file of rules, and notes.

    `inexact` are the rows whose allows are not carried over completely, by file and line. `paths` tell all rows apart,
    if the document of the service may not.
    """

    files: Mapping[str, str]
    places: Mapping[int, CarriedRule]
    notes: tuple[ImportNote, ...]
    inexact: frozenset[tuple[str, int]]
    roles: Mapping[RoleKey, str]
    paths: Sequence[str] = ()


def import_policy(
    casbin: CasbinPolicy,
    options: ImportOptions,
    base: Policy,
    application: RouteTable,
    progress: Callable[[str], None] = lambda _: None,
) -> ImportedPolicy:
    """Carry a policy over. Raises ImportRefused if a deny, or a name, cannot be carried over."""
    if options.handlers:
        check_handlers(options.handlers, base, application)
    _check_names(options, base)
    _check_matching(casbin, options)
    used = {need for rule in base.rules for need in rule.needs if need.startswith("role:")}
    names = NewNames(options.service, known_roles(base.memberships) | used, options.subjects)
    values = KnownValues(casbin, options.objects)
    subject_graphs = casbin.graphs_of(casbin.fields.subject)
    subjects = SubjectReader(subject_graphs, names, values.subjects, values.domains)
    others = {**casbin.graphs_of(casbin.fields.object), **casbin.graphs_of(casbin.fields.action)}
    objects = ObjectReader(others, values.things, options.functions, has_paths=values.has_paths)
    vocabulary = Vocabulary(names, subjects, objects, values.literals, values.verbs)
    translator = RowTranslator(casbin.model, casbin.fields, options, vocabulary)
    found = translator.found
    translator.translate(
        casbin.rows.rules, AlternativeReader(casbin.model, casbin.fields, casbin.alternatives), progress
    )
    if casbin.model.effect is PolicyEffect.DENY_OVERRIDE:
        translator.allow_by_default()
    _remark(casbin, options, subjects, found)
    settle(found, subject_domain=casbin.fields.domain is not None)
    if casbin.model.effect is PolicyEffect.PRIORITY:
        apply_order(found)
    members = memberships(subject_graphs, names, subjects, found)
    rules = merged(found.rules)
    paths = generated_paths(options, [rule for rule, _ in rules])
    table = own_routes(options, base)
    if table is not None:
        place = "the document" if options.handlers is None else "AUTHZ_ROUTES"
        rules = fitted(rules, table, place, found)
        if options.handlers:
            rules = of_handlers_alone(rules, options.handlers, application)
        members = needed(members, [rule for rule, _ in rules], found)
    if not rules:
        message = "no row can be carried over; the report of an import says why, row by row"
        faults = [
            Fault("left-out", note.file, note.line, 1, note.message, note.hint) for note in list(found.notes)[:20]
        ]
        raise ImportRefused([Fault("nothing-left", casbin.model.file, 1, 1, message), *faults])
    kept = [rule for rule, _ in rules]
    closing = _closing(options, rules, paths, table, found)
    text, places = rules_text(options.service, rules, closing)
    files = {rules_file(options.service): text}
    if members:
        files[f"{options.service}_roles.csv"] = roles_text(options.service, members)
    if options.document:
        files[options.document[0]] = options.document[1]
    elif options.is_generated and (document := write_document(options.service, kept, paths)):
        files[f"upstreams/{options.service}.openapi.json"] = document
    return ImportedPolicy(
        files, places, tuple(found.notes), frozenset(found.inexact), names.roles, () if table is None else paths
    )


def _closing(
    options: ImportOptions,
    rules: Sequence[SourcedRule],
    paths: Sequence[str],
    table: RouteTable | None,
    found: Translation,
) -> tuple[str, ...]:
    """Rows that deny what no rule is about, and HEAD where a row about GET would be about it too."""
    kept = [rule for rule, _ in rules]
    if table is None:
        return closing_rows(options.service, kept, paths)
    if options.handlers:  # their OPTIONS are open by rows of the base, and HEAD is a route of its own
        return tuple(closed_endpoints(kept, table, "OPTIONS"))
    closing = closing_rows(options.service, kept, paths_with_head(table))
    return (*closing, *closed_heads(rules, table, found), *closed_endpoints(kept, table, "HEAD" if closing else ""))


def rules_file(service: str) -> str:
    """The name of the file of rules."""
    return f"{service}.csv"


def _check_names(options: ImportOptions, base: Policy) -> None:
    """Check that no row of the base is about the service or its things, which would change their verdicts."""
    service = options.service
    if not SERVICE.fullmatch(service) or service == SCOPE_TYPE:
        hint = "use lower-case letters, digits and `-`, at most 40, and not `scope`"
        raise ImportRefused([Fault.of_file("service-name", ".", f"`{service}` cannot be the name of a service", hint)])
    taken = any(rule.resource.partition(":")[0] == service for rule in base.rules)
    files = {f"{service}.csv", f"{service}_roles.csv", f"tests/{service}.yaml"} & base.source.files.keys()
    if taken or files or any(upstream.service == service for upstream in base.services):
        message = f"the policy has rows, a document or a file for `{service}` already"
        raise ImportRefused([Fault.of_file("service-name", ".", message, "choose another name: --name")])
    roles = known_roles(base.memberships)
    for subject, grant in options.subjects.items():
        is_own = grant in roles if grant.startswith("role:") else is_grant(grant, base.catalog)
        is_personal = grant.startswith(("user:", "role:", "org-role:")) or grant in (ANONYMOUS, *base.catalog)
        if not (is_own and is_personal) or list(options.subjects.values()).count(grant) > 1:
            message = f"`{grant}` cannot be the grant of the subject `{subject}` alone"
            hint = "name a user, a role or a permission of the policy, `org-role:…`, or `auth:anonymous`, once each"
            raise ImportRefused([Fault.of_file("subject", ".", message, hint)])


def _check_matching(casbin: CasbinPolicy, options: ImportOptions) -> None:
    """Check that patterns in role rows are either stated to be names, or have their function.

    A program registers such functions in its code, so the files do not have them.
    """
    object_groups = casbin.graphs_of(casbin.fields.object)
    others = {**casbin.graphs_of(casbin.fields.subject), **casbin.graphs_of(casbin.fields.action)}
    constants = {test.domain for each in casbin.alternatives for test in each if isinstance(test, FieldTest)}
    for group in options.matching:
        function = options.matching[group]
        if group not in casbin.graphs or (function != NO_FUNCTION and function not in PATTERNS):
            message = f"`{group}={function}` is not a role definition of the model and a pattern function"
            raise ImportRefused([Fault("matching", casbin.model.file, 1, 1, message, "write --match g2=keyMatch2")])
        if function != NO_FUNCTION and (group not in object_groups or group in others):
            message = f"patterns of subjects or actions (`{group}`) cannot be imported"
            raise ImportRefused([Fault("matching", casbin.model.file, 1, 1, message, "write a row for each of them")])
    for group, function in options.functions.items():
        pairs = ((row, name) for row in casbin.graphs[group].rows for name in row.cells[:2])
        if faults := [fault for row, name in pairs if (fault := pattern_fault(row, function, name, "ignores it"))]:
            raise ImportRefused(faults)
    for group, graph in {**others, **object_groups}.items():
        if group in options.matching:
            continue
        for row in graph.rows:
            names = [*row.cells[:2], *(domain for domain in row.cells[2:] if domain not in constants)]
            patterns = [name for name in names if _PATTERN.search(name)]
            if patterns:
                message = f"`{patterns[0]}` is a pattern only if the program says so, and a name for Casbin otherwise"
                hint = f"with add_named_matching_func: --match {group}=keyMatch2; else --match {group}=none"
                text = str(row)
                raise ImportRefused([Fault("matching", row.file, row.line, 1, message, hint, len(text), text)])


def _remark(casbin: CasbinPolicy, options: ImportOptions, subjects: SubjectReader, found: Translation) -> None:
    """Remarks about the import as a whole."""
    source = CasbinRow(casbin.model.file, casbin.model.matcher.place(0)[0], "m", (casbin.model.matcher.text,))
    for graph in casbin.graphs_of(casbin.fields.subject).values():
        roles = dict.fromkeys(row.cells[1] for row in graph.rows if subjects.is_role(row.cells[1]))
        if roles:
            names = ", ".join(f"`{name}`" for name in list(roles)[:5]) + (" and others" if len(roles) > 5 else "")
            became = "became roles, which" if len(roles) > 1 else "became a role, which"
            message = f"{names} {became} a user of the same name does not have; in Casbin it would"
            found.note("remark", "role-name", source, message, "if one of them is a user: --subject alice=user:alice")
    if any(rule.route for rule in found.rules):
        message = "a path with and without a last slash is one path here, and is decided as the one without"
        found.note("remark", "last-slash", source, message)
    if options.is_generated and any(rule.route and rule.route.has_tail for rule in found.rules):
        message = f"the generated document has {options.depth} segments behind each pattern with an open end"
        found.note("remark", "depth", source, message, "name the document of your service: --openapi")
