"""The import proves its result against pycasbin, and random policies keep their verdicts."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from app.policy.casbin_import import verification
from app.policy.casbin_import.casbin_functions import matches, pattern_error
from app.policy.casbin_import.casbin_policy import CasbinFiles, read_casbin
from app.policy.casbin_import.casbin_rows import read_rows
from app.policy.casbin_import.import_fault import ImportRefused
from app.policy.casbin_import.import_options import ImportOptions
from app.policy.casbin_import.import_run import run_import
from app.policy.casbin_import.importer import import_policy
from app.policy.casbin_import.model_file import read_model
from app.policy.casbin_import.path_pattern import AnySegment, PathPattern, patterns_of
from app.policy.casbin_import.questions import QuestionMaker
from app.policy.casbin_import.verification import verify
from app.policy.engine.live import build
from app.policy.language.load import parse
from app.policy.language.source import encode, from_bytes
from tests.policy.casbin_import.importing import BASE, model
from tests.policy.small import TABLE
from tests.support.casbin_policies import ALLOW_AND_DENY, random_casbin

FILES = CasbinFiles(
    "model.conf",
    model(policy="sub, obj, act, eft", effect=ALLOW_AND_DENY),
    {
        "policy.csv": "p, staff, stock, read, allow\np, ann, stock, read, deny\np, staff, price, read, allow\n"
        "g, ann, staff\ng, bob, staff\n"
    },
)
REFUSALS = {"unstated-deny", "nothing-left", "matching", "casbin-pattern", "role-chain"}


@pytest.mark.parametrize(
    ("old", "new", "is_wider"),
    [
        (", orders:stock, read, deny", ", orders:stock, write, deny", True),
        ("p, role:orders-staff, orders:stock, read, allow", "p, anyone, orders:stock, read, allow", True),
        ("p, user:ann, orders:stock, read, deny", "p, user:bob, orders:stock, read, deny", True),
        ("p, user:ann, orders:stock, read, deny", "p, anyone, orders:stock, read, deny", False),
        ("p, role:orders-staff, orders:stock, read", "p, user:carl, orders:stock, read", False),
        ("g, user:bob, role:orders-staff", "g, user:carl, role:orders-staff", False),
    ],
)
def test_a_wrong_result_is_noticed(old: str, new: str, is_wider: bool) -> None:
    casbin, options = read_casbin(FILES), ImportOptions("orders", samples=100)
    imported = import_policy(casbin, options, BASE, TABLE)
    wrong = {name: text.replace(old, new) for name, text in imported.files.items()}
    assert wrong != imported.files
    wrong["orders.csv"] = wrong["orders.csv"].replace("write, deny", "read, deny, false")
    snapshot = build(parse(from_bytes(encode({**BASE.source.files, **wrong}))), TABLE)
    found = verify(casbin, FILES, replace(imported, files=wrong), snapshot, options)
    assert found.disagreements
    assert found.equal + found.unnamed + found.narrower + len(found.disagreements) == found.asked
    assert any(not each.casbin for each in found.disagreements) is is_wider


def test_a_user_whom_others_inherit_from_is_asked_about_as_a_user() -> None:
    """A user who is named like a role may lose access, but not one whom the options state to be a user."""
    files = CasbinFiles("model.conf", model(), {"policy.csv": "p, boss, stock, read\ng, ann, boss\n"})
    options = ImportOptions("orders", subjects={"boss": "user:boss"})
    casbin = read_casbin(files)
    imported = import_policy(casbin, options, BASE, TABLE)
    roles = imported.files["orders_roles.csv"]
    wrong = {**imported.files, "orders_roles.csv": roles.replace("g, user:boss, role:orders-boss\n", "")}
    assert wrong != imported.files
    snapshot = build(parse(from_bytes(encode({**BASE.source.files, **wrong}))), TABLE)
    found = verify(casbin, files, replace(imported, files=wrong), snapshot, options)
    assert "boss" in {each.question.caller.subject for each in found.disagreements}


def test_the_proof_allows_for_a_last_slash_only_on_request() -> None:
    files = CasbinFiles("model.conf", model(), {"policy.csv": "p, ann, /orders/, GET\n"})
    casbin, lenient = read_casbin(files), ImportOptions("orders", ignores_last_slash=True)
    imported = import_policy(casbin, lenient, BASE, TABLE)
    snapshot = build(parse(from_bytes(encode({**BASE.source.files, **imported.files}))), TABLE)
    assert verify(casbin, files, imported, snapshot, lenient).disagreements == []
    found = verify(casbin, files, imported, snapshot, ImportOptions("orders")).disagreements
    assert {(each.question.request[1], each.casbin) for each in found} == {("/orders", False)}


def test_random_requests_are_mostly_about_paths_and_things_that_the_files_name() -> None:
    files = CasbinFiles("model.conf", model(), {"policy.csv": "p, ann, /a/b/c, GET\np, ann, stock, read\n"})
    casbin, options = read_casbin(files), ImportOptions("orders")
    imported = import_policy(casbin, options, BASE, TABLE)
    snapshot = build(parse(from_bytes(encode({**BASE.source.files, **imported.files}))), TABLE)
    asked = [each.resource for each in QuestionMaker(casbin, imported, snapshot, options).some(400)]
    assert asked.count("orders:/a/b/c") > 60
    assert asked.count("orders:stock") > 60
    others = set(asked) - {"orders:/a/b/c", "orders:stock", "orders:no-such-thing"}
    assert all(each.startswith("orders:/") for each in others)
    assert {each.count("/") for each in others} >= {2, 3, 4, 5}


def test_a_sample_of_many_requests_is_also_about_what_is_allowed() -> None:
    rows = [f"p, user{number}, {'/orders' if number % 2 else 'thing'}{number}, GET" for number in range(80)]
    rows += [f"p, role{number}, stock{number}, read" for number in range(20)]
    rows += [f"g, user{number}, role{number % 20}" for number in range(80)]
    files = CasbinFiles("model.conf", model(), {"policy.csv": "\n".join(rows)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verification, "MAX_ROWS_LOOKED_AT", 1)
        found = run_import(files, ImportOptions("orders", samples=0), BASE, TABLE).verification
    assert (found.named, found.disagreements) == (verification.LEAST, [])
    assert found.all_named > 1_000 * found.named
    assert sum(case.allowed for case in found.cases) >= verification.LEAST // 2
    assert sum(not case.allowed for case in found.cases) >= verification.LEAST // 4


def test_an_import_says_how_far_it_is() -> None:
    said: list[str] = []
    files = CasbinFiles("model.conf", model(), {"policy.csv": "p, ann, stock, read\n" * 20_001})
    read_rows(read_model(files.model_file, files.model), files.rows, said.append)
    rows = "".join(f"p, ann, stock{number}, read\n" for number in range(5_001))
    casbin = read_casbin(CasbinFiles("model.conf", model(), {"policy.csv": rows}), said.append)
    import_policy(casbin, ImportOptions("orders"), BASE, TABLE, said.append)
    run_import(FILES, ImportOptions("orders", samples=501), BASE, TABLE, said.append)
    assert said == [
        "20,000 rows read",
        "5,000 of 5,001 rows carried over",
        "the new policy is built",
        "500 random requests compared with pycasbin",
    ]


@pytest.mark.parametrize("seed", range(40))
def test_random_policies_keep_their_verdicts(seed: int) -> None:
    """Each import is compared with pycasbin on up to 100 named and 30 random requests, or refused."""
    made = random_casbin(seed)
    try:
        done = run_import(
            made.files, ImportOptions("orders", depth=1, samples=30, seed=seed, matching=made.matching), BASE, TABLE
        )
    except ImportRefused as refused:
        assert {fault.code for fault in refused.faults} & REFUSALS
        return
    assert done.verification.disagreements == []


TEXTS = ("a", "ab", "b", "7", "v1.0", "v1x0", "x_y", "a-b")
PATTERNS = {
    "keyMatch": ("/a", "/a/*", "/a*", "/*/b", "*"),
    "keyMatch2": ("/a/:id", "/a/*", "/:x/:y", "/a/*/b", "/v1.0/:id", "/a/", "*", "/"),
    "keyMatch3": ("/a/{id}", "/{x}/b/*", "/a/{id}.json"),
    "keyMatch4": ("/{x}/{x}", "/a/{x}/b"),
    "keyMatch5": ("/a/{id}", "/a/*"),
    "regexMatch": (
        *("^/a/[^/]+$", "/a", "^/(a|b)/?$", "^/a/.*b$", "^/a.?$", "^/[a-z]+/7", "^/a(/b)?$", ".*"),
        *("^/a/.$", "^/a/.?$", "^/a/..$", "^/a/.{3}$", "^/./b$", "^/.+/b$"),
        *("^/a/[^/]$", "^/a/[^/]?$", "^/a/[^/]*$", "^/a/[^/]{2}$", "^/[^/]+?/b$"),
    ),
}


@pytest.mark.parametrize(("function", "value"), [(name, each) for name, some in PATTERNS.items() for each in some])
def test_exact_patterns_match_what_casbins_function_does(function: str, value: str) -> None:
    found = patterns_of(function, value)
    assert pattern_error(function, value) is None
    is_exact = not found.fault and found.equal is None and all(pattern.is_exact for pattern in found.patterns)
    chosen = random.Random(f"{function} {value}")
    for _ in range(300):
        parts = [chosen.choice(TEXTS) for _ in range(chosen.randrange(5))]
        path = "/" + "/".join(parts)
        own = any(_fits(pattern, parts) for pattern in found.patterns)
        spelled = (path, f"{path}/") if any(pattern.ends_with_slash for pattern in found.patterns) else (path,)
        casbin = any(matches(function, text, value) for text in spelled)
        assert own == casbin if is_exact else casbin or not own or found.equal, path


def _fits(pattern: PathPattern, parts: list[str]) -> bool:
    """Whether the exact segments of a pattern match those of a path."""
    if pattern.gap_at is not None or len(parts) < len(pattern.segments):
        return False
    behind = len(parts) - len(pattern.segments)
    if behind and not pattern.has_tail:
        return False
    if pattern.has_tail and not behind and parts:
        return False  # only the path with a last slash matches
    return all(isinstance(own, AnySegment) or own == part for own, part in zip(pattern.segments, parts, strict=False))
