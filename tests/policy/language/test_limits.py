"""The bounds of the policy engine: changing one must be deliberate."""

from __future__ import annotations

import pkgutil
from importlib import import_module

import app.policy
from app.policy.analysis.findings import KINDS
from app.policy.language.when.syntax import _LEVELS

BOUNDS: dict[str, float] = {
    "gc_control.SWITCH_SECONDS": 0.0005,
    "gc_control._STEP": 1_000,
    "analysis.case_report.MAX_SECONDS": 10.0,
    "analysis.case_report.MAX_LISTED": 20,
    "analysis.case_report.MAX_TEXT": 400,
    "analysis.case_report._LOOK_EVERY": 256,
    "analysis.case_watch._MAX_LOGGED": 3,
    "language.cases.MAX_CASES": 20_000,
    "language.toml_file.MAX_CHARACTERS": 262_144,
    "language.permissions.MAX_FAULTS": 20,
    "language.issuers.MAX_ISSUERS": 50,
    "language.issuers.MAX_FAULTS": 20,
    "language.issuers.MAX_NAMES": 50,
    "language.issuers.MAX_PATH": 6,
    "language.issuers.MAX_TEXT": 500,
    "language.issuers.MAX_SKEW": 300,
    "language.toml_bounds.MAX_PARTS": 8,
    "language.toml_bounds.MAX_LEVELS": 8,
    "language.toml_bounds.MAX_DIGITS": 400,
    "analysis.cells.MAX_TERMS": 1_500,
    "analysis.change_words.MAX_NAMED": 4,
    "engine.checks.MAX_FAULTS": 100,
    "casbin_import.carried_rule.MAX_EXPANDED": 200,
    "casbin_import.casbin_rows.MAX_ROWS": 200_000,
    "casbin_import.casbin_rows.MAX_FAULTS": 100,
    "casbin_import.casbin_rows.MAX_CELL": 1_000,
    "casbin_import.expression.MAX_MATCHER": 8_000,
    "casbin_import.expression.MAX_DEPTH": 30,
    "casbin_import.handler_routes.MAX_SPLIT": 100_000,
    "casbin_import.handler_routes.MAX_SHOWN": 20,
    "casbin_import.import_run.MAX_SHOWN": 5,
    "casbin_import.matcher.MAX_ALTERNATIVES": 64,
    "casbin_import.model_file.MAX_MODEL": 100_000,
    "casbin_import.new_names.MAX_SLUG": 60,
    "casbin_import.policy_texts.MAX_SOURCES": 3,
    "casbin_import.priorities.MAX_CONDITION": 2_500,
    "casbin_import.priorities.MAX_COMPARED": 3_000_000,
    "casbin_import.questions.MAX_DEEPER": 6,
    "casbin_import.regex_text.MAX_ALTERNATIVES": 64,
    "casbin_import.regex_text.MAX_DEPTH": 20,
    "casbin_import.report.MAX_NOTES": 1_000,
    "casbin_import.role_graph.MAX_LINKS": 9,
    "casbin_import.route_templates.MAX_TEMPLATES": 5_000,
    "casbin_import.route_templates.MAX_COMPARED": 200_000,
    "casbin_import.route_templates.MAX_SEGMENTS": 40,
    "casbin_import.subject_needs.MAX_NEEDS": 2_000,
    "casbin_import.verification.MAX_ROWS_LOOKED_AT": 1_000_000,
    "casbin_import.verification.MAX_CASES": 5_000,
    "casbin_import.verification.LEAST": 50,
    "language.directory.MAX_NOTE_BYTES": 1_000,
    "language.directory.MAX_FOLDERS": 100,
    "language.directory._LOOKS": 5,
    "language.directory._PAUSE_SECONDS": 0.02,
    "language.directory._DESCRIPTORS_SECONDS": 20.0,
    "language.yaml_document.MAX_CHARACTERS": 262_144,
    "language.yaml_document.MAX_DEPTH": 12,
    "language.yaml_document.MAX_FAULTS": 100,
    "language.entity_lines._MAX_CACHED": 10_000,
    "language.entity_lines._NESTED": 6,
    "engine.expand.MAX_EXPANDED": 1_000_000,
    "engine.expand.MAX_REACH_KNOWN": 5_000,
    "analysis.explain.MAX_NEAR": 3,
    "language.fault.MAX_NEAR": 2_000,
    "language.fault.MAX_PAIRS": 1_000_000,
    "language.fault.MAX_PAIRS_TOGETHER": 3_000_000,
    "language.file_names.MAX_NESTED": 3,
    "language.file_names.MAX_SHOWN": 400,
    "language.grants._NEAR_FAMILY": 0.75,
    "engine.casbin_crosscheck.MAX_COMBINATIONS": 256,
    "engine.casbin_crosscheck.MAX_SHAPES": 200,
    "engine.casbin_crosscheck.MAX_SAMPLE": 200,
    "engine.casbin_crosscheck.MAX_RULES": 30,
    "engine.live._PATIENCE": 5.0,
    "engine.live._LOOK_SECONDS": 0.02,
    "engine.live._MAX_LOGGED_FILES": 20,
    "engine.lockout.MAX_WAYS": 1_000,
    "language.openapi.ambiguity._STEPS": 3,
    "language.openapi.ambiguity._COMPOSITE_STEPS": 5,
    "language.openapi.ambiguity._CHARACTERS": 32,
    "language.openapi.budget.MAX_STEPS": 3_000_000,
    "language.openapi.budget.MAX_STEPS_TOGETHER": 12_000_000,
    "language.openapi.budget.CHARACTERS": 6,
    "language.openapi.endpoints.MAX_PLACES": 50_000,
    "language.openapi.endpoints.MAX_KEYS": 200,
    "language.openapi.endpoints._PLACE_STEPS": 20,
    "language.openapi.endpoints._PART_STEPS": 4,
    "language.openapi.endpoints._NAME_STEPS": 8,
    "language.openapi.json_tree._PIECES": 4,
    "language.openapi.paths.MAX_LENGTH": 4_096,
    "language.openapi.paths.MAX_SEGMENTS": 60,
    "language.openapi.paths.MAX_PARAMETERS": 8,
    "language.openapi.references.MAX_FILES": 500,
    "language.openapi.references.MAX_CHAIN": 10,
    "language.openapi.servers.MAX_ADDRESSES": 1_000,
    "language.openapi.servers.MAX_ADDRESSES_TOGETHER": 20_000,
    "language.openapi.servers.MAX_PATHS": 50,
    "language.openapi.tree.MAX_DEPTH": 100,
    "language.openapi.tree.MAX_MERGED": 200_000,
    "analysis.publishers.MAX_LISTED": 3,
    "analysis.reroute.MAX_STEPS": 20_000,
    "analysis.reroute.MAX_ALL_STEPS": 300_000,
    "analysis.reroute._MAX_TOGETHER": 2,
    "analysis.reroute._PER_STEP": 8,
    "language.roles.MAX_SHOWN": 8,
    "language.rows.MAX_FAULTS_IN_FILE": 100,
    "language.rows.MAX_FAULTS_IN_ROW": 20,
    "analysis.semantic_diff.MAX_STEPS": 3_000_000,
    "analysis.semantic_diff.MAX_ALL_STEPS": 20_000_000,
    "analysis.starter._MAX_CHARACTERS": 260_144,
    "analysis.thing_change.MAX_SIMPLIFIED": 1_000,
    "analysis.callers.MAX_CLASSES": 200,
    "analysis.reach.MAX_CHOICES": 200,
    "analysis.semantic_diff.MAX_NAMED": 4,
    "analysis.shadow.MAX_DIFFERENCES": 1_000,
    "engine.snapshot.MAX_CACHED": 50_000,
    "engine.snapshot.MAX_CACHED_GRANTS": 500,
    "engine.snapshot.MAX_CACHED_BYTES": 16_777_216,
    "engine.snapshot.MAX_CACHED_CHARACTERS": 16_384,
    "engine.snapshot._DECISION_BYTES": 300,
    "engine.snapshot._STEP": 100,
    "language.source.MAX_FILE_BYTES": 25_165_824,
    "language.source.MAX_BYTES": 50_331_648,
    "language.source.MAX_FILES": 500,
    "language.source.MAX_LINE": 4_000,
    "language.source.SHOWN": 400,
    "language.source._PIECE": 100_000,
    "engine.suspended.RETRY_AFTER": 5,
    "analysis.terms.MAX_TERMS": 10_000,
    "language.upstreams.MAX_FINDINGS": 100,
    "engine.watch.LOOK_SECONDS": 1.0,
    "engine.watch._SETTLE_MS": 40,
    "engine.watch._POLLS": 60,
    "language.when.cost.MAX_STEPS": 1_000_000,
    "language.when.cost._NODE": 20,
    "language.when.cost._CONVERSION": 150,
    "language.when.cost._COPY": 30,
    "language.when.cost._CHARACTERS": 8,
    "language.when.read.MAX_ITEMS": 1_000,
    "language.when.read.MAX_CHARACTERS": 65_536,
    "language.when.read.MAX_LEVELS": 16,
    "language.when.syntax.MAX_LENGTH": 1_000,
    "language.when.syntax.MAX_DEPTH": 12,
    "analysis.explanation.MAX_NEAR": 3,
    "analysis.starter._CALLERS": 5,
    "analysis.starter._CASE_CHARACTERS": 30,
    "casbin_import.casbin_rows._PROGRESS": 20_000,
    "casbin_import.row_translator._PROGRESS": 5_000,
    "casbin_import.verification._PROGRESS": 500,
    "casbin_import.verification.NOT_FOUND": 404,
    "casbin_import.verification.NO_METHOD": 405,
    "editing.case_completion._MAX_ABOVE": 2_000,
    "editing.case_outcomes.MAX_CASES_OF_LINE": 50,
    "editing.completion.MAX_COMPLETIONS": 500,
    "editing.definition.MAX_PLACES": 100,
    "editing.hover.MAX_LISTED": 8,
    "editing.line_cells.CONDITION": 5,
    "engine.casbin_crosscheck.MAX_VERIFIED": 10_000,
    "engine.enforcer._OBJ": 1,
    "engine.enforcer._ACT": 2,
    "gc_control.MIDDLE_COLLECTION_THRESHOLD": 2,
    "gc_control.FULL_COLLECTION_THRESHOLD": 250,
    "gc_control._M_ARENA_MAX": -8,
    "language.directory._DESCRIPTORS_PAUSE_SECONDS": 0.1,
    "language.fault.MAX_WORDS": 1_000,
    "language.issuers._DEFAULT_SKEW": 5,
    "language.nearby_rows.REACH": 2_000,
    "language.openapi.ambiguity._LESS": 1,
    "language.openapi.ambiguity._LEAST": 2,
    "language.upstreams.MAX_SERVERS": 20,
}


