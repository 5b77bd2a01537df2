"""Header fields of responses: challenges and waits. What is malformed is read as if it were absent."""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass
from email.utils import format_datetime, parsedate_to_datetime

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_VALUE = rf'(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))'
_SEPARATORS = re.compile(r"[ \t,]*")
_PARAMETER = re.compile(rf"({_TOKEN})[ \t]*=[ \t]*{_VALUE}[ \t]*(?=,|\Z)")
_SCHEME = re.compile(rf"({_TOKEN})(?:[ \t]+[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|\Z)))?(?:[ \t]+|(?=,|\Z))")
_LINK = re.compile(rf'<([^<>" \t]*)>((?:[ \t]*;[ \t]*{_TOKEN}(?:[ \t]*=[ \t]*{_VALUE})?)*)[ \t]*(?=,|\Z)')
_LINK_PARAMETER = re.compile(rf";[ \t]*({_TOKEN})(?:[ \t]*=[ \t]*{_VALUE})?")
_SCOPES = re.compile(r"[ !#-\[\]-~]*")
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Link:
    """A link (RFC 8288): its target, and the first of each of its parameters."""

    target: str
    parameters: dict[str, str]


def bearer_challenge(header: str) -> dict[str, str]:
    """The parameters of the first challenge for bearer tokens (RFC 9110, section 11.6.1)."""
    challenges: list[tuple[str, dict[str, str]]] = []
    at = _skip(header, 0)
    while at < len(header):
        parameter = _PARAMETER.match(header, at)
        found = parameter or _SCHEME.match(header, at)
        if not found:
            return {}
        name = found[1].lower()
        if parameter:
            if not challenges or name in challenges[-1][1]:
                return {}
            challenges[-1][1][name] = _value(parameter[2], parameter[3])
        else:
            challenges.append((name, {}))
        at = _skip(header, found.end())
    return next((parameters for scheme, parameters in challenges if scheme == "bearer"), {})


def missing_scopes(header: str) -> tuple[str, ...]:
    """The permissions that a request lacked, as far as its challenge names them."""
    challenge = bearer_challenge(header)
    scope = challenge.get("scope", "")
    if challenge.get("error") != "insufficient_scope" or not _SCOPES.fullmatch(scope):
        return ()
    return tuple(scope.split())


def seconds_of(header: str) -> float | None:
    """The seconds to wait, at most a day; None if the header has neither seconds nor a date."""
    if re.fullmatch(r"[0-9]+", header):
        return min(float(header), _DAY)
    try:
        date = parsedate_to_datetime(header)
        is_date = format_datetime(date, usegmt=True) == header
    except (ValueError, OverflowError):
        return None
    return float(min(max(math.ceil(date.timestamp() - time.time()), 0), _DAY)) if is_date else None


def links_of(header: str) -> list[Link] | None:
    """The links of a header; None if it is malformed."""
    links: list[Link] = []
    at = _skip(header, 0)
    while at < len(header):
        link = _LINK.match(header, at)
        if not link:
            return None
        parameters: dict[str, str] = {}
        for name, quoted, token in _LINK_PARAMETER.findall(link[2]):
            parameters.setdefault(name.lower(), _value(quoted, token))
        links.append(Link(link[1], parameters))
        at = _skip(header, link.end())
    return links


def _skip(text: str, at: int) -> int:
    match = _SEPARATORS.match(text, at)
    return match.end() if match else at


def _value(quoted: str | None, token: str | None) -> str:
    return token or re.sub(r"\\(.)", r"\1", quoted or "")
