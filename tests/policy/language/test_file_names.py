"""Other files in a policy directory: leftovers of programs are notes, and possible policy files are refused."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import structlog

from app.policy.analysis.findings import find
from app.policy.engine.live import LivePolicy, build
from app.policy.language import write as policy_write
from app.policy.language.directory import raw_files
from app.policy.language.fault import PolicyRefused
from app.policy.language.file_names import FOLDERS, is_leftover, is_policy_file, stray_fault
from app.policy.language.load import load, parse
from app.policy.language.source import from_bytes
from tests.policy.shipped import routes, shipped_files, write

LEAVINGS = (
    "catalog.csv.bak", "catalog.csv.bak2", "catalog.csv.bak.1", "catalog.csv.orig", "catalog.csv.rej", "model.conf.old",
    "catalog.csv.tmp", "catalog.csv.tmp.4711.1764364800", "permissions.toml.BAK", "roles.csv.save", "roles.csv.swp",
    "roles.csv.dpkg-old", "roles.csv.rpmsave", "catalog.csv.backup", "catalog.csv.disabled", "catalog.csv.lock",
    "4913", "5036", "x.csv___jb_tmp___", "x.csv___jb_old___", "sedA1b2C3", "catalog.csv~", "catalog.csv.swo",
    "#catalog.csv#", "~$catalog.csv", "~syncthing~catalog.csv.tmp", "catalog.csv.part",
    "Thumbs.db", "thumbs.db", "ehthumbs.db", "desktop.ini", "Desktop.ini", "Icon\r", "lost+found", "@eaDir",
    "LICENSE", "LICENSE.txt", "LICENSE-MIT", "CODEOWNERS", "OWNERS", "NOTICE", "VERSION", "Makefile", "notes.txt",
    "CHANGELOG.md", "CHANGELOG", "README",
    "guide.rst", "review.pdf", "diagram.png",
)  # fmt: skip
STRAYS = {
    "catalog (copy).csv": "`catalog-copy.csv`",
    "catalog - Copy.csv": "delete this copy",
    "catalog copy.csv": "`catalog-copy.csv`",
    "catalog (1).csv": "delete this copy",
    "Kopie von catalog.csv": "`Kopie-von-catalog.csv`",
    "policy.CSV": "`policy.csv`",
    "policy.Csv": "`policy.csv`",
    "Permissions.TOML": "`permissions.toml`",
    "model.CONF": "`model.conf`",
    "catalog.csv.txt": "`catalog.csv`",
    "permissions.toml.txt": "`permissions.toml`",
    "permission.toml": "`permissions.toml`",
    "catalog.cvs": "`catalog.csv`",
    "catalog.tsv": "`catalog.csv`",
    "catalog": "`catalog.csv`",
    "cases.yaml": "`tests/`",
    "upstreams/orders.openapi.yml": "`orders.openapi.yaml`",
    "upstreams/orders.openapi.JSON": "`orders.openapi.json`",
    "upstreams/orders.OpenAPI.yaml": "`orders.openapi.yaml`",
    "entities/users.yml": "`users.yaml`",
    "tests/roles.YAML": "`roles.yaml`",
    "tests/roles.csv": "put rows into the policy directory itself",
    "catalog (Ann's conflicted copy 2026-01-02).csv": "merge it into the other file",
    "catalog.sync-conflict-20260102-030405-ABCDEFG.csv": "merge it into the other file",
    "tests/roles.sync-conflict-20260102-030405-ABCDEFG.yaml": "merge it into the other file",
    "catalog_REMOTE_4242.csv": "merge it into the other file",
    "catalog_BACKUP_123.csv": "merge it into the other file",
    "catalog_conflict-20261128-101010.csv": "merge it into the other file",
    "catalog-DESKTOP-AB12CD3.csv": "merge it into the other file",
    "catalog.bak.csv": "merge it into the other file",
    "catalog.orig.csv": "merge it into the other file",
    "tests/roles.old.yaml": "merge it into the other file",
    "catalog.csv.gz": "move it out",
    "roles.json": "`roles.csv`",
    "deny.csv.active": "`deny.csv`",
    "deny.csv.ACTIVE": "`deny.csv`",
    "deny.csv.policy": "`deny.csv`",
    "deny.csv.strict": "`deny.csv`",
    "deny.csv.denied": "`deny.csv`",
    "deny.csv.2026Q1": "`deny.csv`",
    "deny.csv.Xk20aQ": "`deny.csv`",
    "deny.csv.v2": "`deny.csv`",
    "deny.csv.dpkg-active": "move it out",
    "permissions.toml.strict": "`permissions.toml`",
    "entities/e.yaml.active": "`e.yaml`",
    "tests/roles.yaml.strict": "`roles.yaml`",
    "upstreams/orders.openapi.yaml.signed": "`orders.openapi.yaml`",
    "deny.tmp.CSV": "`deny.tmp.csv`",
    "deny.temp-csv": "`deny.csv`",
    "deny.tmp.policy": "move it out",
    "#deny.csv": "`deny.csv`",
    "sedentary": "`sedentary.csv`",
    "DENY": "`DENY.csv`",
    "DENY-ALL": "`DENY-ALL.csv`",
    "entities/DENY": "move it out",
    "LICENSE-csv": "`LICENSE-csv.csv`",
    "2026": "`2026.csv`",
    "4914": "`4914.csv`",
}


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("name", LEAVINGS)
def test_a_leftover_file_is_neither_policy_nor_a_fault(name: str, folder: str) -> None:
    assert is_leftover(name, is_folder=False)
    assert not is_policy_file(f"{folder}/{name}" if folder else name)


@pytest.mark.parametrize("path", STRAYS)
def test_a_file_that_may_be_intended_as_policy_is_a_fault(path: str) -> None:
    assert not is_leftover(path.rpartition("/")[2], is_folder=False)
    assert not is_policy_file(path)
    fault = stray_fault(path)
    assert (fault.code, fault.line) == ("stray-file", 0)
    assert STRAYS[path] in fault.hint
    assert "unexpected " in fault.message


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("test", "`tests`"),
        ("Tests", "`tests`"),
        ("upstream", "`upstreams`"),
        ("rules", "move it out"),
        ("RULES", ""),
        ("2026", ""),
        ("DENY", ""),
        ("LICENSE", ""),
    ],
)
def test_a_directory_that_may_contain_policy_files_is_a_fault(name: str, hint: str) -> None:
    assert not is_leftover(name, is_folder=True)
    assert hint in stray_fault(name, is_folder=True).hint


@pytest.mark.parametrize("stem", ["\x1b[2K", "\0", "a\nb", "\u202ecatalog", "a\x85", "-", "x" * 300])
@pytest.mark.parametrize(
    "pattern", ["{}", "{}.CSV", "{}.yml", "{}.yaml", "tests/{}.csv", "{}/x.csv", "x/{}.csv", "{} copy.csv"]
)
@pytest.mark.parametrize("is_folder", [False, True])
def test_the_hint_about_a_name_is_one_line(stem: str, pattern: str, is_folder: bool) -> None:
    fault = stray_fault(pattern.format(stem), is_folder=is_folder)
    assert str(fault).isprintable()
    assert len(str(fault)) < 1_000


@pytest.mark.parametrize("name", sorted(shipped_files()))
def test_the_shipped_files_are_read(name: str) -> None:
    assert is_policy_file(name)


def littered(directory: Path) -> Path:
    """A directory with the shipped policy and leftover files."""
    write(directory, shipped_files())
    (directory / "entities").mkdir()
    for name in LEAVINGS:
        for folder in ("", "tests", "entities"):
            path = directory / folder / name
            if name in ("lost+found", "@eaDir"):
                path.mkdir(mode=0)
            else:
                path.write_bytes(b"\xffp, anyone, /**, GET, allow\n")
    (directory / "tests" / "README.md").write_text("p, anyone, /**, GET, allow\n")
    (directory / ".DS_Store").write_bytes(b"\0")
    return directory


def test_leftover_files_are_notes_and_not_part_of_a_revision(tmp_path: Path) -> None:
    policy = load(littered(tmp_path / "littered"))
    plain = parse(from_bytes(shipped_files()))
    assert policy.revision == plain.revision
    assert policy.source.files == plain.source.files
    noted = [finding.at.place for finding in find(build(policy, routes())) if finding.at.code == "ignored-file"]
    assert "tests/README.md" in noted
    assert "lost+found" in noted
    assert not any(name.startswith(".") for name in noted)
    assert len(noted) == 3 * len(LEAVINGS) + 1
    assert all(name.isprintable() for name in noted)


def test_leftover_files_are_not_published_and_are_kept(tmp_path: Path) -> None:
    directory = littered(tmp_path / "littered")
    files = raw_files(directory)
    assert files == shipped_files()
    before = sorted(path.relative_to(directory) for path in directory.rglob("*"))
    policy_write.write(directory, {**files, "more.csv": b"# end\n"})
    policy_write.write(directory, files)
    assert sorted(path.relative_to(directory) for path in directory.rglob("*")) == before


def test_a_leftover_file_among_published_files_is_refused() -> None:
    with pytest.raises(PolicyRefused) as refused:
        parse(from_bytes({**shipped_files(), "catalog.csv.bak": b""}))
    assert [(fault.code, fault.file) for fault in refused.value.faults] == [("stray-file", "catalog.csv.bak")]


def test_leftover_files_are_logged_on_change(tmp_path: Path) -> None:
    live = LivePolicy(write(tmp_path / "policies", shipped_files()), routes())
    with structlog.testing.capture_logs() as logged:
        asyncio.run(live.reload())
        (live.directory / "catalog.csv.bak").touch()
        for _ in range(3):
            assert asyncio.run(live.reload()).outcome == "unchanged"
        (live.directory / "lost+found").mkdir()
        for _ in range(3):
            asyncio.run(live.reload())
    assert [entry["files"] for entry in logged] == [("catalog.csv.bak",), ("catalog.csv.bak", "lost+found")]


def test_a_stray_file_with_an_unchanged_policy_is_refused_with_all_other_faults(tmp_path: Path) -> None:
    live = LivePolicy(write(tmp_path / "policies", shipped_files()), routes())
    (live.directory / "policy.CSV").write_text("p, anyone, /**, GET, deny\n")
    assert [fault.file for fault in asyncio.run(live.reload()).faults] == ["policy.CSV"]
    rows = live.directory / "roles.csv"
    rows.write_text(rows.read_text().replace("g, role:viewer, catalog:read", "g, role:viewer, catalog:raed"))
    found = {(fault.code, fault.file) for fault in asyncio.run(live.reload()).faults}
    assert found == {("stray-file", "policy.CSV"), ("unknown-grant", "roles.csv")}


@pytest.mark.parametrize("ending", [".csv", ".yaml", ".yml", ".toml", ".conf", ".json"])
def test_a_policy_file_with_the_ending_of_a_page_is_no_leftover(ending: str) -> None:
    assert not is_leftover(f"a{ending}.txt", is_folder=False)
    assert not is_leftover(f"a{ending.upper()}.MD", is_folder=False)
    assert not is_leftover(f"a{ending}", is_folder=False)


@pytest.mark.parametrize("ending", "md markdown rst adoc txt text html pdf png svg jpg docx odt MD".split())
def test_a_page_is_a_leftover_and_a_folder_of_its_name_is_not(ending: str) -> None:
    assert is_leftover(f"a.{ending}", is_folder=False)
    assert not is_leftover(f"a.{ending}", is_folder=True)


@pytest.mark.parametrize(
    "name",
    [
        "System Volume Information",
        "$RECYCLE.BIN",
        "__MACOSX",
        "@Recycle",
        "__pycache__",
        "ehthumbs_vista.db",
        "lost+found",
    ],
)
def test_a_name_of_a_system_is_a_leftover(name: str) -> None:
    assert is_leftover(name, is_folder=True)
    assert is_leftover(name, is_folder=False)
