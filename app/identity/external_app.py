"""The app that an access token of another authorization server was issued to (RFC 9068 section 2.2)."""

from __future__ import annotations

from dataclasses import dataclass

from app.identity.app_facts import AppKind, client_id_fault
from app.identity.errors import Cause, Unauthenticated


@dataclass(frozen=True, slots=True)
class ExternalApp:
    """An app of another authorization server. Its host is unknown."""

    client_id: str
    kind: AppKind = "external"
    host: str = ""


def external_app(issuer: str, client_id: object) -> ExternalApp:
    """The app with this `client_id` at the issuer of this name. Raises Unauthenticated.

    The name is a part of its id here, so that no app has the id of another issuer's, or of one that is registered here.
    """
    own = f"{issuer}/{client_id}" if isinstance(client_id, str) and client_id else None
    if own is None or client_id_fault(own):
        raise Unauthenticated(Cause.MALFORMED_CLIENT_ID)
    return ExternalApp(own)
