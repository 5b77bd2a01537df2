"""The facts of a third-party app, from which rows decide which scopes it may ask for."""

from __future__ import annotations

import re
from typing import Literal, Protocol, get_args

# How an app became known: an administrator registered it, its id is the URL of its metadata document, it registered
# itself (RFC 7591), or another authorization server issued its token.
AppKind = Literal["registered", "document", "dynamic", "external"]
APP_KINDS: tuple[AppKind, ...] = get_args(AppKind)

APP_METHOD = "auth:oauth"
APP, APP_KIND, APP_HOST = "app:", "app-kind:", "app-host:"
APP_FACTS = (APP, APP_KIND, APP_HOST)
MAX_CLIENT_ID = 512

# Only visible ASCII that a row can contain: no space, quote, comma, `#`, `*` or `|`. An app with any other id could not
# be denied by a row, so it is no caller. As a URL it has no fragment, and none of these characters unencoded.
_CLIENT_ID = re.compile(r"[A-Za-z0-9!$&'()+\-./:;=?@\[\]_~%]+")
# In lower case, so that one host has one fact.
_HOST = re.compile(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]*[a-z0-9])?|\[[0-9a-f:.]+\]")
_URL_START = re.compile(rf"[a-z][a-z0-9+.-]*://({_HOST.pattern})(:[0-9]{{1,5}})?(?=[/?]|\Z)")
# Not behind a slash: the id of an app of another issuer begins with the name of the issuer.
_URL = re.compile(r"[^/]*://")
_FACT = re.compile(rf"app:{_CLIENT_ID.pattern}|app-kind:({'|'.join(APP_KINDS)})|app-host:({_HOST.pattern})")


class InvalidApp(ValueError):
    """An app that rows could not name, so that it cannot be a caller. The message says why."""


class AppIdentity(Protocol):
    """What the facts of an app are derived from. `host` is empty if it has none, as for an app on a device."""

    @property
    def client_id(self) -> str:
        """The id of the app, from any authorization server."""

    @property
    def kind(self) -> AppKind:
        """How the app became known."""

    @property
    def host(self) -> str:
        """The host that the app is on, in lower case and without a port."""


def app_facts(app: AppIdentity) -> frozenset[str]:
    """The facts of an app. Raises InvalidApp."""
    if fault := client_id_fault(app.client_id):
        raise InvalidApp(fault)
    if app.kind not in APP_KINDS:
        raise InvalidApp(f"`{app.kind}` is not a kind of app")
    facts = {APP_METHOD, APP + app.client_id, APP_KIND + app.kind}
    if app.host:
        if not _HOST.fullmatch(app.host):
            raise InvalidApp("the host of the app is not a host name in lower case")
        facts.add(APP_HOST + app.host)
    return frozenset(facts)


def client_id_fault(client_id: str) -> str:
    """Why an id cannot be that of an app; empty if it can."""
    if len(client_id) > MAX_CLIENT_ID:
        return f"the id of the app has more than {MAX_CLIENT_ID} characters"
    if not _CLIENT_ID.fullmatch(client_id):
        return "the id of the app has a character that rows cannot contain"
    # Another spelling of the same address would not be the app that a row names.
    if _URL.match(client_id) and not _URL_START.match(client_id):
        return "the id of the app is a URL whose scheme and host are not in lower case"
    return ""


def is_app_fact(grant: str) -> bool:
    """Whether a grant names an app, a kind of app or a host of apps, in a form that an app can have."""
    if not _FACT.fullmatch(grant):
        return False
    return not grant.startswith(APP) or not client_id_fault(grant.removeprefix(APP))
