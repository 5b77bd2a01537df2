"""The JSON documents that commands print, and the JSON Schema (2020-12) of each, generated from its view types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_FAULTS = "app.cli.policy.faults_view:PolicyFaults"


@dataclass(frozen=True, slots=True)
class JsonDocument:
    """What a command prints with `--json`: one of these types, each as `module:Class`.

    With `is_list` it is a list of the type, with `is_lines` each line of the output is one document.
    """

    types: tuple[str, ...]
    is_list: bool = False
    is_lines: bool = False


_PUBLISH = "app.cli.policy.publish_view"
_ALWAYS_JSON = "decisions export"
_APP = "app.oauth.app_view"
_PERSON = "app.oauth.people_blocks:BlockedPerson"
_KEY = "app.cli.keys.view:ListedKey"

# By the words of the command.
DOCUMENTS: Mapping[str, JsonDocument] = {
    "policy check": JsonDocument(("app.cli.policy.check_view:CheckedPolicy",)),
    "policy test": JsonDocument(("app.cli.policy.cases_view:TestedPolicy", _FAULTS)),
    "policy explain": JsonDocument(
        ("app.policy.analysis.explained:ExplanationView", "app.cli.policy.explain_view:PastExplanation", _FAULTS)
    ),
    "policy reach": JsonDocument(("app.cli.policy.reach_view:ReachedEndpoints", _FAULTS)),
    "policy who": JsonDocument(("app.cli.policy.reach_view:AccessPaths", _FAULTS)),
    "policy usage": JsonDocument(("app.cli.policy.reach_view:KeyUsage", _FAULTS)),
    "policy diff": JsonDocument(("app.cli.policy.diff_view:PolicyDiff", _FAULTS)),
    "policy replay": JsonDocument(("app.audit.replay_view:ReplayResult", _FAULTS)),
    "policy history": JsonDocument(("app.history.entry_view:Entry",), is_list=True),
    "policy show": JsonDocument((f"{_PUBLISH}:ShownRevision",)),
    "policy publish": JsonDocument((f"{_PUBLISH}:PublicationResult", f"{_PUBLISH}:PublicationRefusal", _FAULTS)),
    "policy rollback": JsonDocument((f"{_PUBLISH}:PublicationResult", f"{_PUBLISH}:PublicationRefusal", _FAULTS)),
    "policy routes": JsonDocument(("app.cli.policy.routes_view:PolicyRoutes", _FAULTS)),
    "import casbin": JsonDocument(("app.cli.imports.casbin_view:CasbinImport",)),
    "keys list": JsonDocument((_KEY,), is_list=True),
    "keys revoke": JsonDocument((_KEY, "app.keys.view:RevokedKeys")),
    "keys check": JsonDocument(("app.cli.keys.view:KeysBeyondOwners", _FAULTS)),
    "apps list": JsonDocument((f"{_APP}:AppView",), is_list=True),
    "apps grants": JsonDocument(("app.oauth.app_grants:UserGrant",), is_list=True),
    "apps add": JsonDocument((f"{_APP}:AppWithSecret",)),
    "apps rotate": JsonDocument((f"{_APP}:AppWithSecret",)),
    "apps disable": JsonDocument((f"{_APP}:AppView",)),
    "apps enable": JsonDocument((f"{_APP}:AppView",)),
    "apps remove": JsonDocument((f"{_APP}:AppView",)),
    "people list": JsonDocument(("app.oauth.blocked_people:PersonBlock",), is_list=True),
    "people block": JsonDocument((_PERSON,)),
    "people unblock": JsonDocument((_PERSON,)),
    "decisions tail": JsonDocument(("app.audit.view:DecisionView",), is_lines=True),
    "decisions export": JsonDocument(
        ("app.audit.view:DecisionView", "app.audit.view:DropNotice", "app.audit.view:DeletionNotice"), is_lines=True
    ),
    "decisions head": JsonDocument(("app.cli.chain_view:ChainHeadView",), is_list=True),
    "decisions verify": JsonDocument(("app.cli.chain_view:ChainVerification",)),
    "audit": JsonDocument(("app.audit.admin_log:AdminActionView",), is_lines=True),
    "siem status": JsonDocument(("app.siem.status:SiemStatus",), is_list=True),
}


def json_schema(command: str) -> dict[str, Any]:
    """Generate the schema of what `authz COMMAND --json` prints. Raises KeyError for a command without one."""
    from msgspec.json import schema_components

    document = DOCUMENTS[command]
    of_types, definitions = schema_components(map(_imported, document.types))
    if document.is_list:
        of_types = tuple({"type": "array", "items": of_type} for of_type in of_types)
    for definition in definitions.values():
        if "properties" in definition:
            definition["additionalProperties"] = False
    what = "A line of what" if document.is_lines else "What"
    option = "" if command == _ALWAYS_JSON else " --json"
    return {
        "$schema": DIALECT,
        "$id": f"urn:griddy-authz:schema:{command.replace(' ', '-')}",
        "title": f"authz {command}",
        "description": f"{what} `authz {command}{option}` prints.",
        **(of_types[0] if len(of_types) == 1 else {"anyOf": list(of_types)}),
        "$defs": definitions,
    }


def _imported(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)
