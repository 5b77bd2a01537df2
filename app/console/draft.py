"""A draft: the policy that an author is writing, as changes to the revision on which it is based.

It exists only in the form that the browser and the server exchange.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from app.policy.language.file_names import is_policy_file
from app.policy.language.source import END


@dataclass(frozen=True, slots=True)
class Draft:
    """`base` are the files of the revision `parent`, `changed` those written, `gone` the names of those deleted."""

    parent: str
    base: Mapping[str, str]
    changed: Mapping[str, str]
    gone: frozenset[str] = frozenset()

    @property
    def files(self) -> dict[str, str]:
        """The files of the policy with the changes of the draft."""
        return {name: text for name, text in sorted({**self.base, **self.changed}.items()) if name not in self.gone}

    @property
    def is_empty(self) -> bool:
        """Whether the draft changes nothing."""
        return not self.changed and not self.gone

    def status(self, name: str) -> str:
        """The status of a file: `changed`, `new`, `deleted`, or empty."""
        if name in self.gone:
            return "deleted"
        return "" if name not in self.changed else "changed" if name in self.base else "new"

    def names(self) -> list[str]:
        """The names of all files, deleted ones too."""
        return sorted({*self.base, *self.changed})

    def text(self, name: str) -> str:
        """The text of a file; empty if there is none."""
        return self.changed.get(name, self.base.get(name, ""))

    def with_text(self, name: str, text: str) -> Draft:
        """The draft with a new text of a file; the text of the base is not a change."""
        changed = {other: kept for other, kept in self.changed.items() if other != name}
        if self.base.get(name) != text:
            changed[name] = text
        return replace(self, changed=changed, gone=self.gone - {name})

    def without(self, name: str) -> Draft:
        """The draft with a file deleted."""
        changed = {other: text for other, text in self.changed.items() if other != name}
        return replace(self, changed=changed, gone=self.gone | ({name} & self.base.keys()))

    def restored(self, name: str) -> Draft:
        """The draft with a file as in the base."""
        changed = {other: text for other, text in self.changed.items() if other != name}
        return replace(self, changed=changed, gone=self.gone - {name})

    def rebased(self, parent: str, base: Mapping[str, str]) -> Draft:
        """The same changes on top of another revision."""
        moved = Draft(parent, base, {}, self.gone & base.keys())
        for name, text in self.changed.items():
            moved = moved.with_text(name, text)
        return moved

    def clashes(self, base: Mapping[str, str]) -> list[str]:
        """The files that both the draft and another base changed: the draft would undo the changes of the other."""
        touched = {*self.changed, *self.gone}
        return sorted(name for name in touched if self.base.get(name) != base.get(name))


def draft_of(parent: str, base: Mapping[str, str], changes: Iterable[str], gone: Iterable[str]) -> Draft:
    """A draft from the fields of its form; each change is a name, a line feed and the text."""
    draft = Draft(parent, base, {}, frozenset(gone) & base.keys())
    for change in changes:
        name, _, text = plain(change).partition("\n")
        draft = draft.with_text(name, text)
    return draft


def plain(text: str) -> str:
    """Text from a form with line feeds instead of CRLF."""
    return text.replace("\r\n", "\n")


def new_file_fault(name: str, draft: Draft) -> str:
    """Why a file of this name cannot be added; empty if it can."""
    if name in draft.files:
        return f"The file {name} exists already."
    if not is_policy_file(name):
        names = "rules as name.csv, cases as tests/name.yaml, entities as entities/name.yaml"
        return f"{name} is not the name of a policy file. Write {names}."
    return ""


def template_of(name: str) -> str:
    """The initial text of a new file."""
    if name.endswith(".csv"):
        return f"# needs, resource, action, effect\n\n{END}\n"
    if name.startswith("tests/"):
        case = "  - name: What must stay true\n    as: auth:jwt\n    deny:\n      - POST /api/v1/policies/publish\n"
        return f"cases:\n{case}{END}\n"
    return f"{END}\n"
