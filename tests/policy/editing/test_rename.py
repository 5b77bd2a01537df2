"""Renaming a role changes every row, condition and case that means it, and no other text."""

from __future__ import annotations

import pytest

from app.policy.analysis.semantic_diff import compare
from app.policy.editing.position import TextChange
from app.policy.editing.rename import NotRenamed, rename, role_at
from app.policy.language.load import parse
from app.policy.language.source import encode, from_bytes
from tests.policy.editing.changed import changed
from tests.policy.editing.marked import BASE, marked, snapshot
from tests.policy.shipped import shipped_files, snapshot_of


def renamed(text: str, new: str, file: str = "new.csv") -> dict[str, str]:
    sources, name, line, column = marked(file, text)
    return changed(sources, rename(sources, name, line, column, new))


def test_a_role_is_renamed_in_rows_conditions_and_cases() -> None:
    text = "g, org-role:editor, role:edi‸tor\ng, role:editor-in-chief, role:editor\n# end\n"
    after = renamed(text, "role:author")
    assert after["new.csv"] == "g, org-role:editor, role:author\ng, role:editor-in-chief, role:author\n# end\n"
    assert after["roles.csv"] == BASE["roles.csv"].replace("role:editor\n", "role:author\n").replace(
        "g, role:editor,", "g, role:author,"
    )
    assert "p, role:author, /teams/export, GET, deny, 'role:author' in subject.permissions" in after["teams.csv"]
    assert "as: auth:jwt role:author" in after["tests/teams.yaml"]
    assert "name: role:editor in a name" in after["tests/teams.yaml"]
    assert "# role:editor is in a comment" in after["roles.csv"]


def test_a_thing_with_the_name_of_a_role_is_not_renamed() -> None:
    text = "g, user:u, role:edi‸tor\np, teams:read, role:editor, read, allow\np, anyone, x, read, deny, 'role:editor'\n"
    assert renamed(text, "author")["new.csv"] == text.replace("role:edi‸tor", "role:author")


def test_a_comment_in_cases_is_not_renamed() -> None:
    text = "cases:\n  # role:editor\n  - as: role:edi‸tor\n"
    assert renamed(text, "author", "tests/teams.yaml")["tests/teams.yaml"] == text.replace("edi‸tor", "author")


def test_a_text_of_a_claim_is_not_a_role() -> None:
    text = "g, user:u, role:edi‸tor\np, anyone, /x, GET, deny, subject.claims.r == 'role:editor'\n# end\n"
    assert "subject.claims.r == 'role:editor'" in renamed(text, "author")["new.csv"]


def test_the_prefix_may_be_left_out() -> None:
    assert "role:author" in renamed("g, user:u, role:edi‸tor", "author")["new.csv"]


@pytest.mark.parametrize("new", ["role:Editor", "admin editor", "", "role:", "user:x", "9lives"])
def test_a_name_that_no_role_can_have_is_refused(new: str) -> None:
    with pytest.raises(NotRenamed, match="is not a role"):
        renamed("g, user:u, role:edi‸tor", new)


def test_the_name_of_another_role_is_refused() -> None:
    with pytest.raises(NotRenamed, match="exists already"):
        renamed("g, user:u, role:edi‸tor", "admin")


def test_the_same_name_changes_nothing() -> None:
    assert renamed("g, user:u, role:edi‸tor", "editor")["roles.csv"] == BASE["roles.csv"]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("new.csv", "p, teams:re‸ad, /teams, GET, allow"),
        ("new.csv", "# role:edi‸tor"),
        ("new.csv", "g, org-role:edi‸tor, teams:read"),
        ("tests/teams.yaml", "cases:\n  - name: role:edi‸tor"),
    ],
)
def test_only_a_role_can_be_renamed(file: str, text: str) -> None:
    sources, name, line, column = marked(file, text)
    assert role_at(sources, name, line, column) is None
    with pytest.raises(NotRenamed, match="only a role"):
        rename(sources, name, line, column, "other")


def test_no_verdict_of_the_shipped_policy_changes() -> None:
    files = {name: data.decode() for name, data in shipped_files().items()}
    line = next(
        number for number, row in enumerate(files["roles.csv"].split("\n"), 1) if row.startswith("g, role:editor")
    )
    column = files["roles.csv"].split("\n")[line - 1].index("role:editor") + 3
    after = changed(files, rename(files, "roles.csv", line, column, "author"))
    assert not any("role:editor" in text for name, text in after.items() if name.startswith("tests/"))
    assert compare(snapshot_of(shipped_files()), snapshot_of(encode(after))).is_empty


def test_overlapping_words_of_a_line_are_all_renamed() -> None:
    condition = "'role:editor' in subject.permissions && 'role:editor' in subject.permissions"
    text = f"p, role:edi‸tor role:admin, /x, GET, allow, {condition}"
    assert renamed(text, "a")["new.csv"].count("role:a ") == 1
    assert "role:editor" not in renamed(text, "a")["new.csv"]


def test_changes_are_in_places_of_the_texts() -> None:
    sources, name, line, column = marked("new.csv", "g, user:u, role:edi‸tor")
    for change in rename(sources, name, line, column, "author"):
        assert isinstance(change, TextChange)
        assert change.line == change.end_line
    assert parse(from_bytes(encode(BASE))).rules == snapshot().policy.rules
