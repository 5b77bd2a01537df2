"""The private parts of granian still mean what `granian_private` takes them for."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import httpx
import pytest
from granian.constants import Interfaces
from granian.log import logger
from granian.server.embed import Server

from app.cli.server.granian_private import LOGGER, SharedSocketServer


async def _app(scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


@pytest.mark.anyio
async def test_it_serves_on_the_open_socket_which_stays_open_when_it_stops() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/found"
        server: Server = SharedSocketServer(_app, listener, backlog=16, interface=Interfaces.ASGINL)
        serving = asyncio.create_task(server.serve())
        async with httpx.AsyncClient() as client:
            assert (await client.get(url)).text == "/found"
        server.stop()
        await asyncio.wait_for(serving, 10)
        listener.settimeout(5)
        with socket.create_connection(listener.getsockname()), listener.accept()[0] as accepted:
            assert accepted.getsockname() == listener.getsockname()


def test_its_logger_has_the_name_that_the_configuration_uses() -> None:
    assert logger.name == LOGGER
