"""Refuses new connections on a listening socket that must stay open for accepted ones."""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from contextlib import suppress

# A classic BPF program over the TCP header: drop what has SYN and not ACK, the first packet of a connection. The
# handshakes that have begun and all else still pass (linux/filter.h, struct sock_filter).
_DROP_SYN = (
    (0x30, 0, 0, 13),  # load the byte of the flags
    (0x54, 0, 0, 0x12),  # of which SYN and ACK
    (0x15, 0, 1, 0x02),  # SYN alone?
    (0x06, 0, 0, 0),  # drop it
    (0x06, 0, 0, 0xFFFFFFFF),  # pass it
)
_SO_ATTACH_FILTER = 26


def refuse_new(listener: socket.socket) -> None:
    """Accept no further connection. A client that tries repeats its first packet, and is refused after the close.

    Every process that has the socket shares this. On systems other than Linux nothing happens: a connection that
    begins in the last moment before the close may then be reset.
    """
    if sys.platform != "linux":
        return
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in _DROP_SYN))
    with suppress(OSError):  # a kernel without filters, as in a sandbox, behaves like other systems
        listener.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(_DROP_SYN), ctypes.addressof(program))
        )
