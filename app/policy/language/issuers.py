"""`issuers.toml`: the issuers whose tokens are accepted, besides the one that the settings state.

    [partner]
    issuer = "https://login.partner.example/"
    jwks_url = "https://login.partner.example/.well-known/jwks.json"
    audiences = ["griddy"]
    subject_prefix = "partner:"

The file is optional. A caller that may publish it decides whose signatures are accepted, as it decides the rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from app.identity.address import is_trustworthy
from app.identity.issuer import API_TOKENS, CLERK, SETTINGS, OrganizationClaims, TrustedIssuer
from app.policy.language.fault import Fault, did_you_mean
from app.policy.language.source import PolicySource, shown
from app.policy.language.toml_file import read_toml
from app.policy.language.toml_lines import TomlLines

FILE = "issuers.toml"
MAX_ISSUERS = 50  # each has a key set, which is fetched every few minutes
MAX_FAULTS = 20
MAX_NAMES = 50  # of a list
MAX_PATH = 6  # members of a claim
MAX_TEXT = 500
MAX_SKEW = 300
_DEFAULT_SKEW = 5

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
# With a single colon, at the end, no prefix is the start of another, so no two make the same subject.
_PREFIX = re.compile(r"([a-z][a-z0-9_.-]{0,39}):")
# Subjects with these could be mistaken for facts, or for the types of AuthZEN subjects.
_RESERVED_PREFIXES = frozenset(
    {"anonymous", "app", "app-host", "app-kind", "auth", "env", "identity", "key", "org", "org-role", "role", "user"}
)
_ORGANIZATION_KEYS = ("id", "role", "slug", "permissions")
_ORGANIZATION_EXAMPLE = 'write "clerk", or {id = "org_id", role = "org_role"}'
# Keys that have a meaning with `delegated` alone, and those that are like them without it.
_OF_APPS = {"scopes": "permissions", "own_clients": "authorized_parties"}
_VISIBLE = re.compile(r"[!-~]+")
_EXAMPLE = (
    'write [partner], then issuer = "https://…", jwks_url = "https://…", audiences = ["…"] and '
    'subject_prefix = "partner:" below it'
)


class _Invalid(Exception):
    """The value of a key is invalid. The message and the hint are those of the fault."""

    def __init__(self, message: str, hint: str = _EXAMPLE) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class _Key:
    """How the value of a key is read, and the field of `TrustedIssuer` that gets it."""

    field: str
    read: Callable[[object], object]


def load(source: PolicySource, faults: list[Fault]) -> tuple[TrustedIssuer, ...]:
    """Load the issuers, in the order of the file; faults are added to `faults`."""
    text = source.files.get(FILE)
    if text is None:
        return ()
    document = read_toml(FILE, text, faults)
    if document is None:
        return ()
    return _IssuersFile(text, faults).read(document)


def deployment_faults(source: PolicySource, issuers: Iterable[TrustedIssuer], own: str | None) -> list[Fault]:
    """The faults of a policy's issuers in a deployment whose settings state the issuer `own`, or none."""
    found = tuple(issuers)
    if own is None:
        if found:
            return []
        message = "no issuer is trusted, so no token could be verified"
        return [Fault.of_file("no-issuer", FILE, message, f"set AUTHZ_ISSUER and AUTHZ_JWKS_URL, or {_EXAMPLE}")]
    faults: list[Fault] = []
    lines = TomlLines(source.files.get(FILE, ""))
    for issuer in found:
        if issuer.issuer == own:
            message = "this is the issuer of AUTHZ_ISSUER, which is trusted already"
            faults.append(_fault_at(lines, issuer.name, "issuer", message, "keep one of them"))
        elif not issuer.subject_prefix:
            message = f"a user of `{issuer.name}` could have the same subject as one of AUTHZ_ISSUER"
            faults.append(_fault_at(lines, issuer.name, "", message, _prefix_hint(issuer.name)))
    return faults


