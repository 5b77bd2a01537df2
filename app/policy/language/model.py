"""`model.conf`: Casbin's model, which must be the one whose meaning the rest of the policy relies on."""

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
    """Hold the file against the model, line by line. Another effect or matcher would give every row another meaning."""
    text = source.files.get(FILE)
    if text is None:
        return  # as the faults of the source say
    found = [
        (number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip() and not line.startswith("#")
    ]
    wanted = TEXT.splitlines()
    for place, want in zip_longest(found, wanted):
        number, line = place or (max(text.count("\n"), 1), "")
        if want is None:
            message, hint = f"`{line}` is not of the one model that rows are written to", "delete the line"
        elif not line:
            message, hint = f"the line `{want}` is missing", "add it"
        elif " ".join(line.split()) != want:
            message, hint = f"`{line}` is not of the one model that rows are written to", f"write `{want}`"
        else:
            continue
        message += "; own models are not supported"
        hint += f"; to bring rows of another model, see “{_GUIDE}” in policies/REFERENCE.md"
        # The first difference alone: what follows it is shifted.
        faults.append(Fault("model", FILE, number, 1, message, hint, max(len(line), 1), source.line(FILE, number)))
        return
