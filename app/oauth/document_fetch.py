"""Fetches the document of an app from its public host, with limits for time and size, and without redirects."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx

from app.identity.httpx_private import limit_received
from app.oauth.client_document import DocumentAddress
from app.oauth.public_address import Address, Resolve, TooManyLookups, is_public, resolve

MAX_BYTES = 5 * 1024
MAX_RECEIVED = 24 * 1024  # with the head of the answer, interim responses and the encoding of the body
SECONDS = 3.0
MAX_FETCHES = 32  # at once in a process
MIN_AGE_SECONDS, MAX_AGE_SECONDS = 300, 86_400
_MAX_ATTEMPTS = 2  # addresses of a host, which may have one of each family
_CONNECT_SHARE = 0.45  # of the time that is left
_NO_PUBLIC = "its host has no public address, or has others too"
_JSON = re.compile(r"application/(json|[a-z0-9!#$&^_.+-]+\+json)[ \t]*(;.*)?", re.IGNORECASE)
_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=\"?([0-9]{1,10})\"?(?:$|[,\s])", re.IGNORECASE)
_UNCACHED = re.compile(r"(?:^|[,\s])(no-store|no-cache)(?:$|[,\s])", re.IGNORECASE)


class DocumentNotFetched(Exception):
    """The document could not be fetched. The message is for the developer of the app."""


class DocumentHostSlow(DocumentNotFetched):
    """The host did not answer in time. To look up its name may take a thread for longer."""


@dataclass(frozen=True, slots=True)
class FetchedDocument:
    """A document, and for how many seconds it may be cached."""

    body: bytes
    age_seconds: int


class DocumentFetch:
    """Fetches documents. `trusted` says which addresses may be connected to, `tls` creates the context for HTTPS."""

    def __init__(
        self,
        *,
        resolve: Resolve = resolve,
        trusted: Callable[[Address], bool] = is_public,
        tls: Callable[[], ssl.SSLContext] = httpx.create_ssl_context,
        seconds: float = SECONDS,
    ) -> None:
        self._resolve = resolve
        self._trusted = trusted
        self._tls = tls
        self._seconds = seconds
        self._context: ssl.SSLContext | None = None
        self._slots = asyncio.Semaphore(MAX_FETCHES)

    async def fetch(self, address: DocumentAddress) -> FetchedDocument:
        """Fetch a document. Raises DocumentNotFetched."""
        ends = asyncio.get_running_loop().time() + self._seconds
        try:
            async with asyncio.timeout_at(ends), self._slots:
                hosts = await self._addresses(address)
                if self._context is None:
                    self._context = await asyncio.to_thread(self._tls)
                return await self._fetch_from(address, hosts, self._context, ends)
        except (TimeoutError, httpx.ConnectTimeout):
            raise DocumentHostSlow(f"there is no complete answer within {self._seconds:g} s") from None
        except httpx.ConnectError:
            raise DocumentNotFetched("no secure connection to its host is possible") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError):
            raise DocumentNotFetched("its host gave no complete answer") from None

    async def _addresses(self, address: DocumentAddress) -> Sequence[Address]:
        """The addresses of the host. One that is not trusted refuses all: which one is used is up to chance."""
        try:
            found = await self._resolve(address.host.strip("[]"), address.port)
        except TooManyLookups:
            raise DocumentNotFetched("too many documents are fetched now: try again") from None
        if not found or not all(map(self._trusted, found)):
            raise DocumentNotFetched(_NO_PUBLIC)
        return found[:_MAX_ATTEMPTS]

    @staticmethod
    async def _fetch_from(
        address: DocumentAddress, hosts: Sequence[Address], tls: ssl.SSLContext, ends: float
    ) -> FetchedDocument:
        *others, last = hosts
        for host in others:
            try:
                return await _exchange(address, host, tls, ends)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await _exchange(address, last, tls, ends)


async def _exchange(address: DocumentAddress, host: Address, tls: ssl.SSLContext, ends: float) -> FetchedDocument:
    """Connect to this address alone, with a certificate for the name of the host. Raises the errors of httpx."""
    # For TCP and for TLS each: httpx leaves a socket open whose handshake is cancelled from outside.
    connect = max(ends - asyncio.get_running_loop().time(), 0.01) * _CONNECT_SHARE
    # With a transport httpx reads no proxy from the environment.
    transport = httpx.AsyncHTTPTransport(verify=tls, trust_env=False, limits=httpx.Limits(max_connections=1))
    limit_received(transport, MAX_RECEIVED, _too_much)
    literal = f"[{host}]" if host.version == 6 else str(host)
    headers = {
        "Host": address.authority,
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": "griddy-authz",
    }
    async with (
        httpx.AsyncClient(
            transport=transport, timeout=httpx.Timeout(None, connect=connect), follow_redirects=False
        ) as client,
        client.stream(
            "GET",
            f"https://{literal}:{address.port}{address.target}",
            headers=headers,
            extensions={"sni_hostname": address.host.strip("[]")},
        ) as answer,
    ):
        return await _read(answer)


def _too_much() -> DocumentNotFetched:
    return DocumentNotFetched(f"the answer has over {MAX_RECEIVED:,} bytes with its head")


async def _read(answer: httpx.Response) -> FetchedDocument:
    if answer.has_redirect_location:
        raise DocumentNotFetched(f"the answer is a redirect ({answer.status_code}), which is not followed")
    if answer.status_code != 200:
        raise DocumentNotFetched(f"the status of the answer is {answer.status_code}, not 200")
    if _JSON.fullmatch(answer.headers.get("content-type", "")) is None:
        raise DocumentNotFetched("the Content-Type of the answer is not application/json")
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise DocumentNotFetched("the answer is compressed, which was not requested")
    body = bytearray()
    async for chunk in answer.aiter_raw():
        body += chunk
        if len(body) > MAX_BYTES:
            raise DocumentNotFetched(f"the document has over {MAX_BYTES:,} bytes")
    return FetchedDocument(bytes(body), _age(", ".join(answer.headers.get_list("cache-control"))))


def _age(cache_control: str) -> int:
    """For how long an answer may be cached by its Cache-Control (RFC 9111), within the limits."""
    found = _MAX_AGE.search(cache_control)
    if found is None or _UNCACHED.search(cache_control):
        return MIN_AGE_SECONDS
    return min(max(int(found[1]), MIN_AGE_SECONDS), MAX_AGE_SECONDS)
