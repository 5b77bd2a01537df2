"""Drafts: changes to a revision that survive a form."""

from __future__ import annotations

from app.console.draft import Draft, draft_of, new_file_fault, plain, template_of

BASE = {"a.csv": "one\n# end\n", "b.csv": "two\n# end\n"}


def draft() -> Draft:
    return Draft("p" * 16, BASE, {})


def test_the_text_of_the_base_is_not_a_change() -> None:
    changed = draft().with_text("a.csv", "other\n# end\n")
    assert changed.status("a.csv") == "changed"
    assert changed.with_text("a.csv", BASE["a.csv"]).is_empty


def test_a_file_can_be_added_deleted_and_restored() -> None:
    other = draft().with_text("c.csv", "# end\n").without("a.csv")
    assert (other.status("c.csv"), other.status("a.csv"), other.status("b.csv")) == ("new", "deleted", "")
    assert list(other.files) == ["b.csv", "c.csv"]
    assert other.names() == ["a.csv", "b.csv", "c.csv"]
    assert other.restored("a.csv").without("c.csv").is_empty


def test_line_ends_of_a_form_are_not_a_change() -> None:
    sent = f"a.csv\r\n{BASE['a.csv']}".replace("\n", "\r\n").replace("\r\r", "\r")
    assert draft_of("p", BASE, [sent], []).is_empty
    assert draft_of("p", BASE, ["a.csv\r\nx\r\n# end\r\n"], ["b.csv", "never.csv"]).files == {"a.csv": "x\n# end\n"}
    assert plain("a\rb") == "a\rb"


def test_a_draft_can_be_rebased_on_another_revision() -> None:
    mine = draft().with_text("a.csv", "mine\n# end\n").without("b.csv")
    theirs = {"a.csv": "theirs\n# end\n", "b.csv": BASE["b.csv"], "c.csv": "# end\n"}
    assert mine.clashes(theirs) == ["a.csv"]
    moved = mine.rebased("q", theirs)
    assert moved.files == {"a.csv": "mine\n# end\n", "c.csv": "# end\n"}
    assert draft().with_text("b.csv", "x").clashes(theirs) == []


def test_a_new_file_needs_the_name_of_a_policy_file() -> None:
    for good in ("new.csv", "tests/new.yaml", "entities/new.yaml"):
        assert new_file_fault(good, draft()) == ""
        assert template_of(good).endswith("# end\n")
    for bad in ("a.csv", "../x.csv", "x.txt", "deep/er/x.csv", ".csv", "", "/etc/passwd"):
        assert new_file_fault(bad, draft())
