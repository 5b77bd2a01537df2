"""The names in a policy directory: which files are read, which are ignored, and which are refused.

A file that is not read, but that its author may take for a part of the policy, is refused, since a lost deny opens
access. Files that cannot be mistaken are ignored: leftovers of editors and tools, system files, documentation.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from app.policy.language.fault import Fault, did_you_mean

REQUIRED = ("model.conf", "permissions.toml")
OPTIONAL = ("issuers.toml",)
FOLDERS = {
    "": (".csv",),
    "entities": (".yaml",),
    "tests": (".yaml",),
    "upstreams": (".openapi.json", ".openapi.yaml"),
}
# The parts that OpenAPI documents refer to are in this folder and its subfolders.
FRAGMENTS = "upstreams"
MAX_NESTED = 3  # levels of subfolders
MAX_SHOWN = 400

# Documentation that is shipped with the policy.
_PAGES = ("README.md", "REFERENCE.md", "WALKTHROUGH.md")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
# A conflicting version of a file, which may have the intended rows: never read, and never ignored.
_CONFLICT = re.compile(
    r"""
    \.sync-conflict- | \bconflicted\ copy\b | \bin\ conflict\b | _conflict-[0-9]{8}   # Syncthing, Dropbox, ownCloud
    | _(BASE|LOCAL|REMOTE|BACKUP)_[0-9]+\.                                              # git mergetool
    | (?-i:-(DESKTOP|LAPTOP)-[A-Z0-9]{6,}\.)                                             # OneDrive
    | \.(bak|backup|orig|old|copy|rej|save)\.(?-i:csv|yaml|json)\Z                    # x.old.csv
    """,
    re.VERBOSE | re.IGNORECASE,
)
_COPY = re.compile(r"\bcopy\b|\([0-9]+\)", re.IGNORECASE)

_FRAGMENT_ENDINGS = (".yaml", ".yml", ".json")
_DOCUMENT = re.compile(r"\.openapi\.\w+", re.IGNORECASE)

# Only known leftovers: with any other ending, the author may expect the file to apply.
_LEFTOVER = re.compile(
    r"""
    .*~ | \#.*\# | ~\$.* | ~.*\.tmp                     # Emacs, Vim; Word and Excel; Syncthing
    | .*\.(bak|backup|orig|rej|tmp|temp|old|save|sw[a-px]|un~|lock|pid|disabled
          |part|partial|download|crdownload             # unfinished downloads
          |dpkg-(old|new|dist|bak|tmp)|ucf-(old|new|dist)|rpm(save|new|orig)|pac(save|new|orig))([._-]?[0-9]+)*
    | .*\.te?mp([._-][0-9]+)+                           # x.csv.tmp.1234.5678
    | .*___jb_(tmp|old)___                              # JetBrains
    | 4913 | 5036 | 5159 | 5282 | 5405                  # Vim's test for write access
    | (?-i:sed(?=[a-z]*[A-Z0-9])[A-Za-z0-9]{6})         # sed -i
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_SYSTEM = frozenset(
    {
        "lost+found", "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r", "$recycle.bin",
        "system volume information", "__macosx", "@eadir", "@recycle", "__pycache__",
    }
)  # fmt: skip
_PAGE_ENDINGS = frozenset(
    {".md", ".markdown", ".rst", ".adoc", ".txt", ".text", ".html", ".pdf", ".png", ".svg", ".jpg", ".docx", ".odt"}
)
_POLICY_ENDINGS = frozenset({".csv", ".yaml", ".yml", ".toml", ".conf", ".json"})
_ARCHIVE_ENDINGS = frozenset({".gz", ".zip", ".bz2", ".xz", ".zst", ".tar", ".tgz", ".7z", ".gpg", ".asc", ".age"})
_BARE_PAGE = re.compile(
    r"LICEN[CS]E(-[A-Z0-9.]+)?|COPYING|COPYRIGHT|NOTICE|PATENTS|README|AUTHORS|CONTRIBUTORS|CONTRIBUTING|MAINTAINERS"
    r"|OWNERS|CODEOWNERS|CHANGELOG|CHANGES|HISTORY|NEWS|VERSION|INSTALL|TODO"
    r"|Makefile|[Jj]ustfile|Dockerfile|Jenkinsfile"
)


def is_policy_file(path: str) -> bool:
    """Whether a file of this name, relative to the policy directory, is a part of the policy."""
    if path in REQUIRED or path in OPTIONAL:
        return True
    folder, _, name = path.rpartition("/")
    if _NAME.fullmatch(name) is None or _CONFLICT.search(name):
        return False
    return (folder in FOLDERS and name.endswith(FOLDERS[folder])) or is_fragment(path)


