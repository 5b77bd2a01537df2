"""The reports of a review, for code hosts: SARIF, JUnit, GitLab's code quality, and the comment."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from app.cli.policy.case_text import case_checks
from app.cli.policy.junit import Check, junit
from app.cli.policy.review.policy_review import PolicyReview
from app.cli.policy.sarif import sarif
from app.cli.terminal import plural

SARIF, JUNIT, QUALITY, COMMENT = "check.sarif", "cases.xml", "code-quality.json", "comment.md"
_SEVERITIES = {"error": "critical", "warning": "minor", "note": "info"}


def reports_of(review: PolicyReview, comment: str) -> Mapping[str, str]:
    """The reports by the names of their files."""
    return {
        SARIF: json.dumps(sarif(review.examination.every, review.directory), indent=2) + "\n",
        JUNIT: junit("authz policy test", _checks(review)),
        QUALITY: json.dumps(code_quality(review), indent=2) + "\n",
        COMMENT: comment,
    }


def code_quality(review: PolicyReview) -> list[dict[str, object]]:
    """The faults and findings as GitLab's code quality report has them.

    The fingerprint does not depend on the numbers of lines, which a message may have, so that GitLab recognises what
    was there before.
    """
    found: list[dict[str, object]] = []
    seen = Counter[str]()
    for result in review.examination.every:
        at = result.at
        words = f"{at.code}\0{at.file}\0{at.text or at.message}"
        seen[words] += 1
        found.append(
            {
                "description": f"{at.message} ({at.hint})" if at.hint else at.message,
                "check_name": at.code,
                "fingerprint": hashlib.sha256(f"{words}\0{seen[words]}".encode(errors="backslashreplace")).hexdigest(),
                "severity": _SEVERITIES[result.severity],
                "location": {"path": (review.directory / at.file).as_posix(), "lines": {"begin": max(at.line, 1)}},
            }
        )
    return found


def write_reports(directory: Path, reports: Mapping[str, str]) -> None:
    """Write reports into a directory, which is created. Raises OSError.

    A file that is there is replaced: a link of the repository under review could lead to any other.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in reports.items():
        (directory / name).unlink(missing_ok=True)
        with (directory / name).open("x", encoding="utf-8") as file:
            file.write(text)


def _checks(review: PolicyReview) -> list[Check]:
    """A check for each case; one that fails if they could not run."""
    if review.examination.faults:
        problem = f"the policy has {plural(len(review.examination.faults), 'fault')}, so no case was run"
        return [Check(str(review.directory), "The cases can run", problem=problem)]
    if not review.outcomes:
        return [Check(str(review.directory), "There are cases", problem="the policy has no case in tests/*.yaml")]
    return case_checks(review.outcomes, review.directory)
