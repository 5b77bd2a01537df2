"""`authz lsp` as an editor uses it: one session of pytest-lsp for all tests."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from lsprotocol import types
from pytest_lsp import LanguageClient, client_capabilities, make_test_lsp_client

from tests.support.server import AUTHZ, ROOT

pytestmark = pytest.mark.anyio

SECONDS = 20.0
TEAMS = "p, catalog:read, /api/v1/teams/**, GET|HEAD, "


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the shipped policy, within a workspace."""
    directory = tmp_path_factory.mktemp("workspace").resolve() / "service" / "policies"
    shutil.copytree(ROOT / "policies", directory, ignore=shutil.ignore_patterns("*.md"))
    return directory


@pytest.fixture(scope="module")
async def client(policies: Path) -> AsyncIterator[LanguageClient]:
    """An editor with the capabilities of Visual Studio Code, whose workspace has a policy."""
    started = make_test_lsp_client()
    await started.start_io(str(AUTHZ), "lsp", "--stdio")
    folder = types.WorkspaceFolder(policies.parents[1].as_uri(), "workspace")
    capabilities = client_capabilities("visual-studio-code")
    await started.initialize_session(
        types.InitializeParams(capabilities, root_uri=folder.uri, workspace_folders=[folder])
    )
    yield started
    await started.shutdown_session()
    stop: Callable[[], Awaitable[None]] = started.stop  # it states no type
    await stop()


class EditedFile:
    """A file that is open in the client."""

    def __init__(self, client: LanguageClient, path: Path) -> None:
        self.client = client
        self.path = path
        self.uri = self.path.as_uri()
        self.version = 1
        self.text = self.path.read_text() if self.path.exists() else ""
        item = types.TextDocumentItem(self.uri, "griddy-policy", self.version, self.text)
        client.text_document_did_open(types.DidOpenTextDocumentParams(item))

    def change(self, text: str) -> None:
        self.version += 1
        self.text = text
        identifier = types.VersionedTextDocumentIdentifier(self.version, self.uri)
        whole = types.TextDocumentContentChangeWholeDocument(text)
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(identifier, [whole]))

    def add(self, rows: str) -> int:
        """Add rows before the last line; returns the index of the first of them."""
        self.change(self.text.removesuffix("# end\n") + rows + "# end\n")
        return self.text.count("\n") - rows.count("\n") - 1

    def close(self) -> None:
        identifier = types.TextDocumentIdentifier(self.uri)
        self.client.text_document_did_close(types.DidCloseTextDocumentParams(identifier))

    @property
    def identifier(self) -> types.TextDocumentIdentifier:
        return types.TextDocumentIdentifier(self.uri)

    @property
    def codes(self) -> list[object]:
        """The codes of what is shown in the file."""
        return [each.code for each in self.client.diagnostics.get(self.uri, [])]


async def until(check: Callable[[], bool]) -> None:
    """Wait until something is shown."""
    async with asyncio.timeout(SECONDS):
        while not check():
            await asyncio.sleep(0.01)


async def test_what_is_found_follows_the_text(client: LanguageClient, policies: Path) -> None:
    file = EditedFile(client, policies / "catalog.csv")
    line = file.add(f"# \U0001f600\n{TEAMS}alow\n")
    await until(lambda: "effect" in file.codes)
    (shown,) = [each for each in client.diagnostics[file.uri] if each.code == "effect"]
    assert shown.severity == types.DiagnosticSeverity.Error
    assert shown.source == "authz"
    assert shown.message == "the effect must be `allow` or `deny`, not `alow`\nhint: did you mean `allow`?"
    assert shown.range == types.Range(types.Position(line + 1, len(TEAMS)), types.Position(line + 1, len(TEAMS) + 4))
    file.change(file.path.read_text())
    await until(lambda: not file.codes)
    file.close()


