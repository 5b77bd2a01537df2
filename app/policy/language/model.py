"""`model.conf`: Casbin's model, which must be exactly the one that rows are written for."""

from __future__ import annotations

from itertools import zip_longest

from app.policy.language.fault import Fault
from app.policy.language.source import PolicySource

FILE = "model.conf"
_GUIDE = "Rows of another model"
TEXT = """\
[request_definition]
r = held, obj, act, ctx
[policy_definition]
p = needs, obj, act, eft, when
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = r.obj == p.obj && r.act == p.act && holds(r.held, p.needs) && met(p.when, r.ctx)
"""


def check(source: PolicySource, faults: list[Fault]) -> None:
    """Compare the file with the model by line. Another effect or matcher would change the meaning of every row."""
    text = source.files.get(FILE)
    if text is None:
        return  # the source has a fault for that
    found = [
        (number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip() and not line.startswith("#")
    ]
    expected_lines = TEXT.splitlines()
    for place, expected in zip_longest(found, expected_lines):
        number, line = place or (max(text.count("\n"), 1), "")
        if expected is None:
            message, hint = f"`{line}` is not part of the supported model", "delete the line"
        elif not line:
            message, hint = f"the line `{expected}` is missing", "add it"
        elif " ".join(line.split()) != expected:
            message, hint = f"`{line}` is not part of the supported model", f"write `{expected}`"
        else:
            continue
        message += "; custom models are not supported"
        hint += f"; to convert rows of another model, see “{_GUIDE}” in policies/REFERENCE.md"
        # Only the first difference, since it shifts the lines after it.
        faults.append(Fault("model", FILE, number, 1, message, hint, max(len(line), 1), source.line(FILE, number)))
        return
