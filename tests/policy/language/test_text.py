"""Line breaks, the last line, and all faults of the text of files together."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from app.policy.analysis.tidy import add_end_lines
from app.policy.language.fault import PolicyRefused
from app.policy.language.load import parse
from app.policy.language.source import PolicySource, from_bytes, lines_of
from tests.policy.shipped import shipped_files
from tests.policy.small import files

ROWS = ("p, a:read, /x/**, GET, allow", "p, a:write, /x, POST, allow, \"request.ip == '::1'\"", "g, role:one, a:read")
ENTITIES = "subjects:\n  - {type: user, id: u1, properties: {team: scouts}}"


def faults(made: Mapping[str, bytes]) -> list[tuple[str, str, int]]:
    try:
        parse(from_bytes(made))
    except PolicyRefused as refused:
        return [(fault.code, fault.file, fault.line) for fault in refused.faults]
    return []


def test_crlf_gives_the_same_policy_and_revision() -> None:
    plain = files(*ROWS, entities=ENTITIES)
    for mixed in (False, True):
        crlf = {name: data.replace(b"\n", b"\r\n", 2 if mixed else -1) for name, data in plain.items()}
        assert crlf != plain
        assert parse(from_bytes(crlf)) == parse(from_bytes(plain))
    shipped = {name: data.replace(b"\n", b"\r\n") for name, data in shipped_files().items()}
    assert parse(from_bytes(shipped)).revision == parse(from_bytes(shipped_files())).revision


@pytest.mark.parametrize("wrong", [b"\r", b"\r\r\n", b"\n\r"])
def test_a_lone_cr_is_refused(wrong: bytes) -> None:
    made = files(*ROWS)
    made["rows.csv"] = made["rows.csv"].replace(b"\n", wrong, 1)
    assert [code for code, _, _ in faults(made)] == ["unseen-character"]


def test_a_change_of_line_breaks_within_an_openapi_document_is_another_revision() -> None:
    made = {**files(*ROWS), "upstreams/a.openapi.yaml": b"openapi: 3.1.0\npaths:\n  /a: {get: {}}\n"}
    crlf = {**made, "upstreams/a.openapi.yaml": made["upstreams/a.openapi.yaml"].replace(b"\n", b"\r\n")}
    assert parse(from_bytes(made)).revision != parse(from_bytes(crlf)).revision


def test_only_files_of_rows_need_a_last_line() -> None:
    made = files(*ROWS, entities=ENTITIES)
    for name in made:
        bare = {**made, name: made[name].removesuffix(b"# end\n")}
        assert faults(bare) == ([("cut-short", name, 3)] if name == "rows.csv" else []), name
        assert name == "rows.csv" or parse(from_bytes(bare)).rules == parse(from_bytes(made)).rules


def test_no_fault_of_a_text_hides_another() -> None:
    made = files("p, a:read, /x/**, GET, allow", "", "p, a:raed, /x, GET, allow", "# " + "x" * 4000)
    made["rows.csv"] = made["rows.csv"].removesuffix(b"# end\n")
    made["other.csv"] = b"\xff\n# end\n"
    made["third.csv"] = b"p, a:read, /x\n# end\n# \xe2\x80\x8b\n"
    made["entities/a.yaml"] = b"subject: []\n"
    made["catalog (copy).csv"] = b""
    assert faults(made) == [
        ("stray-file", "catalog (copy).csv", 0),
        ("unknown-key", "entities/a.yaml", 1),
        ("encoding", "other.csv", 1),
        ("unknown-grant", "rows.csv", 3),
        ("long-line", "rows.csv", 4),
        ("cut-short", "rows.csv", 4),
        ("unseen-character", "third.csv", 3),
    ]


@pytest.mark.parametrize("code", ["cut-short", "stray-file"])
def test_a_policy_with_faulty_text_is_never_built(code: str) -> None:
    files = dict(shipped_files())
    if code == "cut-short":
        files["roles.csv"] = files["roles.csv"].removesuffix(b"# end\n")
    else:
        files["policy.CSV"] = b""
    with pytest.raises(PolicyRefused) as refused:
        parse(from_bytes(files))
    assert [fault.code for fault in refused.value.faults] == [code]


def test_a_missing_model_hides_no_fault_of_a_row() -> None:
    made = files("p, a:raed, /x, GET, allow")
    del made["model.conf"]
    assert faults(made) == [("missing-file", "model.conf", 0), ("unknown-grant", "rows.csv", 1)]


@pytest.mark.parametrize("text", ["p, a:read, /x, GET, allow", "p, a:read, /x, GET, allow\n# END", "", "\n", "# end"])
@pytest.mark.parametrize("rest", ["", "\n", "\r\n", "\n\n  \n"])
def test_a_missing_last_line_is_added(text: str, rest: str) -> None:
    source = from_bytes({**files(), "rows.csv": f"{text}{rest}".encode()})
    if (text, rest) in (("# end", "\n"), ("# end", "\r\n")):
        assert not source.faults
        return
    (name, changed), *others = add_end_lines(source).items()
    assert (name, others) == ("rows.csv", [])
    assert changed == ("p, a:read, /x, GET, allow\n" if text.startswith("p") else "") + "# end\n"
    assert not from_bytes({**files(), "rows.csv": changed.encode()}).faults


@pytest.mark.parametrize(
    "spoiled",
    [lambda data: b"\xef\xbb\xbf" + data, lambda data: data + b"\xff", lambda data: "\u00a0".encode() + data],
)
@pytest.mark.parametrize("name", ["catalog.csv", "roles.csv"])
def test_a_file_that_cannot_be_read_has_one_fault(name: str, spoiled: Callable[[bytes], bytes]) -> None:
    made = shipped_files()
    assert len(faults({**made, name: spoiled(made[name])})) == 1


@pytest.mark.parametrize("name", ["rows.csv", "permissions.toml", "model.conf"])
def test_a_byte_order_mark_is_refused_with_a_fix(name: str) -> None:
    made = files(*ROWS)
    with pytest.raises(PolicyRefused) as refused:
        parse(from_bytes({**made, name: b"\xef\xbb\xbf" + made[name]}))
    (fault,) = refused.value.faults
    assert (fault.code, fault.line, fault.column) == ("unseen-character", 1, 1)
    assert "begins with a byte order mark" in fault.message and "check --fix" in fault.hint


@pytest.mark.parametrize(("number", "line"), [(-1, ""), (0, ""), (1, "a"), (2, ""), (3, "b"), (4, ""), (5, "")])
def test_a_line_is_counted_from_one(number: int, line: str) -> None:
    source = PolicySource({"x.csv": "a\n\nb\n"}, "r")
    assert source.line("x.csv", number) == line
    assert source.line("y.csv", number) == ""
    assert list(lines_of("a\n\nb\n")) == ["a", "", "b", ""]


LONG = "x" * 100_000


@pytest.mark.parametrize(
    "text",
    [
        f"p, {LONG}, /x, GET, allow",
        f"p, a:read, {LONG}, GET, allow",
        f"p, a:read, /x, {LONG}, allow",
        f"p, a:read, /x, GET, {LONG}",
        f"p, a:read, /x, GET, allow, {LONG}",
        f"p, a:read, /x, GET, allow # {LONG}",
        f'p, a:read, /x, GET, "allow" # {LONG}',
        f"g, {LONG}, a:read",
        f"{LONG}, a:read",
        f"p, a:read, /{{{LONG}}}, GET, allow",
    ],
)
def test_quoted_words_of_a_fault_are_bounded(text: str) -> None:
    with pytest.raises(PolicyRefused) as refused:
        parse(from_bytes(files(text)))
    assert {fault.line for fault in refused.value.faults} == {1}
    assert all(len(str(fault)) < 2_500 and len(fault.text) <= 400 for fault in refused.value.faults)