async def test_columns_are_counted_in_units_of_the_editor(client: LanguageClient, policies: Path) -> None:
    file = EditedFile(client, policies / "catalog.csv")
    # In quotes a condition may have any text.
    line = file.add(f"{TEAMS}allow, subject.claims.x == '\U0001f600\U0001f600' && nothing\n")
    await until(lambda: "condition" in file.codes)
    (shown,) = [each for each in client.diagnostics[file.uri] if each.code == "condition"]
    text = file.text.split("\n")[line]
    assert shown.range.start.character == len(text[: text.index("nothing")].encode("utf-16-le")) // 2
    file.close()
    await until(lambda: not file.codes)


async def test_findings_of_other_files_are_shown_and_cleared(client: LanguageClient, policies: Path) -> None:
    file = EditedFile(client, policies / "permissions.toml")
    other = (policies / "catalog.csv").as_uri()
    file.change(file.text.replace('["catalog:write"]', '["catalog:change"]'))
    await until(lambda: bool(client.diagnostics.get(other)))
    assert {each.code for each in client.diagnostics[other]} == {"unknown-grant"}
    file.close()
    await until(lambda: not client.diagnostics[other])


async def test_a_new_file_and_a_deleted_one_are_a_part_of_the_policy(client: LanguageClient, policies: Path) -> None:
    path = policies / "extra.csv"
    path.write_text(f"{TEAMS}deny\n")
    event = types.FileEvent(path.as_uri(), types.FileChangeType.Created)
    client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams([event]))
    await until(lambda: bool(client.diagnostics.get(path.as_uri())))
    path.unlink()
    client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams([event]))
    await until(lambda: not client.diagnostics[path.as_uri()])


async def test_completions_replace_what_was_typed(client: LanguageClient, policies: Path) -> None:
    file = EditedFile(client, policies / "catalog.csv")
    line = file.add("p, catalog:r auth:jwt, /api\n")
    found = await client.text_document_completion_async(
        types.CompletionParams(file.identifier, types.Position(line, 12))
    )
    assert isinstance(found, types.CompletionList)
    first = found.items[0]
    assert (first.label, first.detail) == ("catalog:read", "Read the catalog")
    assert isinstance(first.text_edit, types.TextEdit)
    assert first.text_edit.range == types.Range(types.Position(line, 3), types.Position(line, 12))
    file.close()


async def test_a_hover_says_what_a_grant_means(client: LanguageClient, policies: Path) -> None:
    file = EditedFile(client, policies / "catalog.csv")
    found = await client.text_document_hover_async(types.HoverParams(file.identifier, types.Position(3, 8)))
    assert found is not None
    assert isinstance(found.contents, types.MarkupContent)
    assert found.contents.value.startswith("**catalog:read**: ")
    assert found.range == types.Range(types.Position(3, 3), types.Position(3, 15))
    file.close()


async def test_a_case_leads_to_the_row_that_decides_it(client: LanguageClient, policies: Path) -> None:
    file = EditedFile(client, policies / "tests/catalog.yaml")
    line = next(number for number, text in enumerate(file.text.split("\n")) if "GET|HEAD /api/v1/teams/7: " in text)
    await until(lambda: file.uri in client.diagnostics)
    found = await client.text_document_definition_async(
        types.DefinitionParams(file.identifier, types.Position(line, 25))
    )
    assert isinstance(found, list)
    (place,) = found
    assert isinstance(place, types.Location)
    row = (policies / "catalog.csv").read_text().split("\n")[place.range.start.line]
    assert (place.uri, row) == ((policies / "catalog.csv").as_uri(), f"{TEAMS}allow")
    file.close()


async def test_a_role_is_renamed_in_all_files(client: LanguageClient, policies: Path) -> None:
    file = EditedFile(client, policies / "roles.csv")
    line = file.text.split("\n").index("g, role:editor, catalog:write")
    prepared = await client.text_document_prepare_rename_async(
        types.PrepareRenameParams(file.identifier, types.Position(line, 6))
    )
    assert isinstance(prepared, types.PrepareRenamePlaceholder)
    assert prepared.placeholder == "role:editor"
    edit = await client.text_document_rename_async(
        types.RenameParams(file.identifier, types.Position(line, 6), "role:author")
    )
    assert edit is not None
    changes = edit.document_changes or []
    documents = {each.text_document.uri: each for each in changes if isinstance(each, types.TextDocumentEdit)}
    assert file.uri in documents
    assert (policies / "tests" / "roles.yaml").as_uri() in documents
    assert documents[file.uri].text_document.version == file.version
    assert (
        await client.text_document_prepare_rename_async(
            types.PrepareRenameParams(file.identifier, types.Position(line, 20))
        )
        is None
    )
    with pytest.raises(Exception, match="exists already"):
        await client.text_document_rename_async(types.RenameParams(file.identifier, types.Position(line, 6), "viewer"))
    file.close()