def is_fragment(path: str) -> bool:
    """Whether a file may be a part of an OpenAPI document, which it is once a document refers to it."""
    folder, _, name = path.rpartition("/")
    if folder != FRAGMENTS and not is_fragment_folder(folder):
        return False
    return name.endswith(_FRAGMENT_ENDINGS) and not (folder == FRAGMENTS and _DOCUMENT.search(name))


def is_fragment_folder(path: str) -> bool:
    """Whether a folder may hold parts of OpenAPI documents."""
    first, *more = path.split("/")
    return first == FRAGMENTS and 0 < len(more) <= MAX_NESTED and all(map(_NAME.fullmatch, more))


def is_hidden(folder: str, name: str) -> bool:
    """Whether a name is hidden, such as `..data` of Kubernetes and `.git`, or a shipped documentation page."""
    return name.startswith(".") or (not folder and name in _PAGES)


def is_leftover(name: str, *, is_folder: bool) -> bool:
    """Whether a name is clearly not meant as a part of a policy."""
    if name.lower() in _SYSTEM or _LEFTOVER.fullmatch(name):
        return True
    ending = PurePosixPath(name).suffix.lower()
    stem_ending = PurePosixPath(PurePosixPath(name).stem).suffix.lower()
    is_page = ending in _PAGE_ENDINGS and stem_ending not in _POLICY_ENDINGS
    return not is_folder and (is_page or _BARE_PAGE.fullmatch(name) is not None)


def stray_fault(path: str, *, is_folder: bool = False) -> Fault:
    """The fault of a file or folder that may be meant as a part of the policy and is not one."""
    folder, _, name = path.rpartition("/")
    what = "folder" if is_folder else "file"
    message = f"unexpected {what}: its name is not that of a policy {what}"
    if is_folder:
        near = "" if folder else did_you_mean(name, filter(None, FOLDERS))
        hint = near or "move it out of the policy directory; policy files are not read from it"
    elif _CONFLICT.search(name):
        message = "unexpected file: by its name, it is a conflicting version of another file"
        hint = "merge it into the other file, and delete this one"
    else:
        hint = _advice(folder, name)
    return Fault.of_file("stray-file", escaped_name(path), message, hint)


def escaped_name(path: str) -> str:
    """Escape a name for display, since it may contain line breaks."""
    return path.encode("unicode_escape").decode()[:MAX_SHOWN]


def _advice(folder: str, name: str) -> str:
    right = _corrected(folder, name)
    if _COPY.search(name):
        return f"delete this copy, or rename it to `{right or 'name.csv'}` if its rows should apply too"
    if right:
        return f"rename it to `{right}`, or move it out of the directory"
    if name.endswith((".yaml", ".yml")) and not folder:
        return "put cases into `tests/`, entities into `entities/`, OpenAPI documents into `upstreams/`; or move it out"
    if folder and name.lower().endswith(".csv"):
        return f"put rows into the policy directory itself, not into `{escaped_name(folder)}/`; or move the file out"
    stem = PurePosixPath(name).stem
    known = [*REQUIRED, *OPTIONAL]
    if "." not in stem and is_policy_file(f"{stem}.csv"):
        known.append(f"{stem}.csv")
    return ("" if folder else did_you_mean(name, known)) or "move it out of the directory"


def _corrected(folder: str, name: str) -> str:
    """The nearest name that would be read, or an empty text.

    It has its ending in lower case, `.yaml` for `.yml`, no spaces, and nothing after the ending of a policy file.
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-")
    stem, _, ending = plain.rpartition(".")
    has_other = f".{ending.lower()}" not in _POLICY_ENDINGS | _ARCHIVE_ENDINGS and "-" not in ending
    if has_other and PurePosixPath(stem).suffix.lower() in _POLICY_ENDINGS:
        stem, _, ending = stem.rpartition(".")
    ending = ending.lower().replace("yml", "yaml")
    stem = stem.strip("-")
    if folder == "upstreams":
        stem = f"{re.sub(r'[.]openapi$', '', stem, flags=re.IGNORECASE)}.openapi"
    found = f"{stem}.{ending}"
    if found.lower() in (*REQUIRED, *OPTIONAL):
        found = found.lower()
    return found if found != name and is_policy_file(f"{folder}/{found}" if folder else found) else ""
