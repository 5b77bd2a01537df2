"""Limits on the connections of a granian server. Granian does not report them, but the kernel does, on Linux.

Every second each socket of this process that was accepted from the listener is looked at. A connection whose latest
bytes were received and not sent, and that has no request under way, is within the head of a request.
"""

from __future__ import annotations

import asyncio
import errno
import math
import os
import socket
import stat
import struct
import sys
from dataclasses import dataclass

import structlog

from app.cli.server.limits import ConnectionLimits
from app.cli.server.peer_connections import PeerConnections
from app.http.door.server_refusals import LATE_HEAD, NO_ANSWER, note_refusal

Client = tuple[str, str]  # address and port

_DESCRIPTORS = "/proc/self/fd"
# linux/tcp.h, struct tcp_info: milliseconds since data was sent, and received; bytes acknowledged, and received.
_TCP_INFO = struct.Struct("=44xI4xI64x2Q")
_FAMILIES = (socket.AF_INET, socket.AF_INET6)
_NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE)
_SECONDS = 1.0  # between two checks
_SLICE = 16  # descriptors that are checked before other work runs
_SHARE = 10  # checks take at most a tenth of the time
_log = structlog.stdlib.get_logger("server")


@dataclass(slots=True)
class _Connection:
    peer: str
    head_since: float | None = None


class GranianConnections:
    """Ends connections whose head is late, and new ones beyond the limit of their peer.

    `busy` has the clients whose request has arrived and is not answered yet.
    """

    def __init__(self, listener: socket.socket, limits: ConnectionLimits) -> None:
        self.busy: set[Client] = set()
        self._port = listener.getsockname()[1]
        self._limits = limits
        self._connections: dict[int, _Connection] = {}  # by the number of the socket
        self._peers = PeerConnections(limits)

    async def watch(self) -> None:
        """Check the connections until cancelled."""
        if sys.platform != "linux" or not os.access(_DESCRIPTORS, os.R_OK):
            _log.warning(
                "the system tells nothing of connections: late heads and the connections of a peer have no limit"
            )
            return
        while True:
            await asyncio.sleep(min(_SECONDS, self._limits.head_seconds / 4))
            try:
                await self._check_all()
            except Exception:  # noqa: BLE001  # no error may end the limits
                _log.exception("the connections could not be looked at")

    async def _check_all(self) -> None:
        loop = asyncio.get_running_loop()
        found: set[int] = set()
        began = loop.time()
        with os.scandir(_DESCRIPTORS) as entries:
            descriptors = [int(entry.name) for entry in entries]
        for index, descriptor in enumerate(descriptors, start=1):
            # The copy refers to the same socket even if the original is closed meanwhile.
            try:
                with _socket(descriptor) as copy:
                    found.add(self._check(copy, loop.time()))
            except OSError as error:
                if error.errno in _NO_DESCRIPTOR:
                    return
            if index % _SLICE == 0:
                await asyncio.sleep((loop.time() - began) * (_SHARE - 1))
                began = loop.time()
        for number in self._connections.keys() - found:
            self._peers.close(self._connections.pop(number).peer)

    def _check(self, copy: socket.socket, now: float) -> int:
        """Return the number of a connection's socket. Raises OSError if it is not a connection of the listener."""
        if copy.family not in _FAMILIES or copy.getsockname()[1] != self._port:
            raise OSError("another socket")
        address, port, *_ = copy.getpeername()
        address = address.partition("%")[0]  # of a link-local address, the interface
        number = os.fstat(copy.fileno()).st_ino
        connection = self._connections.get(number)
        if connection is None:
            peer = self._peers.open(address)
            if peer is None:
                copy.shutdown(socket.SHUT_RDWR)
                return number
            connection = self._connections[number] = _Connection(peer)
        if (address, str(port)) in self.busy or not _is_in_head(copy):
            connection.head_since = None
        elif connection.head_since is None:
            connection.head_since = now
        elif now - connection.head_since >= self._limits.head_seconds:
            copy.shutdown(socket.SHUT_RDWR)
            connection.head_since = math.inf  # it may be there at the next check, and is counted once
            note_refusal(LATE_HEAD, NO_ANSWER, self._limits.client_of(address))
        return number


def _socket(descriptor: int) -> socket.socket:
    """Duplicate a socket. Raises OSError for a descriptor that is not a socket.

    Files are not copied: a process that closes any descriptor of a file loses all its locks on it (fcntl(2)), and
    SQLite depends on its locks.
    """
    if not _is_socket(descriptor):
        raise OSError("no socket")
    copy = os.dup(descriptor)
    if not _is_socket(copy):
        # The socket was closed and a file opened meanwhile. The copy stays open, for the same reason.
        raise OSError("a file by now")
    return socket.socket(fileno=copy)


def _is_socket(descriptor: int) -> bool:
    return stat.S_ISSOCK(os.fstat(descriptor).st_mode)


def _is_in_head(copy: socket.socket) -> bool:
    sent_ago, received_ago, acknowledged, received = _TCP_INFO.unpack(
        copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
    )
    # Before anything is sent, both times may be the time at which the connection began.
    return bool(received_ago < sent_ago or (received and not acknowledged))
