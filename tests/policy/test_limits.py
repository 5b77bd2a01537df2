"""The bounds of the policy engine, each as it stands: a bound is moved on purpose, here as well."""

from __future__ import annotations

import pkgutil
from importlib import import_module

import app.policy
from app.policy.findings import KINDS
from app.policy.when.syntax import _LEVELS

BOUNDS: dict[str, float] = {
    "aside.SWITCH_SECONDS": 0.0005,
    "aside._STEP": 1_000,
    "case_report.MAX_SECONDS": 10.0,
    "case_report.MAX_LISTED": 20,
    "case_report.MAX_TEXT": 400,
    "case_report._LOOK_EVERY": 256,
    "case_watch._MAX_LOGGED": 3,
    "cases.MAX_CASES": 20_000,
    "catalog.MAX_CHARACTERS": 262_144,
    "catalog.MAX_FAULTS": 20,
    "cells.MAX_TERMS": 1_500,
    "change_words.MAX_NAMED": 4,
    "check.MAX_FAULTS": 100,
    "directory.MAX_NOTE_BYTES": 1_000,
    "directory.MAX_FOLDERS": 100,
    "directory._LOOKS": 5,
    "directory._PAUSE_SECONDS": 0.02,
    "directory._DESCRIPTORS_SECONDS": 20.0,
    "document.MAX_CHARACTERS": 262_144,
    "document.MAX_DEPTH": 12,
    "document.MAX_FAULTS": 100,
    "entity_lines._REMEMBERED": 10_000,
    "entity_lines._NESTED": 6,
    "expand.MAX_EXPANDED": 1_000_000,
    "expand.MAX_REACH_KNOWN": 5_000,
    "explain.MAX_NEAR": 3,
    "fault.MAX_NEAR": 2_000,
    "file_names.MAX_NESTED": 3,
    "file_names.MAX_SHOWN": 400,
    "grants._NEAR_FAMILY": 0.75,
    "judge.MAX_COMBINATIONS": 256,
    "judge.MAX_SHAPES": 200,
    "judge.MAX_SAMPLE": 200,
    "judge.MAX_RULES": 30,
    "live._PATIENCE": 5.0,
    "live._LOOK_SECONDS": 0.02,
    "live._MAX_NOTED": 20,
    "lockout.MAX_WAYS": 1_000,
    "openapi.ambiguity._STEPS": 3,
    "openapi.ambiguity._COMPOSITE_STEPS": 5,
    "openapi.ambiguity._CHARACTERS": 32,
    "openapi.budget.MAX_STEPS": 3_000_000,
    "openapi.budget.MAX_STEPS_TOGETHER": 12_000_000,
    "openapi.budget.CHARACTERS": 6,
    "openapi.endpoints.MAX_PLACES": 50_000,
    "openapi.endpoints.MAX_KEYS": 200,
    "openapi.endpoints._PLACE_STEPS": 20,
    "openapi.endpoints._PART_STEPS": 4,
    "openapi.endpoints._NAME_STEPS": 8,
    "openapi.json_tree._PIECES": 4,
    "openapi.paths.MAX_LENGTH": 4_096,
    "openapi.paths.MAX_SEGMENTS": 60,
    "openapi.paths.MAX_PARAMETERS": 8,
    "openapi.references.MAX_FILES": 500,
    "openapi.references.MAX_CHAIN": 10,
    "openapi.servers.MAX_ADDRESSES": 1_000,
    "openapi.servers.MAX_ADDRESSES_TOGETHER": 20_000,
    "openapi.servers.MAX_PATHS": 50,
    "openapi.tree.MAX_DEPTH": 100,
    "openapi.tree.MAX_MERGED": 200_000,
    "publishers.MAX_TOLD": 3,
    "reroute.MAX_STEPS": 20_000,
    "reroute.MAX_ALL_STEPS": 300_000,
    "reroute._MAX_TOGETHER": 2,
    "reroute._PER_STEP": 8,
    "roles.MAX_SHOWN": 8,
    "rows.MAX_FAULTS_IN_FILE": 100,
    "semantic_diff.MAX_STEPS": 3_000_000,
    "semantic_diff.MAX_ALL_STEPS": 20_000_000,
    "semantic_diff.MAX_NEAT": 1_000,
    "semantic_diff.MAX_NAMED": 4,
    "shadow.MAX_DIFFERENCES": 1_000,
    "snapshot.MAX_REMEMBERED": 50_000,
    "snapshot.MAX_GRANTS_REMEMBERED": 500,
    "snapshot.MAX_BYTES_REMEMBERED": 67_108_864,
    "snapshot._STEP": 100,
    "source.MAX_FILE_BYTES": 25_165_824,
    "source.MAX_BYTES": 50_331_648,
    "source.MAX_FILES": 500,
    "source.MAX_LINE": 4_000,
    "source.SHOWN": 400,
    "source._PIECE": 100_000,
    "suspended.RETRY_AFTER": 5,
    "terms.MAX_TERMS": 10_000,
    "upstreams.MAX_FINDINGS": 100,
    "watch.LOOK_SECONDS": 1.0,
    "watch._SETTLE_MS": 40,
    "watch._POLLS": 60,
    "when.cost.MAX_STEPS": 1_000_000,
    "when.cost._NODE": 20,
    "when.cost._CONVERSION": 150,
    "when.cost._COPY": 30,
    "when.cost._CHARACTERS": 8,
    "when.read.MAX_ITEMS": 1_000,
    "when.read.MAX_CHARACTERS": 65_536,
    "when.read.MAX_LEVELS": 16,
    "when.syntax.MAX_LENGTH": 1_000,
    "when.syntax.MAX_DEPTH": 12,
}


