"""The policy directories of an editor's workspace: which files are open, and when each directory is examined."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from lsprotocol import types
from pygls import uris
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from app import __version__
from app.cli.lsp.decision_log import read_last_uses
from app.cli.lsp.directories import policy_directories, policy_directory_of
from app.cli.lsp.folder import Deployment, Examined, OpenText, PolicyFolder, plain
from app.cli.lsp.messages import diagnostic
from app.cli.lsp.positions import Encoding
from app.policy.analysis.findings import Finding
from app.policy.language.file_names import is_policy_file

# What is typed meanwhile is examined together. A check of many rows takes longer than this.
PAUSE_SECONDS = 0.005
_log = logging.getLogger("authz.lsp")


class PolicyLanguageServer(LanguageServer):
    """A language server that examines the policy directories of its workspace whenever their texts change."""

    def __init__(self, deployment: Deployment) -> None:
        # Whole texts: pygls ends lines at characters at which editors do not, and would apply changes elsewhere.
        super().__init__("authz", __version__, text_document_sync_kind=types.TextDocumentSyncKind.Full)
        self.deployment = deployment
        self.folders: dict[Path, PolicyFolder] = {}
        self.last_uses: Mapping[str, date] = {}  # by grant, when the server started
        self._tasks: dict[Path, asyncio.Task[None]] = {}
        self._changed: set[Path] = set()
        self._published: dict[Path, set[str]] = {}

    @property
    def encoding(self) -> Encoding:
        """The units in which the editor counts columns."""
        # pygls keeps some as plain texts.
        chosen = types.PositionEncodingKind(self.workspace.position_encoding or "utf-16")
        return chosen.value

    @property
    def has_versioned_edits(self) -> bool:
        """Whether the editor takes changes of a certain version of a text."""
        workspace = self.client_capabilities.workspace
        edits = workspace.workspace_edit if workspace else None
        return bool(edits and edits.document_changes)

    @property
    def resolves_edits(self) -> bool:
        """Whether the editor can ask for the edit of an action when it is chosen."""
        texts = self.client_capabilities.text_document
        actions = texts.code_action if texts else None
        resolving = actions.resolve_support if actions else None
        return bool(resolving and "edit" in resolving.properties)

    def warn(self, message: str) -> None:
        """Show a message to the user, from any thread."""
        params = types.ShowMessageParams(types.MessageType.Warning, message)
        self._loop.call_soon_threadsafe(self.window_show_message, params)

    def find(self, uri: str) -> tuple[PolicyFolder, str] | None:
        """The policy directory that a file belongs to, and its name there; None if it belongs to none."""
        path = file_path(uri)
        if path is None:
            return None
        for folder in self.folders.values():
            if name := folder.name_of(path):
                return folder, name
        directory = policy_directory_of(path)
        return (self._add(directory), path.relative_to(directory).as_posix()) if directory else None

    async def search(self, uri: str) -> None:
        """Find the policy directories of a workspace folder, and examine them."""
        if root := file_path(uri):
            for directory in await asyncio.to_thread(list, policy_directories(root)):
                self.schedule(self._add(directory))

    async def read_log(self) -> None:
        """Read the decision log."""
        self.last_uses = await asyncio.to_thread(read_last_uses)

    def open(self, uri: str, version: int | None, text: str) -> None:
        """Take a text of the editor in place of the file."""
        if found := self.find(uri):
            folder, name = found
            if is_policy_file(name):
                folder.opened[name] = OpenText(uri, version, text, plain(text))
                self.schedule(folder)

    def close(self, uri: str) -> None:
        """Take the file on disk again."""
        if found := self.find(uri):
            folder, name = found
            if folder.opened.pop(name, None):
                self.schedule(folder)

    def schedule(self, folder: PolicyFolder) -> None:
        """Examine a directory soon: at once if it is not being examined, and again if it is."""
        self._loop = asyncio.get_running_loop()
        self._changed.add(folder.directory)
        task = self._tasks.get(folder.directory)
        if task is None or task.done():
            self._tasks[folder.directory] = asyncio.ensure_future(self._examine(folder))

    async def _examine(self, folder: PolicyFolder) -> None:
        while folder.directory in self._changed:
            await asyncio.sleep(PAUSE_SECONDS)
            self._changed.discard(folder.directory)
            try:
                examined = await asyncio.to_thread(folder.examine)
                folder.keep(examined)
                self._publish(folder, examined)
            except Exception:  # noqa: BLE001  # logged; the next change is examined again
                _log.exception("%s cannot be examined", folder.directory)

    def _publish(self, folder: PolicyFolder, examined: Examined) -> None:
        """Publish the findings of each file, and none for files that had some before."""
        by_file: dict[str, list[Finding]] = {}
        for finding in examined.examination.every:
            by_file.setdefault(finding.at.file, []).append(finding)
        published: dict[str, types.PublishDiagnosticsParams] = {}
        for name, findings in by_file.items():
            text = folder.text_in_editor(name, self.encoding)
            uri = folder.uri_of(name)
            known = published.setdefault(uri, types.PublishDiagnosticsParams(uri, []))
            known.diagnostics = [*known.diagnostics, *(diagnostic(each, text) for each in findings)]
        names = {folder.uri_of(name): name for name in folder.opened}
        for uri in (*self._published.get(folder.directory, ()), *names):
            published.setdefault(uri, types.PublishDiagnosticsParams(uri, []))
        for uri, params in published.items():
            opened = examined.opened.get(names.get(uri, ""))
            params.version = opened.version if opened else None
            self.text_document_publish_diagnostics(params)
        self._published[folder.directory] = {uri for uri, params in published.items() if params.diagnostics}

    def _add(self, directory: Path) -> PolicyFolder:
        if directory not in self.folders:
            self.folders[directory] = PolicyFolder(directory, self.deployment)
        return self.folders[directory]

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Log an error: editors would show each message to the user."""
        is_of_editor = isinstance(error, JsonRpcException)  # a wrong message or an unknown method
        _log.error("%s", error, exc_info=None if is_of_editor else error)


def file_path(uri: str) -> Path | None:
    """The path of a file's address; None if it is none, or has `..`, which would be another file than it seems."""
    try:
        path = uris.to_fs_path(uri)
    except ValueError:
        return None
    if not path or "\0" in path or ".." in Path(path).parts:
        return None
    return Path(path) if Path(path).is_absolute() else None
