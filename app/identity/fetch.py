"""HTTP requests to the issuer, with limits for time and size, and without following redirects."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httpx

from app.identity.httpx_private import limit_client

MAX_RECEIVED = 512 * 1024  # of an answer, with its head, interim responses and the encoding of its body


class FetchFailed(Exception):
    """The document could not be fetched. The message gives the reason, and not the address."""


def new_client() -> httpx.AsyncClient:
    """A client for `fetch`, which its creator must close."""
    # Each fetch opens a new connection, so that a changed DNS entry is noticed.
    client = httpx.AsyncClient(
        follow_redirects=False,
        timeout=None,  # noqa: S113  # `fetch` limits the exchange as a whole
        limits=httpx.Limits(max_keepalive_connections=0),
        headers={"Accept": "application/json", "Accept-Encoding": "identity"},
    )
    limit_client(client, MAX_RECEIVED, _too_much)
    return client


async def fetch(
    client: httpx.AsyncClient,
    url: str,
    *,
    seconds: float,
    max_bytes: int,
    form: Mapping[str, str] | None = None,
    auth: tuple[str, str] | None = None,
) -> tuple[int, bytes]:
    """Send a GET, or a POST if there is a `form`, and return the status and the body. Raises FetchFailed."""
    body = bytearray()
    method = "GET" if form is None else "POST"
    request = client.stream(method, url, data=form, auth=httpx.BasicAuth(*auth) if auth else None)
    try:
        # The timeouts of httpx start again with every byte.
        async with asyncio.timeout(seconds), request as response:
            if response.is_redirect:
                raise FetchFailed(f"the answer is a redirect ({response.status_code}), which is not followed")
            if response.headers.get("content-encoding", "identity") != "identity":
                raise FetchFailed("the answer is compressed, which was not requested")
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > max_bytes:
                    raise FetchFailed(f"the document is over {max_bytes} bytes")
            return response.status_code, bytes(body)
    except TimeoutError:
        raise FetchFailed(f"no complete answer in {seconds:g} s") from None
    except httpx.ConnectError as error:
        # Its text says whether DNS, TLS or the connection failed.
        raise FetchFailed(f"no connection: {error}") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise FetchFailed(f"no answer ({type(error).__name__})") from None


def _too_much() -> FetchFailed:
    return FetchFailed(f"the answer has over {MAX_RECEIVED:,} bytes with its head")