def describe(issuer: TrustedIssuer) -> str:
    """An issuer in one line, with everything that decides about its tokens."""
    parts = [
        f"issuer {issuer.name}: {issuer.issuer}",
        f"keys {issuer.jwks_url}",
        *((f"audiences {', '.join(issuer.audiences)}",) if issuer.audiences else ()),
        *((f"parties {', '.join(issuer.authorized_parties)}",) if issuer.authorized_parties else ()),
        f"types {', '.join(sorted(issuer.kinds))}",
        f"skew {issuer.skew_seconds} s",
        f"permissions in {'/'.join(issuer.permissions)}",
        f"subjects {issuer.subject_prefix}…",
        *((f"organizations {_described(issuer.organizations)}",) if issuer.organizations else ()),
        *((f"apps with scopes in {'/'.join(issuer.scopes)}",) if issuer.is_delegating else ()),
        *(("no apps",) if issuer.is_delegating is False else ()),
        *((f"own clients {', '.join(issuer.own_clients)}",) if issuer.own_clients else ()),
    ]
    return "; ".join(parts)


def _described(organizations: OrganizationClaims | str) -> str:
    if not isinstance(organizations, OrganizationClaims):
        return f"of {organizations}"
    paths = {key: getattr(organizations, key) for key in _ORGANIZATION_KEYS}
    return "in " + ", ".join(f"{key} {'/'.join(path)}" for key, path in paths.items() if path)


class _IssuersFile:
    """Reads the tables of the file."""

    def __init__(self, text: str, faults: list[Fault]) -> None:
        self._lines = TomlLines(text)
        self._text = text
        self._faults = faults
        self._first = len(faults)

    def read(self, document: Mapping[str, Any]) -> tuple[TrustedIssuer, ...]:
        """The issuers of the document."""
        found: list[TrustedIssuer] = []
        if not document:
            line = max(self._text.count("\n"), 1)
            self._faults.append(Fault("issuer", FILE, line, 1, "the file has no issuers", _EXAMPLE))
        if len(document) > MAX_ISSUERS:
            message = f"the file has {len(document)} issuers, the limit is {MAX_ISSUERS}"
            self._fault(list(document)[MAX_ISSUERS], "", message, "remove some")
        for name, table in document.items():
            if len(self._faults) - self._first >= MAX_FAULTS:
                break
            issuer = self._issuer(name, table)
            if issuer is not None and self._is_distinct(issuer, found):
                found.append(issuer)
        return tuple(found)

    def _issuer(self, name: str, table: object) -> TrustedIssuer | None:
        """The issuer of one table, unless it has a fault."""
        before = len(self._faults)
        if not _NAME.fullmatch(name):
            self._fault(name, "", f"`{name}` is not a name", "write a short name in lower case, such as [partner]")
        elif name == SETTINGS:
            self._fault(name, "", f"`{name}` is the name of the issuer of AUTHZ_ISSUER", "choose another name")
        elif not isinstance(table, Mapping):
            self._fault(name, "", f"`{name}` is not a table", _EXAMPLE)
        else:
            fields: dict[str, Any] = {"name": name}
            for key, value in table.items():
                known = _KEYS.get(key)
                if known is None:
                    hint = did_you_mean(key, _KEYS) or f"use one of {', '.join(_KEYS)}"
                    self._fault(name, key, f"`{key}` is an unknown key", hint)
                    continue
                try:
                    fields[known.field] = known.read(value)
                except _Invalid as invalid:
                    self._fault(name, key, f"`{key}` {invalid.message}", invalid.hint)
            for key in ("issuer", "jwks_url"):
                if key not in table:
                    self._fault(name, "", f"`{name}` has no `{key}`", _EXAMPLE)
            if not table.keys() & {"audiences", "authorized_parties"}:
                message = f"`{name}` has neither `audiences` nor `authorized_parties`, so any of its tokens would do"
                self._fault(name, "", message, "name the audience (`aud`), or the clients (`azp`) of its tokens")
            if table.get("delegated") is not True:
                self._refuse_keys_of_apps(name, table)
            if len(self._faults) == before:
                return TrustedIssuer(**{"skew_seconds": _DEFAULT_SKEW, **fields})
        return None

    def _refuse_keys_of_apps(self, name: str, table: Mapping[str, object]) -> None:
        for key, instead in _OF_APPS.items():
            if key in table:
                message = f"`{key}` is for the access tokens of apps only"
                self._fault(name, key, message, f"add `delegated = true`, or write `{instead}` instead")

    def _is_distinct(self, issuer: TrustedIssuer, others: Iterable[TrustedIssuer]) -> bool:
        """Whether no other issuer has its `iss` or could have the same subjects; otherwise it has a fault."""
        for other in others:
            if other.issuer == issuer.issuer:
                message = f"`{other.name}` has the same issuer"
                self._fault(issuer.name, "issuer", message, "keep one of them")
                return False
            if other.subject_prefix == issuer.subject_prefix:
                message = f"a user of `{issuer.name}` could have the same subject as one of `{other.name}`"
                word = "subject_prefix" if issuer.subject_prefix else ""
                self._fault(issuer.name, word, message, _prefix_hint(issuer.name))
                return False
        return True

    def _fault(self, name: str, key: str, message: str, hint: str) -> None:
        self._faults.append(_fault_at(self._lines, name, key, message, hint))


