"""A client: an app of a third party, as the authorization server knows it."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args
from urllib.parse import urlsplit

from app.oauth.redirects import common_host, host_of, redirect_matches

ClientKind = Literal["registered", "document", "dynamic"]
KINDS: tuple[ClientKind, ...] = get_args(ClientKind)


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """The SHA-256 of a secret of a client. One that was rotated is accepted until `expires_at`."""

    digest: bytes = field(repr=False)
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """An app: `registered` by a person, by its own request (`dynamic`), or described by the `document` at its id.

    `host` is that of its document, or the one that all redirects of a registered app share; else empty.
    `secrets` are empty for an app that cannot keep one. `version` changes with what a user consents to: the redirects,
    and the keys in a document. A client with `disabled_at` may do nothing.
    """

    client_id: str
    kind: ClientKind
    name: str
    host: str
    redirect_uris: tuple[str, ...]
    version: str
    created_at: datetime
    changed_at: datetime
    secrets: tuple[ClientSecret, ...] = ()
    disabled_at: datetime | None = None

    @property
    def confidential(self) -> bool:
        """Whether the app authenticates with a secret."""
        return bool(self.secrets)

    @property
    def enabled(self) -> bool:
        """Whether the app may ask for access, and use what it was given."""
        return self.disabled_at is None

    @property
    def site(self) -> str:
        """The host that users see, with the port of a document; empty if the app has none."""
        return urlsplit(self.client_id).netloc if self.kind == "document" else self.host

    def accepts_redirect(self, requested: str) -> bool:
        """Whether an answer may be sent to this redirect URI."""
        return redirect_matches(self.redirect_uris, requested)

    def accepts_secret(self, secret: str, now: datetime) -> bool:
        """Whether a secret is the client's own. Takes the same time for each wrong one."""
        given = hashlib.sha256(secret.encode(errors="surrogatepass")).digest()
        matches = [
            hmac.compare_digest(known.digest, given)
            for known in self.secrets
            if known.expires_at is None or now < known.expires_at
        ]
        return any(matches)


def client_host(client_id: str, kind: ClientKind, redirect_uris: Sequence[str]) -> str:
    """The host of a client: that of its document, or the one that the redirects of a registered app share; else empty.

    One that registered itself has none: it proves no host by naming it, since a code that is sent to some address there
    may be passed on.
    """
    if kind == "dynamic":
        return ""
    return host_of(client_id) if kind == "document" else common_host(redirect_uris)


def client_version(redirect_uris: Sequence[str], keys: Mapping[str, object] | None = None) -> str:
    """The version of a client with these redirects, and with these key sets if it has a document."""
    content = {"keys": dict(keys or {}), "redirect_uris": sorted(redirect_uris)}
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:32]
