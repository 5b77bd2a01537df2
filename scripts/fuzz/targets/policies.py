"""Policies of which one file is changed: taken, or refused with faults that each have a place.

An input is the name of the file, a line break, and its text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from app.policy.analysis.case_runner import run
from app.policy.analysis.explain import explain
from app.policy.analysis.findings import find
from app.policy.analysis.tidy import NotTidied, tidy_rows
from app.policy.engine.live import build
from app.policy.language.fault import PolicyRefused
from app.policy.language.load import parse
from app.policy.language.source import from_bytes
from scripts.fuzz.application import MORE_FILES
from scripts.fuzz.mutations import mutated
from scripts.fuzz.places import check_faults
from scripts.fuzz.target import Check, Target, Violation
from tests.policy.malformed import MALFORMED
from tests.policy.shipped import routes, shipped_files

# Without the cases that ship, which take far longer to run than the policy to load.
FILES = {
    **{name: data for name, data in shipped_files().items() if not name.startswith("tests/")},
    **{name: text.encode() for name, text in MORE_FILES.items()},
}
_END = b"# end\n"
_MORE_TESTS = b"""cases:
  - name: a table
    as: {stranger: auth:anonymous, reader: auth:jwt catalog:read}
    given: {request: {ip: 10.0.0.1, time: 2026-11-24T08:00:00Z}, params: {team_id: '7'}}
    table:
      - GET /api/v1/teams/7: deny | allow (catalog.csv)
      - POST /api/v1/teams: deny (lacks catalog:write) | -
"""
_ISSUERS = b"""[partner]
issuer = "https://login.partner.example/"
jwks_url = "https://login.partner.example/jwks"
audiences = ["griddy"]
permissions = ["resource_access", "griddy", "roles"]
subject_prefix = "partner:"
delegated = true
organizations = {id = "org_id", role = ["org", "role"]}
"""
_MANY_PERMISSIONS = "".join(f'["spare:p{number}"]\ntitle = "t"\ngrants = "g"\n' for number in range(4_000)).encode()
EXAMPLES = (
    *(name.encode() + b"\n" + data for name, data in FILES.items()),
    b"tests/public.yaml\n" + shipped_files()["tests/public.yaml"],
    b"tests/more.yaml\n" + _MORE_TESTS,
    b"entities/more.yaml\nsubjects:\n  - type: user\n    id: bob\n    properties:\n      tags:\n        - a\n",
    b"upstreams/parts.yaml\nget: {}\n",
    b"issuers.toml\n" + _ISSUERS,
    b"permissions.toml\n" + FILES["permissions.toml"] + _MANY_PERMISSIONS,
)
_SEEDS = tuple(
    each.file.encode("utf-8", "surrogateescape") + b"\n" + each.data for each in MALFORMED if each.data is not None
)
WORDS = (
    *(
        b"allow",
        b"deny",
        b"p, ",
        b"g, ",
        b", ",
        b'"',
        b'""',
        b"#",
        b"# end\n",
        b"/**",
        b"/*",
        b"*",
        b"{id}",
        b"{",
        b"}",
        b"|",
    ),
    *(
        b"GET",
        b"HEAD",
        b"OPTIONS",
        b"anyone",
        b"auth:jwt",
        b"auth:anonymous",
        b"env:test",
        b"user:",
        b"user:a|b",
        b"key:7",
    ),
    *(
        b"role:editor",
        b"catalog:read",
        b"catalog:*",
        b"policies:write",
        b"/api/v1/teams",
        b"orders:/v1/orders",
        b"record",
    ),
    *(
        b"params.id == '7'",
        b"true",
        b"1 == 2",
        b"size(subject.permissions) > 3",
        b"has(subject.claims.a.b)",
        b"request.ip",
    ),
    *(
        b"&a",
        b"*a",
        b"!!python/object:os.system",
        b"!",
        b"<<: *a",
        b"---\n",
        b"- ",
        b": ",
        b"cases:",
        b"table:",
        b"given:",
    ),
    *(
        b"properties:",
        b"title = ",
        b"grants = ",
        b'["a:b"]',
        b"[a]",
        b"\n\n",
        b"  ",
        b"\t",
        b"yes",
        b"1:30",
        b"2026-11-24",
        b"0x1",
        b"~",
    ),
)


@contextmanager
def _opened() -> Iterator[Check]:
    build(parse(from_bytes(FILES)), routes())  # of a policy with a fault no file is read to its end
    yield check


def check(data: bytes) -> None:
    """Load and check a policy with this file."""
    name, _, text = data.partition(b"\n")
    files = {**FILES, name.decode("utf-8", "replace") or "empty": text}
    try:
        snapshot = build(parse(from_bytes(files)), routes())
    except PolicyRefused as refused:
        check_faults(refused.faults)
        return
    if name.endswith(b".csv") and not text.replace(b"\r\n", b"\n").endswith(_END):
        raise Violation("a file of rows that may have been cut short is taken")
    for finding in find(snapshot):
        str(finding)
    for outcome in run(snapshot, snapshot.policy.cases[:50]):
        str(outcome.case)
    explain(snapshot, frozenset({"anyone", "auth:jwt"}), "GET", "/api/v1/teams/7")
    try:
        tidy_rows(snapshot)
    except NotTidied:
        pass
    except PolicyRefused as refused:
        check_faults(refused.faults)


@st.composite
def _inputs_of(draw: DrawFn, bases: Sequence[bytes]) -> bytes:
    """The name mostly as it is, and a file of rows mostly with its last line, without which nothing more is read."""
    name, _, _ = draw(st.sampled_from(bases)).partition(b"\n")
    texts = [base.partition(b"\n")[2] for base in bases if base.startswith(name + b"\n")]
    text = draw(mutated(texts, WORDS))
    if name.endswith(b".csv") and draw(st.integers(0, 4)) and not text.endswith(_END):
        text = text.rstrip(b"\n") + b"\n" + _END
    if not draw(st.integers(0, 30)):
        name = draw(mutated([name], WORDS, most=300)).replace(b"\n", b"")
    return name + b"\n" + text


def _inputs(seeds: Sequence[bytes]) -> SearchStrategy[bytes]:
    return _inputs_of([*EXAMPLES, *_SEEDS, *seeds])


TARGET = Target("policies", EXAMPLES, _inputs, _opened)