async def test_a_fault_has_its_fix_as_an_action(client: LanguageClient, policies: Path) -> None:
    file = EditedFile(client, policies / "catalog.csv")
    line = file.add(f"{TEAMS}alow\n")
    await until(lambda: "effect" in file.codes)
    place = types.Position(line, len(TEAMS) + 1)
    params = types.CodeActionParams(
        types.TextDocumentIdentifier(file.uri), types.Range(place, place), types.CodeActionContext([])
    )
    (action,) = await client.text_document_code_action_async(params) or []
    assert isinstance(action, types.CodeAction)
    assert (action.title, action.kind, action.is_preferred) == ("Write `allow`", types.CodeActionKind.QuickFix, True)
    assert action.edit is not None
    (document,) = action.edit.document_changes or []
    assert isinstance(document, types.TextDocumentEdit)
    (change,) = document.edits
    assert isinstance(change, types.TextEdit)
    assert change.new_text == "allow"
    assert change.range == types.Range(types.Position(line, len(TEAMS)), types.Position(line, len(TEAMS) + 4))
    file.close()
    await until(lambda: not file.codes)


async def test_all_rows_are_tidied_by_one_action(client: LanguageClient, policies: Path) -> None:
    file = EditedFile(client, policies / "catalog.csv")
    file.add("p,catalog:read,/api/v1/teams/**,HEAD|GET,deny,  request.ip == '10.0.0.1'\n")
    await until(lambda: "unstated-proxies" in file.codes)
    everywhere = types.Range(types.Position(0, 0), types.Position(0, 0))
    context = types.CodeActionContext([], only=[types.CodeActionKind.SourceFixAll])
    params = types.CodeActionParams(types.TextDocumentIdentifier(file.uri), everywhere, context)
    (action,) = await client.text_document_code_action_async(params) or []
    assert isinstance(action, types.CodeAction)
    assert action.edit is None
    resolved = await client.code_action_resolve_async(action)
    assert resolved.edit is not None
    changes = [each for each in resolved.edit.document_changes or [] if isinstance(each, types.TextDocumentEdit)]
    (document,) = [each for each in changes if each.text_document.uri == file.uri]
    written = "".join(each.new_text for each in document.edits if isinstance(each, types.TextEdit))
    assert "p, catalog:read, /api/v1/teams/**, GET|HEAD, deny, \"request.ip == '10.0.0.1'\"" in written
    file.close()
    await until(lambda: not file.codes)


async def test_a_file_outside_of_any_policy_has_no_answers(client: LanguageClient, policies: Path) -> None:
    for uri in (
        "untitled:Untitled-1",
        (policies.parent / "other.csv").as_uri(),
        "file:///",
        "http://x/y.csv",
        "file:///%00",
        f"{policies.as_uri()}/%2e%2e/other.csv",
        f"{policies.as_uri()}/tests/../catalog.csv",
        f"{policies.parent.as_uri()}/../service/policies/catalog.csv",
    ):
        client.text_document_did_open(
            types.DidOpenTextDocumentParams(types.TextDocumentItem(uri, "csv", 1, "p, catalog:read"))
        )
        identifier, place = types.TextDocumentIdentifier(uri), types.Position(0, 5)
        assert await client.text_document_completion_async(types.CompletionParams(identifier, place)) is None
        assert await client.text_document_hover_async(types.HoverParams(identifier, place)) is None
        assert not await client.text_document_definition_async(types.DefinitionParams(identifier, place))
        client.text_document_did_close(types.DidCloseTextDocumentParams(identifier))
    assert not client.messages