def test_every_bound_has_its_value() -> None:
    found = {
        f"{module.name.removeprefix('app.policy.')}.{name}": value
        for module in pkgutil.walk_packages(app.policy.__path__, "app.policy.")
        for name, value in vars(import_module(module.name)).items()
        if name.isupper() and isinstance(value, int | float) and not isinstance(value, bool)
    }
    assert {name: found.get(name) for name in BOUNDS} == BOUNDS
    # Other modules import some of them.
    listed = {(name.rpartition(".")[2], value) for name, value in BOUNDS.items()}
    assert [name for name, value in found.items() if (name.rpartition(".")[2], value) not in listed] == []


WORDS: dict[str, str] = {
    "engine.resolved_subject.USER_TYPES": "user identity",
    "language.cases._KEYS": "name as given allow deny table",
    "language.permissions._RESERVED": "app app-host app-kind auth env key org org-role role user",
    "language.when.shape.SCHEMA": "subject resource action params request context",
    "language.entities._KEYS": "type id properties",
    "language.file_names.REQUIRED": "model.conf permissions.toml",
    "language.file_names.OPTIONAL": "issuers.toml",
    "language.file_names._ARCHIVE_ENDINGS": ".7z .age .asc .bz2 .gpg .gz .tar .tgz .xz .zip .zst",
    "language.file_names._FRAGMENT_ENDINGS": ".yaml .yml .json",
    "language.file_names._PAGE_ENDINGS": ".adoc .docx .html .jpg .markdown .md .odt .pdf .png .rst .svg .text .txt",
    "language.file_names._POLICY_ENDINGS": ".conf .csv .json .toml .yaml .yml",
    "analysis.findings._CHANGES": "DELETE PATCH POST PUT WEBSOCKET",
    "language.grants.FACTS": "anyone auth:jwt auth:api_key auth:oauth auth:anonymous env:live env:test "
    "app-kind:registered app-kind:document app-kind:dynamic app-kind:external",
    "language.grants._OPEN_FAMILIES": "user key role app app-kind app-host org org-role",
    "engine.limited_scopes._MARKS": "scope:: owner::",
    "engine.lockout.NAMED": "user: key: org: org-role:",
    "language.openapi.endpoints._SINCE_3_2": "query additionalOperations",
    "language.openapi.tree.FIXED": "get head post put patch delete options trace query",
    "routing.routes.METHODS": "GET HEAD POST PUT PATCH DELETE OPTIONS QUERY TRACE WEBSOCKET",
    "language.source._LEGIBLE": "cut-short early-end long-line stray-file",
    "engine.suspended.ALWAYS_DECIDED": "/healthz /readyz",
    "language.when.functions.ARITHMETIC": "+ - * / %",
    "language.when.functions.MACROS": "all exists exists_one",
    "language.when.functions.SPECIAL": "has ip_in",
    "analysis.callers._PERMISSIONS": "subject permissions",
    "analysis.findings._FOR_APPS": "/oauth/par /oauth/register /oauth/revoke /oauth/token",
    "analysis.findings._OF_USERS": "user: org: org-role:",
    "analysis.holders._APPS": "oauth",
    "analysis.organization_routes.PARAMETERS": "org_id organization_id organisation_id",
    "analysis.starter.READING": "GET HEAD QUERY OPTIONS TRACE",
    "casbin_import.casbin_rows._EFFECTS": "allow deny",
    "casbin_import.expression._COMPARISONS": "== != < > <= >= in",
    "casbin_import.import_fault.NARROWER": "left-out wider-deny",
    "casbin_import.import_options.USUAL_METHODS": "GET HEAD POST PUT PATCH DELETE OPTIONS",
    "casbin_import.import_options.DOCUMENT_METHODS": "GET HEAD POST PUT PATCH DELETE OPTIONS TRACE",
    "casbin_import.import_options._SUBJECTS": "sub subject user username role who",
    "casbin_import.import_options._DOMAINS": "dom domain tenant org organization",
    "casbin_import.import_options._OBJECTS": "obj object resource res path url uri route",
    "casbin_import.import_options._ACTIONS": "act action method operation verb",
    "casbin_import.matcher.PATTERNS": "keyMatch keyMatch2 keyMatch3 keyMatch4 keyMatch5 regexMatch",
    "casbin_import.matcher._FOREIGN": "globMatch ipMatch timeMatch eval",
    "casbin_import.settling._PERSONAL": "user: role:",
    "editing.completion._NAMES": "role fact thing",
    "engine.app_checks._READS": "GET HEAD",
    "engine.app_checks._OWN": "/api/v1/api-keys /api/v1/oauth",
    "engine.app_checks.CLOSED_TO_APPS": "/api/v1/policies /api/v1/api-keys /api/v1/all-keys /api/v1/oauth /console",
    "engine.checks._READS": "GET HEAD QUERY",
    "engine.checks._WRITES": "POST PUT PATCH DELETE",
    "engine.delegation._DELEGATED": "auth:oauth app: app-kind: app-host: consented:: on-behalf::",
    "engine.delegation._NOT_OF_USER": "auth: env: key: app: app-kind: app-host:",
    "language.caller._OF_APP": "auth:oauth app: app-kind: app-host:",
    "language.caller._OF_USER": "user: role: org: org-role:",
    "language.caller._NOT_OF_APP": "auth: env: key: user: role: org: org-role:",
    "language.caller._NOT_OF_USER": "auth: env: key: app: app-kind: app-host:",
    "language.entities._LISTS": "subjects resources",
    "language.file_names._PAGES": "README.md REFERENCE.md WALKTHROUGH.md",
    "language.issuers._RESERVED_PREFIXES": "anonymous app app-host app-kind auth env identity key org org-role role "
    "user",
    "language.issuers._ORGANIZATION_KEYS": "id role slug permissions",
    "language.openapi.endpoints.METHODS": "DELETE GET HEAD OPTIONS PATCH POST PUT QUERY TRACE",
}
SEVERITIES = {
    "warning": "duplicate-row shadowed-row contradictory-row deny-never-fires open-to-all open-head "
    "uncompared-organization "
    "over-broad "
    "unused-permission deprecated-permission unstated-proxies unproven-publishers",
    "note": "ignored-file empty-role unheld-row user-side-row ambiguous-path unroutable-path unread-path unread-method "
    "not-analysed",
}


def test_the_vocabulary_of_policies_is_fixed() -> None:
    """Sets are compared in alphabetical order, and sequences in the order of hints."""
    for name, words in WORDS.items():
        module, _, constant = name.rpartition(".")
        found = getattr(import_module(f"app.policy.{module}"), constant)
        assert (tuple(sorted(found)) if isinstance(found, frozenset) else tuple(found)) == tuple(words.split()), name


def test_every_finding_has_a_severity_and_a_description() -> None:
    for severity, codes in SEVERITIES.items():
        assert [code for code, (found, _) in KINDS.items() if found == severity] == codes.split()
    assert sum(map(len, map(str.split, SEVERITIES.values()))) == len(KINDS)
    assert all(meaning.endswith(".") for _, meaning in KINDS.values())


def test_operators_bind_as_in_cel() -> None:
    assert _LEVELS == (("||",), ("&&",), ("==", "!=", "<=", ">=", "<", ">", "in"), ("+", "-"), ("*", "/", "%"))