def _fault_at(lines: TomlLines, name: str, key: str, message: str, hint: str) -> Fault:
    """A fault at the table of an issuer, or at a key of it."""
    word = key or name
    line, column = lines.find(name, word)
    return Fault("issuer", FILE, line, column, shown(message), shown(hint), max(len(word), 1), lines.line(line))


def _prefix_hint(name: str) -> str:
    return f'write subject_prefix = "{name}:", or another that no issuer has'


def _jwks_url(value: object) -> str:
    url = _word(value)
    if not is_trustworthy(url) or "#" in url:
        raise _Invalid("is not a trustworthy address", "write an https:// address; http:// is for a loopback host only")
    return url


def _words(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_NAMES:
        raise _Invalid(f"must be a list of 1 to {MAX_NAMES} texts", 'write it as ["griddy"]')
    return tuple(dict.fromkeys(map(_word, value)))


def _kinds(value: object) -> frozenset[str]:
    kinds = frozenset(kind.lower().removeprefix("application/") for kind in _words(value))
    if unknown := sorted(kinds - API_TOKENS):
        raise _Invalid(f"has an unknown type, `{unknown[0]}`", f"use {' and '.join(sorted(API_TOKENS))}")
    return kinds


def _skew(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_SKEW:
        raise _Invalid(f"must be a whole number of 0 to {MAX_SKEW} seconds", "write it without quotes")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise _Invalid("must be true or false", "write it without quotes")
    return value


def _claim(value: object) -> tuple[str, ...]:
    path = [value] if isinstance(value, str) else value
    if not isinstance(path, list) or not 0 < len(path) <= MAX_PATH or not all(map(_is_member, path)):
        hint = 'write "scope", or a path such as ["realm_access", "roles"]'
        raise _Invalid("must be the name of a claim, or the path to one", hint)
    return tuple(path)


def _organizations(value: object) -> OrganizationClaims | str:
    if value == CLERK:
        return CLERK
    if not isinstance(value, Mapping) or "id" not in value:
        raise _Invalid("must be the claims with the organization, with an `id`", _ORGANIZATION_EXAMPLE)
    for key in value:
        if key not in _ORGANIZATION_KEYS:
            hint = did_you_mean(key, _ORGANIZATION_KEYS) or f"use {', '.join(_ORGANIZATION_KEYS)}"
            raise _Invalid(f"has an unknown key, `{key}`", hint)
    return OrganizationClaims(**{key: _claim(path) for key, path in value.items()})


def _is_member(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_TEXT and value.isprintable()


def _prefix(value: object) -> str:
    found = _PREFIX.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        hint = 'write lower-case letters, digits, `-`, `_` or `.`, and `:` at the end, such as "partner:"'
        raise _Invalid("is not a prefix of subjects", hint)
    if found[1] in _RESERVED_PREFIXES:
        raise _Invalid(f"is reserved: `{found[0]}` begins a fact or a type of subject", "choose another word")
    return found[0]


def _word(value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT or not _VISIBLE.fullmatch(value):
        raise _Invalid("must be a text of visible ASCII characters without spaces", "write it within quotes")
    return value


_KEYS: Mapping[str, _Key] = {
    "issuer": _Key("issuer", _word),
    "jwks_url": _Key("jwks_url", _jwks_url),
    "audiences": _Key("audiences", _words),
    "authorized_parties": _Key("authorized_parties", _words),
    "types": _Key("kinds", _kinds),
    "clock_skew_seconds": _Key("skew_seconds", _skew),
    "permissions": _Key("permissions", _claim),
    "subject_prefix": _Key("subject_prefix", _prefix),
    "delegated": _Key("is_delegating", _flag),
    "scopes": _Key("scopes", _claim),
    "own_clients": _Key("own_clients", _words),
    "organizations": _Key("organizations", _organizations),
}
