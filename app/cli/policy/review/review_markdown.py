"""A review in Markdown, as the comment on a pull or merge request."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from app.cli.policy.case_text import failure_lines
from app.cli.policy.comparison_markdown import detail_sections, summary_sections, verdict
from app.cli.policy.fault_text import fault_lines
from app.cli.policy.markdown import Section, code, render
from app.cli.policy.review.policy_review import PolicyReview
from app.cli.terminal import Line, plural
from app.policy.language.fault import Fault

# Bytes of a comment. The hosts count characters: 65,536 on GitHub, 1,000,000 on GitLab.
LIMITS = {"github": 65_000, "gitlab": 990_000}
MARKER = re.compile(r"<!-- authz-policy-review [0-9a-f]{16} -->")


def marker(review: PolicyReview) -> str:
    """The first line of the comment, hidden, by which it is found again; it depends on the directory."""
    return f"<!-- authz-policy-review {hashlib.sha256(str(review.directory).encode()).hexdigest()[:16]} -->"


def comment_of(review: PolicyReview, commit: str, limit: int) -> str:
    """The comment: what opens and what closes, faults, cases that fail, then details."""
    head = [marker(review), f"## Policy review: {code(str(review.directory))}", *_verdicts(review)]
    return render(head, _sections(review), end=_end(review, commit), limit=limit)


def _verdicts(review: PolicyReview) -> Iterator[str]:
    faults, failed = review.examination.faults, review.failed
    if faults:
        yield f"**{plural(len(faults), 'fault')}**: this policy would be refused, and was not tested."
    if review.comparison:
        yield verdict(review.comparison)
    elif review.error:
        yield f"**Not compared**: {code(review.error)}"
    elif review.unknown:
        yield f"**Not compared**: {review.unknown}"
    if faults:
        return
    cases = plural(len(review.outcomes), "case")
    if failed:
        yield f"**{len(failed)} of {cases} failed.**"
    else:
        yield f"{cases} passed." if review.outcomes else "**There are no cases**, so nothing is proved."


def _sections(review: PolicyReview) -> Iterator[Section]:
    if review.comparison:
        yield from summary_sections(review.comparison)
    errors = [result for result in review.examination.every if result.severity == "error"]
    yield Section("Faults", [line for each in errors for line in _fault(each.at, review, "error")])
    if review.failed and review.examination.snapshot:
        source = review.examination.snapshot.policy.source
        lines = [line for each in review.failed for line in (*failure_lines(each, source, review.directory), "")]
        yield Section("Cases that fail", lines)
    warnings = [finding for finding in review.examination.findings if finding.severity == "warning"]
    lines = [line for each in warnings for line in _fault(each.at, review, "warning")]
    yield Section(plural(len(warnings), "warning"), lines, folded=True)
    if review.comparison:  # last, since a comment has a limit
        yield from detail_sections(review.comparison)


def _fault(at: Fault, review: PolicyReview, severity: str) -> Iterator[Line]:
    yield from fault_lines(at, review.directory, severity)
    yield ""


def _end(review: PolicyReview, commit: str) -> str:
    """What was compared with what."""
    words = f"Reviewed {code(commit[:10])}"
    if review.base:
        words += f" against {code(review.base[:10])}"
    if review.moved_from:
        words += f", where the directory is {code(review.moved_from)}"
    return f"{words}."
