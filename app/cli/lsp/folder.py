"""One policy directory as an editor has it: files on disk, unsaved texts over them, and the last examination."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pygls import uris

from app.cli.lsp.positions import EditorText, Encoding
from app.policy.analysis.examination import Examination, ExaminationMemory, examine
from app.policy.engine.snapshot import Snapshot
from app.policy.language.directory import read, read_regular
from app.policy.language.fault import Fault
from app.policy.language.load import Policy
from app.policy.language.source import MAX_FILE_BYTES, PolicySource
from app.policy.routing.routes import RouteTable

_MARK = "\ufeff"
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class OpenText:
    """A file as it is in the editor; `plain` is its text as that of a file that is read."""

    uri: str
    version: int | None
    text: str
    plain: str


@dataclass(frozen=True, slots=True)
class Deployment:
    """What a policy is examined for: routes, the issuer and the proxies of the settings."""

    table: RouteTable
    find_more: Callable[[Policy], list[Fault]]
    proxies_stated: bool


@dataclass(frozen=True, slots=True)
class Examined:
    """An examination with the texts that it is about, and which of them were open."""

    examination: Examination
    texts: Mapping[str, str]
    opened: Mapping[str, OpenText]


class PolicyFolder:
    """The files of one policy directory, by their names in it."""

    def __init__(self, directory: Path, deployment: Deployment) -> None:
        self.directory = directory
        self.deployment = deployment
        self.opened: dict[str, OpenText] = {}
        self.examined: Examined | None = None
        self.snapshot: Snapshot | None = None  # of the last texts that could be read as a policy
        self._on_disk: Mapping[str, str] = {}
        self._memory = ExaminationMemory()

    @property
    def table(self) -> RouteTable:
        """The routes of the application."""
        return self.deployment.table

    @property
    def is_current(self) -> bool:
        """Whether the texts in the editor are those that were examined last."""
        return self.examined is not None and self.examined.opened == self.opened

    def sources(self) -> dict[str, str]:
        """The text of each file, as it is in the editor or was when last examined; lines end with LF."""
        return {**self._on_disk, **{name: each.plain for name, each in self.opened.items()}}

    def name_of(self, path: Path) -> str | None:
        """The name of a file of this directory; None for any other."""
        return path.relative_to(self.directory).as_posix() if path.is_relative_to(self.directory) else None

    def uri_of(self, name: str) -> str:
        """The address of a file, as the editor writes it if it is open."""
        if name in self.opened:
            return self.opened[name].uri
        # A fault of the directory as a whole is shown at the first of its files.
        path = self.directory / ("model.conf" if name == "." else _unescaped(name))
        return uris.from_fs_path(str(path)) or path.as_uri()

    def version_of(self, name: str) -> int | None:
        """The version of an open file; None for a file on disk."""
        return self.opened[name].version if name in self.opened else None

    def text_in_editor(self, name: str, encoding: Encoding) -> EditorText:
        """The text of a file, to convert positions in it."""
        text = self.opened[name].text if name in self.opened else self._on_disk.get(name)
        return EditorText(self._unreadable(name) if text is None else text, encoding)

    def examine(self) -> Examined:
        """Examine the files with the unsaved texts over them. It may run in a thread, one at a time."""
        opened = dict(self.opened)
        unsaved = {name: self._bytes(name, each.text) for name, each in opened.items()}
        sources: list[PolicySource] = []

        def load_source() -> PolicySource:
            sources.append(read(self.directory, unsaved))
            return sources[0]

        found = examine(
            load_source,
            self.deployment.table,
            proxies_stated=self.deployment.proxies_stated,
            find_more=self.deployment.find_more,
            before=self.snapshot.policy if self.snapshot else None,
            memory=self._memory,
        )
        return Examined(found, sources[0].files if sources else {}, opened)

    def keep(self, examined: Examined) -> None:
        """Keep an examination as the last one."""
        self.examined = examined
        self.snapshot = examined.examination.snapshot or self.snapshot
        if examined.texts:
            self._on_disk = examined.texts

    def _bytes(self, name: str, text: str) -> bytes:
        """An unsaved text as it will be saved: editors hide a byte order mark, and write it again."""
        data = text.encode("utf-8", "surrogatepass")
        if text.startswith(_MARK):
            return data
        try:
            is_marked = read_regular(self.directory / name, MAX_FILE_BYTES).startswith(BOM_UTF8)
        except OSError:
            is_marked = False
        return BOM_UTF8 + data if is_marked else data

    def _unreadable(self, name: str) -> str:
        """The text of a file that is not valid, as far as an editor would show it."""
        try:
            return read_regular(self.directory / name, MAX_FILE_BYTES).decode("utf-8", "replace")
        except (OSError, ValueError):
            return ""


def _unescaped(name: str) -> str:
    """The name of a file that faults escape, since it has other characters than names of policy files."""
    try:
        return name.encode("latin-1").decode("unicode_escape") if "\\" in name else name
    except UnicodeError:  # cut within an escape
        return name


def plain(text: str) -> str:
    """A text of an editor as that of a file: lines end with LF, and half a character is one that replaces it."""
    if not text.isascii():
        text = _HALF_CHARACTER.sub("\ufffd", text)
    return text.replace("\r\n", "\n") if "\r" in text else text
