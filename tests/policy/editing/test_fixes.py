"""The fixes of faults and findings: after one, the fault is gone."""

from __future__ import annotations

import pytest

from app.policy.analysis.examination import Examination, examine
from app.policy.analysis.tidy import tidy_rows
from app.policy.editing.fixes import Fix, fixes, rewritten_file
from app.policy.language.fault import Fault
from app.policy.language.source import encode, from_bytes
from tests.policy.editing.changed import changed
from tests.policy.editing.marked import BASE, ROUTES
from tests.policy.shipped import few_cases, snapshot_of

KEYS = "p, teams:read, /orgs/{org_id}/keys/{key_id}, GET, allow, subject.org.id == params.org_id\n"
GOOD = {**BASE, "keys.csv": f"{KEYS}# end\n"}


def examined(sources: dict[str, str]) -> Examination:
    return examine(lambda: from_bytes(encode(sources)), ROUTES, proxies_stated=True)


def fixes_of(sources: dict[str, str], code: str) -> list[Fix]:
    found = [
        each for finding in examined(sources).every if finding.at.code == code for each in fixes(sources, finding.at)
    ]
    assert found, examined(sources).every
    return found


def codes(sources: dict[str, str]) -> list[str]:
    return [finding.at.code for finding in examined(sources).every]


def test_the_base_has_nothing_to_fix() -> None:
    assert not {"unknown-grant", "cut-short", "effect", "duplicate-row"} & set(codes(GOOD))


ROW = "p, teams:read, /teams, GET, deny\n"


@pytest.mark.parametrize(
    ("code", "row", "title", "expected", "is_preferred"),
    [
        ("effect", "p, teams:read, /teams, GET, alow\n", "Write `allow`", ROW.replace("deny", "allow"), True),
        ("unknown-grant", "p, team:read, /teams, GET, deny\n", "Write `teams:read`", ROW, True),
        (
            "unknown-grant",
            "p, teams:read usr:u, /teams, GET, deny\n",
            "Write `user:u`",
            "p, teams:read user:u, /teams, GET, deny\n",
            True,
        ),
        ("unknown-action", "p, teams:read, /teams, GTE, deny\n", "Write `GET`", ROW, True),
        ("dead-row", "p, teams:read, /team, GET, deny\n", "Write `/teams`", ROW, True),
        ("row-type", "P, teams:read, /teams, GET, deny\n", "Write `p`", ROW, True),
        ("duplicate-row", "p, teams:read, record, read|write, allow\n", "Delete this row", "", True),
        ("shadowed-row", "p, teams:read auth:jwt, record, read, allow\n", "Delete this row", "", False),
        (
            "trailing-comment",
            "p, teams:read, /teams, GET, deny # why\n",
            "Move the comment above the row",
            f"# why\n{ROW}",
            True,
        ),
        (
            "trailing-comment",
            "p, teams:read, /teams, GET, deny,# why\n",
            "Move the comment above the row",
            f"# why\n{ROW}",
            True,
        ),
        ("trailing-comment", "  # why\n", "Remove the blanks before the comment", "# why\n", True),
        ("early-end", "# end\n", "Delete this line", "", True),
        ("unseen-character", f"\ufeff{ROW}", "Remove the byte order mark", ROW, True),
    ],
)
def test_after_its_fix_a_fault_is_gone(code: str, row: str, title: str, expected: str, is_preferred: bool) -> None:
    for before in ("", f"{ROW}# why\n") if code != "unseen-character" else ("",):
        sources = {**GOOD, "x.csv": f"{before}{row}# end\n"}
        (fix,) = [each for each in fixes_of(sources, code) if each.title == title]
        after = changed(sources, fix.changes)
        assert after == {**sources, "x.csv": f"{before}{expected}# end\n"}
        assert fix.is_preferred == is_preferred
        assert code not in codes(after)


@pytest.mark.parametrize(
    "row",
    [
        "p, teams:read, /teams, GET, deny # why\n",
        "p, reports:print, /teams, GET, deny\n",
        "\ufeffp, teams:read, /teams, GET, deny\n",
    ],
)
def test_a_line_that_was_corrected_meanwhile_has_no_fix(row: str) -> None:
    (fault,) = [each.at for each in examined({**GOOD, "x.csv": f"{row}# end\n"}).every if each.at.file == "x.csv"]
    assert fixes({**GOOD, "x.csv": f"{ROW}# end\n"}, fault) == ()
    assert fixes(GOOD, fault) == ()


def test_a_suggestion_with_two_words_makes_two_fixes() -> None:
    sources = {**GOOD, "x.csv": "p, zoe, /teams, GET, deny\n# end\n"}
    titles = [fix.title for fix in fixes_of(sources, "unknown-grant")]
    assert titles == ["Write `user:zoe`", "Write `role:zoe`"]
    assert not any(fix.is_preferred for fix in fixes_of(sources, "unknown-grant"))


