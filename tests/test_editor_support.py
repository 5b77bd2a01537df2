"""The schemas of the files of a policy accept what the policy accepts, and the hooks for pre-commit run."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from app.policy.editing.toml_completion import TABLE_KEYS
from app.policy.language import issuers, permissions
from app.policy.language.fault import PolicyRefused
from app.policy.language.file_names import is_policy_file
from app.policy.language.load import parse
from app.policy.language.source import from_bytes
from app.policy.language.when.shape import SCHEMA
from tests.cli.command import command
from tests.policy.shipped import shipped_files
from tests.support.server import ROOT

EDITOR = ROOT / "scripts" / "editor"
ORDERS = ROOT / "scripts" / "casbin" / "orders.yaml"
HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
ISSUER = '[partner]\nissuer = "https://a.example"\njwks_url = "https://a.example/keys"\naudiences = ["x"]\n'


def validator(name: str) -> Draft7Validator:
    """The validator of a schema, which is valid itself."""
    schema = json.loads((EDITOR / f"{name}.schema.json").read_text())
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)


def schema_of(file: str) -> str | None:
    """The schema of a file of a policy."""
    if file in (permissions.FILE, issuers.FILE):
        return file.removesuffix(".toml")
    folder = file.partition("/")[0]
    return {"tests": "cases", "entities": "entities"}.get(folder) if "/" in file else None


def document(file: str, text: str) -> Any:
    return tomllib.loads(text) if file.endswith(".toml") else yaml.safe_load(text)


def accepted() -> Iterator[tuple[str, str]]:
    """Files that the policy accepts: the shipped ones, and those of documents."""
    for file, data in shipped_files().items():
        if schema_of(file):
            yield file, data.decode()
    for page in ("policies/README.md", "policies/REFERENCE.md", "app/identity/README.md"):
        text = (ROOT / page).read_text()
        for kind, block in re.findall(r"```(yaml|toml)\n(.*?)```", text, flags=re.DOTALL):
            if kind == "yaml" and block.startswith(("cases:", "subjects:")):
                yield "tests/a.yaml" if block.startswith("cases:") else "entities/a.yaml", block
            elif kind == "toml" and "jwks_url" in block:
                yield "issuers.toml", block


@pytest.mark.parametrize(
    ("file", "text"), [pytest.param(*each, id=f"{at}-{each[0]}") for at, each in enumerate(accepted())]
)
def test_what_the_policy_accepts_is_valid(file: str, text: str) -> None:
    errors = [error.message for error in validator(str(schema_of(file))).iter_errors(document(file, text))]
    assert errors == []


@pytest.mark.parametrize("key", ["cases", "name", "as", "allow", "deny", "given", "table"])
def test_a_misspelt_key_is_invalid(key: str) -> None:
    """In each shipped file that has the key."""
    changed = 0
    for file, data in shipped_files().items():
        text = data.decode()
        if schema_of(file) == "cases" and f"{key}:" in text:
            changed += 1
            wrong = re.sub(rf"(?m)^([ -]*){key}:", rf"\1{key}x:", text)
            assert list(validator("cases").iter_errors(document(file, wrong))), file
    assert changed or key in ("given", "table")


@pytest.mark.parametrize(
    ("file", "text", "is_valid"),
    [
        ("tests/a.yaml", "cases:\n  - {as: anyone, allow: GET /api/v1/teams}\n", True),
        ("tests/a.yaml", "cases: []\n", False),
        ("tests/a.yaml", "cases:\n  - {as: anyone}\n", False),
        ("tests/a.yaml", "cases:\n  - {as: anyone, allow: GET}\n", False),
        ("tests/a.yaml", "cases:\n  - {as: anyone, allow: [], given: {}}\n", False),
        ("tests/a.yaml", "cases:\n  - {as: 'a  b', allow: GET /api/v1/teams}\n", False),
        ("tests/a.yaml", "cases:\n  - {as: {x: anyone}, table: {GET /api/v1/teams: maybe}}\n", False),
        ("tests/a.yaml", "cases:\n  - {as: anyone, deny: GET /api/v1/teams, given: {requests: {}}}\n", False),
        ("entities/a.yaml", "subjects:\n  - {type: user, id: a, properties: {x: [1, {y: 2}]}}\n", True),
        ("entities/a.yaml", "subjects:\n  - {type: user}\n", False),
        ("entities/a.yaml", "people:\n  - {type: user, id: a}\n", False),
        ("permissions.toml", '["a:b"]\ntitle = "t"\ngrants = "g"\ndeprecated = true\n', True),
        ("permissions.toml", '["user:b"]\ntitle = "t"\ngrants = "g"\n', False),
        ("permissions.toml", '["a:b"]\ntitle = "t"\n', False),
        ("permissions.toml", '["a:b"]\ntitle = "t"\ngrants = "g"\ndeprecated = "no"\n', False),
        ("issuers.toml", ISSUER, True),
        ("issuers.toml", ISSUER.replace("audiences", "audience"), False),
        ("issuers.toml", ISSUER + "clock_skew_seconds = 301\n", False),
        ("issuers.toml", ISSUER + 'subject_prefix = "partner"\n', False),
        ("issuers.toml", ISSUER + 'organizations = {role = "r"}\n', False),
        ("issuers.toml", ISSUER.replace("partner", "settings"), False),
    ],
)
def test_schemas_and_the_policy_agree(file: str, text: str, is_valid: bool) -> None:
    errors = list(validator(str(schema_of(file))).iter_errors(document(file, text)))
    files = {**shipped_files(), file: text.encode()}
    try:
        parse(from_bytes(files))
        faults: tuple[str, ...] = ()
    except PolicyRefused as refused:
        faults = tuple(fault.message for fault in refused.faults if fault.file == file)
    assert (not errors, not faults) == (is_valid, is_valid), (errors, faults)


def test_the_lines_that_name_a_schema_are_comments() -> None:
    page = (EDITOR / "README.md").read_text()
    (for_yaml, for_toml) = re.findall(r"^    (#.*schema.*)$", page, flags=re.MULTILINE)
    files = dict(shipped_files())
    for name, line in (("tests/catalog.yaml", for_yaml), ("permissions.toml", for_toml)):
        files[name] = f"{line}\n".encode() + files[name]
    assert parse(from_bytes(files)).cases


def test_the_schemas_name_every_key() -> None:
    case = json.loads((EDITOR / "cases.schema.json").read_text())["definitions"]["case"]["properties"]
    assert case["given"]["properties"].keys() == SCHEMA.keys()
    issuer = json.loads((EDITOR / "issuers.schema.json").read_text())["additionalProperties"]["properties"]
    text = (ROOT / "app" / "policy" / "language" / "issuers.py").read_text()
    assert (
        issuer.keys()
        == set(re.findall(r'^    "(\w+)": _Key', text, flags=re.MULTILINE))
        == TABLE_KEYS[issuers.FILE].keys()
    )


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_hooks_run_on_a_policy(hook: dict[str, Any], tmp_path: Path) -> None:
    shutil.copytree(ROOT / "policies", tmp_path / "policies", ignore=shutil.ignore_patterns("*.md"))
    words = (*hook["entry"].split()[1:], "policies")
    assert command(*words, cwd=tmp_path).returncode == 0
    row = tmp_path / "policies" / "public.csv"
    row.write_text(row.read_text().replace("allow", "alow", 1))
    assert command(*words, cwd=tmp_path).returncode == 1
    assert (hook["language"], hook["pass_filenames"]) == ("python", False)


def test_a_hook_may_have_the_setting_of_a_policy_without_the_sample_api(tmp_path: Path) -> None:
    page = " ".join((EDITOR / "README.md").read_text().split())
    (words,) = re.findall(r"`entry: ([^`]+)`", page)
    assert words.removeprefix("env AUTHZ_SAMPLE_API=false ") in {hook["entry"] for hook in HOOKS}
    assert command("init", "policies", "--name", "own", "--openapi", str(ORDERS), cwd=tmp_path).returncode == 0
    env, *own = words.split()[1:]
    checked = command(*own[1:], "policies", cwd=tmp_path)
    assert (checked.returncode, "set AUTHZ_SAMPLE_API=false" in checked.stdout) == (1, True)
    assert command(*own[1:], "policies", cwd=tmp_path, env=dict([env.split("=")])).returncode == 0


def test_hooks_look_at_every_file_of_a_policy() -> None:
    names = [*shipped_files(), "issuers.toml", "entities/a.yaml", "upstreams/a.openapi.json", "upstreams/x/b.yml"]
    for hook in HOOKS:
        for name in filter(is_policy_file, names):
            assert re.search(hook["files"], f"policies/{name}"), name
            assert re.search(hook["files"], name), name
        assert not re.search(hook["files"], "policies/README.md")


def test_the_configurations_of_editors_on_the_page_are_well_formed() -> None:
    blocks = dict(re.findall(r"```(json|toml|elisp)\n(.*?)```", (EDITOR / "README.md").read_text(), flags=re.DOTALL))
    settings, helix = json.loads(blocks["json"]), tomllib.loads(blocks["toml"])
    (language,) = json.loads((EDITOR / "package.json").read_text())["contributes"]["languages"]
    assert (
        settings["glspc.server.languageId"][0] == settings["files.associations"]["**/policies/*.csv"] == language["id"]
    )
    server = helix["language-server"]["authz"]
    command_line = [server["command"], *server["args"]]
    assert command_line == [settings["glspc.server.command"], *settings["glspc.server.commandArguments"], "--stdio"][:3]
    assert all("authz" in each["language-servers"] for each in helix["language"])
    assert blocks["elisp"].count("(") == blocks["elisp"].count(")")
