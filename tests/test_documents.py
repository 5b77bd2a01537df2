"""All documents: links, reachability from the README, and wording."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from app import __version__
from tests.support.server import ROOT

FOLDERS = (".github", "app", "policies", "scripts", "tests")
FILES = sorted(
    str(file.relative_to(ROOT))
    for file in (*ROOT.iterdir(), *(found for folder in FOLDERS for found in (ROOT / folder).rglob("*")))
    if file.is_file() and not any(part in ("__pycache__", ".served", "node_modules", "dist") for part in file.parts)
)
PAGES = [name for name in FILES if name.endswith(".md")]
# These contain names of files that do not belong to this repository.
UNNAMED = (
    "tests/test_bench.py",
    "scripts/bench/table.py",
    "tests/policy/language/test_file_names.py",
    "tests/policy/language/test_malformed.py",
    "tests/test_documents.py",
)
# A command writes it.
WRITTEN = "comment.md"
# Words and phrases that have a plainer one, also within names such as `signs_nobody_in`.
RETIRED = re.compile(
    r"(?<![a-z])(parted|anew|whoever|nobody|somebody|mend(s|ed|ing)?|of[ _]ours|hangs?[ _]on|let[ _]go"
    r"|held[ _]against|thereby|wherefore|forsooth)(?![a-z])",
    re.IGNORECASE,
)
# The only files that may contain them.
QUOTING = ("tests/test_documents.py",)
TEXTS = (".py", ".html", ".css", ".js", ".ts", ".md", ".csv", ".yaml", ".toml", ".conf", ".json", "")


def links(page: str) -> list[str]:
    """The link targets of a page within this repository."""
    text = re.sub(r"^    .*$", "", (ROOT / page).read_text(), flags=re.MULTILINE)
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]


def anchors(page: Path) -> set[str]:
    """The headings of a page, as links name them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file_and_a_heading(page: str) -> None:
    for target in links(page):
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def test_the_readme_is_short_and_leads_to_every_page() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150
    found = {(ROOT / target.partition("#")[0]).resolve() for target in links("README.md")}
    assert {ROOT / page for page in PAGES} - found == {ROOT / "README.md"}


def test_the_page_for_policy_authors_names_every_file_of_the_policy() -> None:
    text = (ROOT / "policies" / "README.md").read_text()
    named = set(re.findall(r"`([^`\s]+)`", text.partition("\n## ")[0]))
    shipped = [Path(name) for name in FILES if name.startswith("policies/")]
    for file in shipped:
        within = str(file.relative_to("policies"))
        assert {within, re.sub(r"[^/]+(?=\.\w+$)", "*", within)} & named, within


ARCHITECTURE = (ROOT / "app" / "README.md").read_text()


def names_in_code(text: str, pattern: str) -> set[str]:
    """The matches of a pattern in the code spans and blocks of a text."""
    code = re.findall(r"`([^`\n]+)`", text) + re.findall(r"^ {4,}(.*)$", text, flags=re.MULTILINE)
    return {found for part in code for found in re.findall(pattern, part)}


def test_each_path_on_the_page_about_the_architecture_exists() -> None:
    paths = names_in_code(ARCHITECTURE, r"(?<![\w./-])(?:(?:app|policies|scripts|tests)/[\w./-]+|[\w-]+\.(?:toml|md))")
    added = {"app/console/labels.py"}  # by a recipe
    assert added < paths
    missing = {path for path in paths if not (ROOT / path).exists()} - added
    assert not missing, f"app/README.md names files that do not exist: {missing}"