@pytest.mark.parametrize(
    ("before", "behind"), [("", ""), ("\n", ""), ("\n", "# end"), ("\n", "# end\n"), ("\n\n", "# end\n")]
)
def test_a_missing_permission_can_be_added_to_the_catalogue(before: str, behind: str) -> None:
    catalogue = f"{BASE['permissions.toml'].rstrip()}{before}"
    row = "p, reports:print, /teams, GET, deny\n# end\n"
    sources = {**GOOD, "permissions.toml": catalogue + behind, "x.csv": row}
    (fix,) = [each for each in fixes_of(sources, "unknown-grant") if each.title.startswith("Add")]
    assert (fix.title, fix.is_preferred) == ("Add `reports:print` to permissions.toml", False)
    after = changed(sources, fix.changes)
    entry = '\n["reports:print"]\ntitle = "reports:print"\ngrants = "…"\n'
    assert after["permissions.toml"] == f"{catalogue}{entry}{behind}"
    assert "unknown-grant" not in codes(after)


@pytest.mark.parametrize("word", ["env:prod", "auth:jwt2", "app-kind:x"])
def test_a_reserved_word_or_a_policy_without_a_catalogue_gets_no_permission(word: str) -> None:
    sources = {**GOOD, "x.csv": f"p, {word}, /teams, GET, deny\n# end\n"}
    for each in (sources, {**sources, "x.csv": sources["x.csv"].replace(word, "reports:print")}):
        (fault,) = [finding.at for finding in examined(each).every if finding.at.code == "unknown-grant"]
        without = {file: text for file, text in each.items() if file != "permissions.toml" or each is sources}
        assert not any(fix.title.startswith("Add") for fix in fixes(without, fault))


def test_only_an_unknown_grant_is_a_missing_permission() -> None:
    sources = {**GOOD, "x.csv": "p, anyone, teams:print, read, deny\n# end\n"}
    assert fixes(sources, Fault("unknown-action", "x.csv", 1, 12, "", "", 11)) == ()
    assert len(fixes(sources, Fault("unknown-grant", "x.csv", 1, 12, "", "", 11))) == 1


def test_a_permission_that_was_added_meanwhile_is_not_added_again() -> None:
    sources = {**GOOD, "x.csv": "p, reports:print, /teams, GET, deny\n# end\n"}
    (fault,) = [finding.at for finding in examined(sources).every if finding.at.code == "unknown-grant"]
    (fix,) = [each for each in fixes(sources, fault) if each.title.startswith("Add")]
    assert not any(each.title.startswith("Add") for each in fixes(changed(sources, fix.changes), fault))


@pytest.mark.parametrize(
    "text", ["p, teams:read, /teams, GET, deny", "p, teams:read, /teams, GET, deny\n# END\n", "", "\n\n"]
)
def test_a_file_that_was_cut_short_gets_its_end(text: str) -> None:
    sources = {**GOOD, "x.csv": text}
    (fix,) = fixes_of(sources, "cut-short")
    after = changed(sources, fix.changes)
    assert after["x.csv"].endswith("# end\n")
    assert "cut-short" not in codes(after)


def test_a_route_without_a_row_gets_one_to_complete() -> None:
    (fix,) = fixes_of(dict(BASE), "unruled-route")
    after = changed(BASE, fix.changes)
    (file,) = [name for name in after if after[name] != BASE.get(name)]
    assert "p, <grants>, /orgs/{org_id}/keys/{key_id}, GET, allow\n# end\n" in after[file]


def test_the_changed_lines_of_a_file_make_its_new_text() -> None:
    files = {name: data.decode() for name, data in few_cases().items()}
    files["catalog.csv"] = files["catalog.csv"].replace(
        "# end\n", "p,catalog:read,  /api/v1/teams/**,HEAD|GET,allow\n# end\n"
    )
    for file, text in tidy_rows(snapshot_of(encode(files))).items():
        assert changed(files, [rewritten_file(files, file, text)])[file] == text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a\nb\nc", "a\nc"),
        ("a\n", "a\nb\n"),
        ("", "x\n"),
        ("a", ""),
        ("a\nb", "b"),
        ("a\nb", "a"),
        ("a\na", "a"),
        ("a", "a\na"),
        ("a\n\n", "a\n"),
        ("a", "a\nb"),
    ],
)
def test_any_two_texts_have_a_change(old: str, new: str) -> None:
    assert changed({"f": old}, [rewritten_file({"f": old}, "f", new)])["f"] == new
