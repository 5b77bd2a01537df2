"""One exchange with the issuer: bounded in time and size, and no redirect is followed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httpx


class FetchFailed(Exception):
    """The document did not come. The message says why, without its address."""


def new_client() -> httpx.AsyncClient:
    """A client for `fetch`, to be closed by its creator."""
    # A new connection for each fetch: it follows a changed DNS entry, and none idles for minutes.
    return httpx.AsyncClient(
        follow_redirects=False,
        timeout=None,  # noqa: S113  # the whole exchange has one, below
        limits=httpx.Limits(max_keepalive_connections=0),
        headers={"Accept": "application/json", "Accept-Encoding": "identity"},
    )


async def fetch(
    client: httpx.AsyncClient,
    url: str,
    *,
    seconds: float,
    max_bytes: int,
    form: Mapping[str, str] | None = None,
    auth: tuple[str, str] | None = None,
) -> tuple[int, bytes]:
    """The status and body at an address; with a `form`, of sending it there. Raises FetchFailed."""
    body = bytearray()
    method = "GET" if form is None else "POST"
    asked = client.stream(method, url, data=form, auth=httpx.BasicAuth(*auth) if auth else None)
    try:
        # One limit for the whole exchange: the limits of httpx start again with every byte.
        async with asyncio.timeout(seconds), asked as response:
            if response.is_redirect:
                raise FetchFailed(f"the answer is a redirect ({response.status_code}): none is followed")
            if response.headers.get("content-encoding", "identity") != "identity":
                raise FetchFailed("the answer is compressed, though that was not asked for")
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > max_bytes:
                    raise FetchFailed(f"the document is over {max_bytes} bytes")
            return response.status_code, bytes(body)
    except TimeoutError:
        raise FetchFailed(f"no whole answer in {seconds:g} s") from None
    except httpx.ConnectError as error:
        # A refusal, a name or a certificate: an operator needs to know which.
        raise FetchFailed(f"no connection: {error}") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise FetchFailed(f"no answer ({type(error).__name__})") from None
