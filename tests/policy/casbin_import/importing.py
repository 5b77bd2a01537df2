"""Imports small policies of Casbin into a small policy."""

from __future__ import annotations

import json

from app.policy.analysis.case_runner import run
from app.policy.casbin_import.casbin_policy import CasbinFiles
from app.policy.casbin_import.import_fault import ImportRefused
from app.policy.casbin_import.import_options import ImportOptions
from app.policy.casbin_import.import_run import FinishedImport, run_import
from app.policy.engine.live import build
from app.policy.engine.snapshot import Snapshot
from app.policy.language.fault import Fault
from app.policy.language.load import parse
from app.policy.language.source import from_bytes
from tests.policy.small import TABLE, files
from tests.support.casbin_policies import ALLOW

BASE = parse(
    from_bytes(
        files("p, a:read, /**, GET|POST, allow", "g, user:zoe, role:orders-admin", "g, role:orders-admin, a:read")
    )
)
ACL = "r.sub == p.sub && r.obj == p.obj && r.act == p.act"
RBAC = "g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act"
RESULTS: list[str] = []  # of the imports of a test, which are recorded


def model(
    matcher: str = RBAC,
    *,
    request: str = "sub, obj, act",
    policy: str = "sub, obj, act",
    groups: str = "g = _, _",
    effect: str = ALLOW,
) -> str:
    """The text of a model."""
    roles = f"[role_definition]\n{groups}\n" if groups else ""
    return (
        f"[request_definition]\nr = {request}\n[policy_definition]\np = {policy}\n{roles}"
        f"[policy_effect]\ne = {effect}\n[matchers]\nm = {matcher}\n"
    )


def path_model(function: str, subject: str = "r.sub == p.sub", action: str = "r.act == p.act") -> str:
    """The text of a model that compares objects by a pattern function."""
    return model(f"{subject} && {function}(r.obj, p.obj) && {action}", groups="")


def imported(text: str, *rows: str, options: ImportOptions | None = None) -> FinishedImport:
    """Import rows. Raises ImportRefused."""
    casbin = CasbinFiles("model.conf", text, {"policy.csv": "".join(f"{row}\n" for row in rows)})
    done = run_import(casbin, options or ImportOptions("orders", depth=1, samples=30), BASE, TABLE)
    found = snapshot(done)
    failed = [outcome for outcome in run(found, found.policy.cases) if not outcome.passed]
    assert failed == []
    assert done.verification.disagreements == []
    RESULTS.extend(_written(done))
    return done


def snapshot(done: FinishedImport) -> Snapshot:
    """The new policy, which has no fault."""
    return build(parse(from_bytes(done.files)), TABLE)


def faults(text: str, *rows: str, options: ImportOptions | None = None) -> list[Fault]:
    """The faults that refuse an import."""
    try:
        imported(text, *rows, options=options)
    except ImportRefused as refused:
        RESULTS.extend(f"refused: {each} [{each.code} {each.length}: {each.text}]" for each in refused.faults)
        return list(refused.faults)
    raise AssertionError("the import was not refused")


def rows_of(done: FinishedImport, file: str = "orders.csv") -> list[str]:
    """The rows of a new file, without comments."""
    text = done.files[file].decode()
    return [line for line in text.split("\n") if line and not line.startswith("#")]


def codes(done: FinishedImport, *kinds: str) -> set[str]:
    """The codes of notes of these kinds."""
    return {note.code for note in done.notes if note.kind in kinds}


def _written(done: FinishedImport) -> list[str]:
    """The rows, paths and notes of an import, each as a line."""
    found = []
    for name in sorted(done.added):
        text = done.files[name].decode()
        if name.endswith(".csv"):
            found += [line for line in text.splitlines()[1:-1] if line]  # without the heading and the end
        elif name.endswith(".json"):
            paths: dict[str, dict[str, object]] = json.loads(text)["paths"]
            found += [f"path {path}: {' '.join(each)}" for path, each in paths.items()]
    return [*found, *(f"{each.kind}: {each.place}: {each.message} ({each.hint}) [{each.code}]" for each in done.notes)]
