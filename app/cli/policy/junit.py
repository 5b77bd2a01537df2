"""Writes outcomes as JUnit XML, for CI systems."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from app.cli.terminal import printable


@dataclass(frozen=True, slots=True)
class Check:
    """A check that passed, or failed with a problem. CI systems list it by `group` and `name`."""

    group: str
    name: str
    line: int = 0
    problem: str = ""
    details: str = ""


def junit(suite: str, checks: Iterable[Check]) -> str:
    """A JUnit document with a test suite for each group."""
    groups: dict[str, list[Check]] = {}
    for check in checks:
        groups.setdefault(check.group, []).append(check)
    every = [check for group in groups.values() for check in group]
    root = ET.Element("testsuites", {"name": suite, **_counts(every)})
    for group, found in groups.items():
        below = ET.SubElement(root, "testsuite", {"name": group, **_counts(found)})
        for check in found:
            case = ET.SubElement(below, "testcase", classname=group, name=printable(check.name), file=group)
            if check.line:
                case.set("line", str(check.line))
            if check.problem:
                failure = ET.SubElement(case, "failure", message=printable(check.problem))
                failure.text = "\n".join(printable(line) for line in check.details.split("\n"))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=False) + "\n"


def _counts(checks: list[Check]) -> dict[str, str]:
    failed = sum(bool(check.problem) for check in checks)
    return {"tests": str(len(checks)), "failures": str(failed), "errors": "0"}
