"""Sends a batch to a destination, and says what its answer means for the batch."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from app.identity.httpx_private import limit_client
from app.siem.destination import Destination

SEND_SECONDS = 15.0
_MAX_ANSWER_BYTES = 65_536
MAX_RECEIVED = 200_000  # with the head of the answer, interim responses and the encoding of the body
# The content of the batch is at fault: without some of its records the destination may accept it.
_REFUSED = (400, 413, 422)
_UNAUTHENTICATED = (401, 403)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The batch arrived, except `rejected` of its records, for this reason."""

    rejected: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RefusedBatch:
    """The destination will never accept this batch."""

    status: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The batch did not arrive, and may later: after `retry_after` seconds, if the destination says so."""

    error: str
    retry_after: float | None = None


class ReceivedTooMuch(Exception):
    """The destination sent more than `MAX_RECEIVED`."""


Answer = Accepted | RefusedBatch | Failed


class Sender:
    """The HTTP client of a destination. It verifies certificates and follows no redirects. Must be closed."""

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        self._client: httpx.AsyncClient | None = None
        headers = {"Content-Type": destination.content_type, "Accept": "application/json"}
        if destination.header is not None:
            name, value = destination.header
            headers[name] = value
        self._headers = {**headers, "Accept-Encoding": "identity"}

    async def send(self, body: bytes) -> Answer:
        """Send a batch once. Never raises an error of the network."""
        if self._client is None:
            self._client = await asyncio.to_thread(_new_client)  # it reads all trusted authorities
        try:
            # The timeouts of httpx start again with every byte.
            async with asyncio.timeout(SEND_SECONDS):
                return await self._exchange(self._client, body)
        except TimeoutError:
            return Failed(f"no complete answer in {SEND_SECONDS:g} s")
        except ReceivedTooMuch:
            return Failed(f"the answer has over {MAX_RECEIVED:,} bytes with its head")
        except httpx.ConnectError as error:
            return Failed(f"no connection: {error}")  # says whether DNS, TLS or the connection failed
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return Failed(f"no answer ({type(error).__name__})")

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

    async def _exchange(self, client: httpx.AsyncClient, body: bytes) -> Answer:
        request = client.stream("POST", self._destination.url, content=body, headers=self._headers)
        async with request as response:
            content = bytearray()
            async for chunk in response.aiter_raw():
                content += chunk
                if len(content) > _MAX_ANSWER_BYTES:
                    break
            return self._answer(response, bytes(content))

    def _answer(self, response: httpx.Response, content: bytes) -> Answer:
        status = response.status_code
        if response.is_success:
            return Accepted(*self._destination.rejected(content))
        if status in _REFUSED:
            return RefusedBatch(status)
        if response.is_redirect:
            return Failed(f"HTTP {status}: a redirect, which is not followed; correct {self._destination.variable}_URL")
        if status in _UNAUTHENTICATED:
            return Failed(f"HTTP {status}: correct {self._destination.variable}_HEADER")
        return Failed(f"HTTP {status}", retry_after(response.headers.get("retry-after"), datetime.now(UTC)))


def retry_after(value: str | None, now: datetime) -> float | None:
    """The seconds of a `Retry-After` (RFC 9110 section 10.2.3); None if there is none, or it is invalid."""
    if value is None:
        return None
    if value.isascii() and value.isdecimal():
        return float(value[:9])
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max((moment - now).total_seconds(), 0.0)


def _new_client() -> httpx.AsyncClient:
    client = httpx.AsyncClient(
        follow_redirects=False,
        timeout=None,  # noqa: S113  # `send` limits the exchange as a whole
        limits=httpx.Limits(max_keepalive_connections=1, keepalive_expiry=30.0),
    )
    limit_client(client, MAX_RECEIVED, ReceivedTooMuch)
    return client
