"""`authz dev` for tests whose apps have their documents on this machine: any name resolves to it, and is trusted."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from ipaddress import ip_address

from app.cli import main
from app.oauth import composition
from app.oauth.document_fetch import DocumentFetch
from app.oauth.public_address import Address


async def resolve(_: str, __: int) -> Sequence[Address]:
    """The address of this machine."""
    return [ip_address("127.0.0.1")]


if __name__ == "__main__":
    here = partial(DocumentFetch, resolve=resolve, trusted=lambda address: address.is_loopback)
    vars(composition)["DocumentFetch"] = here
    main()
