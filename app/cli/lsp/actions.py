"""Code actions: the fixes of faults and findings, and `authz policy check --fix` for all rows of a policy."""

from __future__ import annotations

from collections.abc import Iterator

from lsprotocol import types

from app.cli.lsp.folder import PolicyFolder
from app.cli.lsp.messages import diagnostic, workspace_edit
from app.cli.lsp.policy_server import PolicyLanguageServer
from app.policy.analysis.tidy import NotTidied, tidy_rows
from app.policy.editing.fixes import fixes, rewritten_file
from app.policy.language.fault import PolicyRefused

_TIDY = "Tidy the rows of all files, as `authz policy check --fix` does"


def code_actions(
    ls: PolicyLanguageServer, folder: PolicyFolder, file: str, params: types.CodeActionParams
) -> Iterator[types.CodeAction]:
    """The fixes of what was found in a range, and the tidying of all rows of a policy without faults.

    Nothing is offered for a text that has changed since it was examined.
    """
    examined, sources = folder.examined, folder.sources()
    if examined is None or not folder.is_current:
        return
    if _is_requested(params.context, types.CodeActionKind.QuickFix):
        text = folder.text_in_editor(file, ls.encoding)
        for finding in examined.examination.every:
            if finding.at.file != file:
                continue
            shown = diagnostic(finding, text)
            if not _overlap(shown.range, params.range):
                continue
            for fix in fixes(sources, finding.at):
                yield types.CodeAction(
                    fix.title,
                    types.CodeActionKind.QuickFix,
                    diagnostics=[shown],
                    is_preferred=fix.is_preferred or None,
                    edit=workspace_edit(folder, fix.changes, ls.encoding, versioned=ls.has_versioned_edits),
                )
    is_sound = not examined.examination.faults and examined.examination.snapshot is not None
    if is_sound and file.endswith(".csv") and _is_requested(params.context, types.CodeActionKind.SourceFixAll):
        # Its edit is computed when it is chosen, since it proves that no verdict changes.
        action = types.CodeAction(_TIDY, types.CodeActionKind.SourceFixAll, data=params.text_document.uri)
        if not ls.resolves_edits:
            action.edit = tidied(ls, folder)
        yield action


def tidied(ls: PolicyLanguageServer, folder: PolicyFolder) -> types.WorkspaceEdit | None:
    """The edit that tidies all rows; None if there is nothing to tidy, or if that could change a verdict."""
    examined = folder.examined
    snapshot = examined.examination.snapshot if examined else None
    if examined is None or snapshot is None or not folder.is_current:
        return None
    try:
        changed = tidy_rows(snapshot)
    except (NotTidied, PolicyRefused) as refused:
        ls.warn(f"Nothing was changed: {refused}.")
        return None
    changes = [rewritten_file(examined.texts, file, text) for file, text in changed.items()]
    return workspace_edit(folder, changes, ls.encoding, versioned=ls.has_versioned_edits)


def _is_requested(context: types.CodeActionContext, kind: types.CodeActionKind) -> bool:
    """Whether a kind of action is among those that the editor asks for: it may name only the first of its words."""
    if context.only is None:
        return True
    prefixes = [only.value if isinstance(only, types.CodeActionKind) else only for only in context.only]
    return any(not prefix or f"{kind.value}.".startswith(f"{prefix}.") for prefix in prefixes)


def _overlap(one: types.Range, other: types.Range) -> bool:
    return _key(one.start) <= _key(other.end) and _key(other.start) <= _key(one.end)


def _key(position: types.Position) -> tuple[int, int]:
    return position.line, position.character
