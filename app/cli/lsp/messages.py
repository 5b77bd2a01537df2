"""Translates findings, completions and changes into messages of the protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lsprotocol import types

from app.cli.lsp.folder import PolicyFolder
from app.cli.lsp.positions import EditorText, Encoding
from app.policy.analysis.findings import Finding, Severity
from app.policy.editing.completion import Completion
from app.policy.editing.position import TextChange
from app.policy.editing.suggestions import CompletionKind

SOURCE = "authz"
_SEVERITIES: Mapping[Severity, types.DiagnosticSeverity] = {
    "error": types.DiagnosticSeverity.Error,
    "warning": types.DiagnosticSeverity.Warning,
    "note": types.DiagnosticSeverity.Information,
}
_KINDS: Mapping[CompletionKind, types.CompletionItemKind] = {
    "permission": types.CompletionItemKind.Constant,
    "fact": types.CompletionItemKind.EnumMember,
    "role": types.CompletionItemKind.Class,
    "route": types.CompletionItemKind.Folder,
    "thing": types.CompletionItemKind.Struct,
    "action": types.CompletionItemKind.Method,
    "value": types.CompletionItemKind.Value,
    "field": types.CompletionItemKind.Field,
    "function": types.CompletionItemKind.Function,
    "keyword": types.CompletionItemKind.Keyword,
    "file": types.CompletionItemKind.File,
}


def diagnostic(finding: Finding, text: EditorText) -> types.Diagnostic:
    """A fault or finding; its hint is the last line of the message."""
    at = finding.at
    return types.Diagnostic(
        text.range(at.line, at.column, at.line, at.column + at.length),
        f"{at.message}\nhint: {at.hint}" if at.hint else at.message,
        severity=_SEVERITIES[finding.severity],
        code=at.code,
        source=SOURCE,
    )


def completion_item(completion: Completion, order: int, text: EditorText) -> types.CompletionItem:
    """A completion. Editors sort by `sort_text`."""
    return types.CompletionItem(
        completion.text,
        kind=_KINDS[completion.kind],
        detail=completion.detail or None,
        documentation=completion.meaning or None,
        sort_text=f"{order:04}",
        filter_text=completion.text,
        text_edit=types.TextEdit(text.range_of(completion.replaces), completion.text),
    )


def workspace_edit(
    folder: PolicyFolder, changes: Iterable[TextChange], encoding: Encoding, *, versioned: bool
) -> types.WorkspaceEdit:
    """Changes of files. With `versioned` an editor refuses them for a text that has changed since."""
    edits: dict[str, list[types.TextEdit]] = {}
    for change in changes:
        text = folder.text_in_editor(change.file, encoding)
        span = text.range(change.line, change.column, change.end_line, change.end_column)
        edits.setdefault(change.file, []).append(types.TextEdit(span, change.text))
    if not versioned:
        return types.WorkspaceEdit(changes={folder.uri_of(file): of_file for file, of_file in edits.items()})
    return types.WorkspaceEdit(
        document_changes=[
            types.TextDocumentEdit(
                types.OptionalVersionedTextDocumentIdentifier(folder.uri_of(file), folder.version_of(file)), of_file
            )
            for file, of_file in edits.items()
        ]
    )
