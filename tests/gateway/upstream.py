"""A service that records every request byte for byte, except LAST."""

from __future__ import annotations

import socketserver
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.gateway.gateways import LAST


@dataclass(frozen=True)
class Reached:
    """A raw request, without decoding or folding."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]

    def header(self, name: str) -> list[str]:
        """Every value of a header, in any letter case and with `_` or `-`."""
        return [value for key, value in self.headers if key.lower().replace("_", "-").replace(".", "-") == name]


class Upstream:
    """Answers 200 to everything."""

    def __init__(self) -> None:
        self.reached: list[Reached] = []
        upstream = self

        class Handler(socketserver.StreamRequestHandler):
            timeout = 10

            def handle(self) -> None:
                lines: list[str] = []
                while (line := self.rfile.readline(65536).decode("latin-1")) not in ("", "\r\n", "\n"):
                    lines.append(line.rstrip("\r\n"))
                if not lines:
                    return
                method, _, rest = lines[0].partition(" ")
                headers = tuple((n, v.strip()) for n, _, v in (line.partition(":") for line in lines[1:]))
                target = rest.rpartition(" ")[0]
                if target != LAST:
                    upstream.reached.append(Reached(method, target, headers))
                body = b"" if method == "HEAD" else b"reached"
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\n" + body)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
