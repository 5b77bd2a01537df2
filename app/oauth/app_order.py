"""What is requested of an app: its name and its redirects, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.oauth.names import name_fault
from app.oauth.redirects import MAX_REDIRECTS, redirect_fault
from app.oauth.refusals import AppOrderFault


@dataclass(frozen=True, slots=True)
class AppOrder:
    """An app to register. A confidential one gets a secret."""

    name: str
    redirect_uris: Sequence[str]
    confidential: bool = False


@dataclass(frozen=True, slots=True)
class AppEdit:
    """A change of an app. What is None stays."""

    name: str | None = None
    redirect_uris: Sequence[str] | None = None


def faults_of(name: str | None, redirect_uris: Sequence[str] | None, *, by_administrator: bool) -> list[AppOrderFault]:
    """What is wrong with a name and with redirects; what is None is not checked.

    An administrator may enter private schemes, and no `*`, which other servers take for a wildcard. An app that
    describes itself is not refused for one.
    """
    faults: list[AppOrderFault] = []
    if name is not None and (fault := name_fault(name)):
        faults.append(AppOrderFault("name", fault))
    if redirect_uris is None:
        return faults
    if not redirect_uris:
        faults.append(AppOrderFault("redirect_uris", "must have at least one redirect URI"))
    if len(redirect_uris) > MAX_REDIRECTS:
        faults.append(AppOrderFault("redirect_uris", f"must have at most {MAX_REDIRECTS} redirect URIs"))
        return faults
    if len(set(redirect_uris)) < len(redirect_uris):
        faults.append(AppOrderFault("redirect_uris", "a redirect URI is here twice"))
    for number, uri in enumerate(redirect_uris):
        fault = redirect_fault(uri, private_schemes=by_administrator)
        if fault is None and by_administrator and "*" in uri:
            fault = "must not have `*`: there are no wildcards, and a request must have the same URI"
        if fault:
            faults.append(AppOrderFault(f"redirect_uris.{number}", fault))
    return faults