def test_each_module_and_name_on_the_page_about_the_architecture_exists() -> None:
    modules = names_in_code(ARCHITECTURE, r"python -m ([\w.]+)")
    assert modules
    for module in modules:
        assert (ROOT / module.replace(".", "/")).with_suffix(".py").exists(), module
    names = names_in_code(ARCHITECTURE, r"^(_?[A-Z]\w+|_*[a-z]+(?:_[a-z]+)+_*|[a-z]+(?=\())(?:\(.*\))?$")
    assert {"Principal", "PROFILES", "handlers", "with_sessions"} < names
    source = "".join((ROOT / name).read_text() for name in FILES if re.match(r"(app|tests)/.*\.py", name))
    definition = r"^ *(?:class|def|async def) (\w+)|^ *(\w+)(?:: [^\n=]+)? ="
    defined = {name for pair in re.findall(definition, source, flags=re.MULTILINE) for name in pair}
    assert names - {"GET", "HEAD", "POST"} <= defined, names - defined


def test_the_table_of_folders_names_every_folder_of_the_application() -> None:
    """A folder with subfolders is described by those."""
    folders = set(re.findall(r"^\| `app/([\w/]+)/` \|", ARCHITECTURE, flags=re.MULTILINE))
    packages = {file.parent.relative_to(ROOT / "app") for file in (ROOT / "app").glob("*/__init__.py")}
    assert {folder.partition("/")[0] for folder in folders} == {str(package) for package in packages}
    for parent in ("http", "policy"):
        inside = {f"{parent}/{file.parent.name}" for file in (ROOT / "app" / parent).glob("*/__init__.py")}
        assert {folder for folder in folders if folder.startswith(f"{parent}/")} == inside


def test_the_table_of_folders_is_in_the_order_of_the_layers() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract for contract in contracts if contract["name"].startswith("Every part"))["layers"]
    ranks = {
        name.removeprefix("app."): rank for rank, layer in enumerate(reversed(layers)) for name in layer.split(" | ")
    }
    folders = [name.partition("/")[0] for name in re.findall(r"^\| `app/([\w/]+)/` \|", ARCHITECTURE, re.MULTILINE)]
    assert [ranks[folder] for folder in folders] == sorted(ranks[folder] for folder in folders)


def test_no_file_contains_a_retired_word() -> None:
    found = {}
    for name in FILES:
        file = ROOT / name
        if file.suffix in TEXTS and name not in QUOTING:
            found[name] = [match[0] for match in RETIRED.finditer(file.read_text())]
    assert not {name: words for name, words in found.items() if words}


@pytest.mark.parametrize("page", PAGES)
def test_each_row_of_a_table_has_as_many_cells_as_its_head(page: str) -> None:
    """Otherwise the rest of a row is not shown, as behind a `|` in a code span."""
    cells = 0
    for line in (ROOT / page).read_text().splitlines():
        found = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        assert not found or not cells or found == cells, line
        cells = found


@pytest.mark.parametrize("directory", ["app", "scripts", "tests", "policies"])
def test_every_page_named_in_a_file_exists(directory: str) -> None:
    """In comments, docstrings, help and messages."""
    names = {Path(page).name for page in PAGES}
    for name in FILES:
        file = ROOT / name
        if not name.startswith(f"{directory}/") or file.suffix not in (".py", ".yaml", ".conf", ".toml", ""):
            continue
        if name in UNNAMED:
            continue
        for page in re.findall(r"(?<![\w/.*-])((?:[\w.-]+/)*[A-Za-z]+\.md)\b", file.read_text()):
            known = page in PAGES or str((file.parent / page).relative_to(ROOT)) in PAGES
            is_written = Path(page).name == WRITTEN
            assert known or is_written or ("/" not in page and page in names), f"{name} names {page}"


def test_the_changelog_begins_with_the_version_of_the_program() -> None:
    versions = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert versions[0] == "Unreleased"
    assert versions[1] == __version__


def test_the_hooks_call_only_tools_of_the_environment() -> None:
    """None is downloaded."""
    repos = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repo["repo"] for repo in repos] == ["local"]
    for hook in repos[0]["hooks"]:
        assert hook["language"] == "system"
        for tool in re.findall(r"\.venv/bin/([\w-]+)", hook["entry"]):
            assert (Path(sys.executable).parent / tool).exists(), hook["id"]
        assert ".venv/bin/" in hook["entry"]