def test_every_bound_is_what_it_is_meant_to_be() -> None:
    found = {
        f"{module.name.removeprefix('app.policy.')}.{name}": value
        for module in pkgutil.walk_packages(app.policy.__path__, "app.policy.")
        for name, value in vars(import_module(module.name)).items()
        if name.isupper() and isinstance(value, int | float)
    }
    assert {name: found.get(name) for name in BOUNDS} == BOUNDS
    bounds = {value for name, value in found.items() if name.rpartition(".")[2].startswith(("MAX_", "_MAX_"))}
    assert bounds <= set(BOUNDS.values())


WORDS: dict[str, str] = {
    "asked.USER_TYPES": "user identity",
    "cases._KEYS": "name as given allow deny table",
    "catalog._RESERVED": "auth env key role user",
    "condition.VARIABLES": "subject resource action params request context",
    "entities._KEYS": "type id properties",
    "file_names.REQUIRED": "model.conf permissions.toml",
    "file_names._ARCHIVE_ENDINGS": ".7z .age .asc .bz2 .gpg .gz .tar .tgz .xz .zip .zst",
    "file_names._FRAGMENT_ENDINGS": ".yaml .yml .json",
    "file_names._PAGE_ENDINGS": ".adoc .docx .html .jpg .markdown .md .odt .pdf .png .rst .svg .text .txt",
    "file_names._POLICY_ENDINGS": ".conf .csv .json .toml .yaml .yml",
    "findings._CHANGES": "DELETE PATCH POST PUT WEBSOCKET",
    "grants.FACTS": "anyone auth:jwt auth:api_key auth:anonymous env:live env:test",
    "grants._OPEN_FAMILIES": "user key role",
    "limited_scopes._MARKS": "scope:: owner::",
    "lockout.NAMED": "user: key:",
    "openapi.endpoints._SINCE_3_2": "query additionalOperations",
    "openapi.tree.FIXED": "get head post put patch delete options trace query",
    "routes.METHODS": "GET HEAD POST PUT PATCH DELETE OPTIONS QUERY TRACE WEBSOCKET",
    "source._LEGIBLE": "cut-short early-end long-line stray-file",
    "suspended.STILL": "/healthz /readyz",
    "when.functions.ARITHMETIC": "+ - * / %",
    "when.functions.MACROS": "all exists exists_one",
    "when.functions.SPECIAL": "has ip_in",
}
SEVERITIES = {
    "warning": "duplicate-row shadowed-row contradictory-row deny-never-fires open-to-all open-head over-broad "
    "unused-permission deprecated-permission unstated-proxies unproven-publishers",
    "note": "ignored-file empty-role unheld-row ambiguous-path unroutable-path unread-path unread-method not-analysed",
}


def test_every_word_that_policies_and_their_files_may_have_is_known() -> None:
    """Sets of words are compared in alphabetical order, and the others in the order in which hints name them."""
    for name, words in WORDS.items():
        module, _, constant = name.rpartition(".")
        found = getattr(import_module(f"app.policy.{module}"), constant)
        assert (tuple(sorted(found)) if isinstance(found, frozenset) else found) == tuple(words.split()), name


def test_every_finding_has_its_severity_and_says_what_it_means() -> None:
    for severity, codes in SEVERITIES.items():
        assert [code for code, (found, _) in KINDS.items() if found == severity] == codes.split()
    assert sum(map(len, map(str.split, SEVERITIES.values()))) == len(KINDS)
    assert all(meaning.endswith(".") for _, meaning in KINDS.values())


def test_operators_bind_as_in_cel() -> None:
    assert _LEVELS == (("||",), ("&&",), ("==", "!=", "<=", ">=", "<", ">", "in"), ("+", "-"), ("*", "/", "%"))
