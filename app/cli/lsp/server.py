"""The features of the language server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams

from app.cli.lsp.actions import code_actions, tidied
from app.cli.lsp.folder import Deployment, PolicyFolder
from app.cli.lsp.messages import completion_item, workspace_edit
from app.cli.lsp.policy_server import PolicyLanguageServer
from app.cli.lsp.positions import EditorText
from app.policy.editing.completion import completions
from app.policy.editing.definition import definitions
from app.policy.editing.hover import hover
from app.policy.editing.rename import NotRenamed, rename, role_at
from app.policy.language.fault import Fault
from app.policy.language.load import Policy
from app.policy.routing.routes import RouteTable

_TRIGGERS = [" ", ",", "|", ".", "/", ":", "'"]
_WATCHED = "**/*.{csv,toml,conf,yaml,json}"
_Server = PolicyLanguageServer


def create_server(
    table: RouteTable, find_more: Callable[[Policy], list[Fault]], *, proxies_stated: bool
) -> PolicyLanguageServer:
    """Create a server for policies over these routes. `find_more` finds the faults of this deployment alone."""
    server = PolicyLanguageServer(Deployment(table, find_more, proxies_stated))
    _add_documents(server)
    _add_workspace(server)
    _add_reading(server)
    _add_changes(server)
    return server


def _add_workspace(server: PolicyLanguageServer) -> None:
    @server.feature(types.INITIALIZED)
    async def initialized(ls: _Server, _: types.InitializedParams) -> None:
        for uri in [*ls.workspace.folders] or filter(None, [ls.workspace.root_uri]):
            await ls.search(uri)
        workspace = ls.client_capabilities.workspace
        watching = workspace.did_change_watched_files if workspace else None
        if watching and watching.dynamic_registration:
            options = types.DidChangeWatchedFilesRegistrationOptions([types.FileSystemWatcher(_WATCHED)])
            method = types.WORKSPACE_DID_CHANGE_WATCHED_FILES
            params = types.RegistrationParams([types.Registration("policy-files", method, options)])
            await ls.client_register_capability_async(params)
        await ls.read_log()

    @server.feature(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)
    async def folders_changed(ls: _Server, params: types.DidChangeWorkspaceFoldersParams) -> None:
        for folder in params.event.added:
            await ls.search(folder.uri)

    @server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def files_changed(ls: _Server, params: types.DidChangeWatchedFilesParams) -> None:
        found = [ls.find(event.uri) for event in params.changes]
        for folder in {each[0].directory: each[0] for each in found if each}.values():
            ls.schedule(folder)


def _add_documents(server: PolicyLanguageServer) -> None:
    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def opened(ls: _Server, params: types.DidOpenTextDocumentParams) -> None:
        ls.open(params.text_document.uri, params.text_document.version, params.text_document.text)

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def changed(ls: _Server, params: types.DidChangeTextDocumentParams) -> None:
        document = ls.workspace.get_text_document(params.text_document.uri)
        ls.open(params.text_document.uri, params.text_document.version, document.source)

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def closed(ls: _Server, params: types.DidCloseTextDocumentParams) -> None:
        ls.close(params.text_document.uri)

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    def saved(ls: _Server, params: types.DidSaveTextDocumentParams) -> None:
        if found := ls.find(params.text_document.uri):
            ls.schedule(found[0])


class _RequestPlace:
    """A position of a request: the directory and file, the text of all its files, line and column."""

    def __init__(self, ls: PolicyLanguageServer, folder: PolicyFolder, file: str, position: types.Position) -> None:
        self.folder = folder
        self.file = file
        self.sources = folder.sources()
        self.text: EditorText = folder.text_in_editor(file, ls.encoding)
        self.line, self.column = self.text.place(position)


def _place(
    ls: PolicyLanguageServer, document: types.TextDocumentIdentifier, position: types.Position
) -> _RequestPlace | None:
    found = ls.find(document.uri)
    return _RequestPlace(ls, *found, position) if found else None


def _add_reading(server: PolicyLanguageServer) -> None:
    @server.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=_TRIGGERS))
    def complete(ls: _Server, params: types.CompletionParams) -> types.CompletionList | None:
        at = _place(ls, params.text_document, params.position)
        if at is None:
            return None
        found = completions(at.sources, at.folder.table, at.file, at.line, at.column)
        items = [completion_item(each, order, at.text) for order, each in enumerate(found)]
        return types.CompletionList(is_incomplete=True, items=items)

    @server.feature(types.TEXT_DOCUMENT_HOVER)
    def show(ls: _Server, params: types.HoverParams) -> types.Hover | None:
        at = _place(ls, params.text_document, params.position)
        if at is None:
            return None
        found = hover(
            at.sources,
            at.folder.table,
            at.file,
            at.line,
            at.column,
            snapshot=at.folder.snapshot,
            last_uses=ls.last_uses,
        )
        if found is None:
            return None
        return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, found.text), at.text.range_of(found.span))

    @server.feature(types.TEXT_DOCUMENT_DEFINITION)
    def define(ls: _Server, params: types.DefinitionParams) -> list[types.Location]:
        at = _place(ls, params.text_document, params.position)
        if at is None:
            return []
        spans = definitions(at.sources, at.file, at.line, at.column, snapshot=at.folder.snapshot)
        return [
            types.Location(at.folder.uri_of(span.file), at.folder.text_in_editor(span.file, ls.encoding).range_of(span))
            for span in spans
        ]


def _add_changes(server: PolicyLanguageServer) -> None:
    @server.feature(types.TEXT_DOCUMENT_PREPARE_RENAME)
    def prepare(ls: _Server, params: types.PrepareRenameParams) -> types.PrepareRenamePlaceholder | None:
        at = _place(ls, params.text_document, params.position)
        role = role_at(at.sources, at.file, at.line, at.column) if at else None
        return types.PrepareRenamePlaceholder(at.text.range_of(role.span), role.text) if at and role else None

    @server.feature(types.TEXT_DOCUMENT_RENAME, types.RenameOptions(prepare_provider=True))
    def rename_role(ls: _Server, params: types.RenameParams) -> types.WorkspaceEdit | None:
        at = _place(ls, params.text_document, params.position)
        if at is None:
            return None
        try:
            changes = rename(at.sources, at.file, at.line, at.column, params.new_name)
        except NotRenamed as refused:
            raise JsonRpcInvalidParams(str(refused)) from None
        return workspace_edit(at.folder, changes, ls.encoding, versioned=ls.has_versioned_edits)

    kinds = [types.CodeActionKind.QuickFix, types.CodeActionKind.SourceFixAll]

    @server.feature(
        types.TEXT_DOCUMENT_CODE_ACTION, types.CodeActionOptions(code_action_kinds=kinds, resolve_provider=True)
    )
    def act(ls: _Server, params: types.CodeActionParams) -> Sequence[types.CodeAction]:
        found = ls.find(params.text_document.uri)
        return list(code_actions(ls, *found, params)) if found else []

    @server.feature(types.CODE_ACTION_RESOLVE)
    async def resolve(ls: _Server, action: types.CodeAction) -> types.CodeAction:
        data: Any = action.data
        found = ls.find(data) if isinstance(data, str) else None
        if found:
            action.edit = await asyncio.to_thread(tidied, ls, found[0])
        return action
