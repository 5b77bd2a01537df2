"""Writes faults and findings as SARIF 2.1.0 (OASIS), which code hosts show at the lines of a change."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePath
from urllib.parse import quote

from app import __version__
from app.policy.analysis.findings import KINDS, Finding
from app.policy.language.fault import Fault

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def sarif(found: Sequence[Finding], directory: Path) -> dict[str, object]:
    """A SARIF log with one run, with the results in the given order."""
    codes = list(dict.fromkeys(finding.at.code for finding in found))
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "authz policy check",
                        "version": __version__,
                        "rules": [_rule(code) for code in codes],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(finding, directory, codes) for finding in found],
            }
        ],
    }


def _rule(code: str) -> dict[str, object]:
    severity, text = KINDS.get(code, ("error", "A fault: with it the policy is refused."))
    return {"id": code, "shortDescription": {"text": text}, "defaultConfiguration": {"level": severity}}


def _result(finding: Finding, directory: Path, codes: list[str]) -> dict[str, object]:
    fault = finding.at
    text = f"{fault.message} ({fault.hint})" if fault.hint else fault.message
    return {
        "ruleId": fault.code,
        "ruleIndex": codes.index(fault.code),
        "level": finding.severity,
        "message": {"text": _without_links(text)},
        "locations": [{"physicalLocation": _location(fault, directory)}],
    }


def _without_links(text: str) -> str:
    """A message in which a quoted `[text](address)` is no link, with escaped brackets (section 3.11.6)."""
    return re.sub(r"[\\\[\]]", r"\\\g<0>", text) if "](" in text else text


def _location(fault: Fault, directory: Path) -> dict[str, object]:
    location: dict[str, object] = {"artifactLocation": {"uri": _uri(directory / fault.file)}}
    if fault.line:
        region = {"startLine": fault.line, "startColumn": fault.column, "endColumn": fault.column + fault.length}
        location["region"] = region
    return location


def _uri(path: PurePath) -> str:
    """A relative reference (RFC 3986), which hosts resolve in the repository; a `file:` URI for an absolute path."""
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())
