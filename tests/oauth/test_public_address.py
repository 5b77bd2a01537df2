"""Which addresses the document of an app may be fetched from."""

from __future__ import annotations

import asyncio
import socket
import threading
from ipaddress import ip_address

import pytest

from app.oauth.public_address import MAX_LOOKUPS, TooManyLookups, is_public, resolve

PRIVATE = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.9",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::127.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::8.8.8.8",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:10::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:a00:1::1",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd12:3456:789a::1",
    "fe80::1",
    "fe80::1%1",
    "2606:4700::1%1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "198.17.255.255", "2606:4700:4700::1111", "2a00:1450:4001::8a", "64:ff9b::8.8.8.8"]


@pytest.mark.parametrize("text", PRIVATE)
def test_an_address_that_only_this_server_may_reach(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_an_address_of_a_public_host(text: str) -> None:
    assert is_public(ip_address(text))


@pytest.mark.anyio
@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.1", "0x7f000001", "2130706433", "017700000001", "::1", "0", ""]
)
async def test_a_name_of_this_machine_resolves_to_no_public_address(host: str) -> None:
    assert not any(map(is_public, await resolve(host, 443)))


@pytest.mark.anyio
@pytest.mark.parametrize("host", ["no.such.host.invalid", "a" * 64 + ".example", "a..b", ".", "\ud800", "a b"])
async def test_a_name_without_addresses(host: str) -> None:
    assert await resolve(host, 443) == ()


@pytest.mark.anyio
@pytest.mark.parametrize("text", ["192.0.2.7", "2001:db8::7"])
async def test_an_address_resolves_to_itself(text: str) -> None:
    assert await resolve(text, 443) == (ip_address(text),)


@pytest.mark.anyio
async def test_look_ups_that_hang_do_not_take_more_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = threading.Event()

    def hang(*_: object, **_more: object) -> list[object]:
        answer.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    hanging = [asyncio.create_task(resolve("slow.example", 443)) for _ in range(MAX_LOOKUPS)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyLookups):
        await resolve("slow.example", 443)
    hanging[0].cancel()
    await asyncio.sleep(0)
    with pytest.raises(TooManyLookups):  # its thread is still busy
        await resolve("slow.example", 443)
    answer.set()
    assert await asyncio.gather(*hanging[1:]) == [()] * (MAX_LOOKUPS - 1)
    assert await resolve("slow.example", 443) == ()
