"""An HTTP server in a thread of the tests."""

from __future__ import annotations

import ssl
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.support.certificate import Certificate


class ThreadedServer(ThreadingHTTPServer):
    """Serves while entered, by default on a free port; over TLS if it has a certificate."""

    daemon_threads = True

    def __init__(
        self, handler: Callable[..., BaseHTTPRequestHandler], *, certificate: Certificate | None = None, port: int = 0
    ) -> None:
        super().__init__(("127.0.0.1", port), handler)
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.server_port}"
        if certificate:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(certificate.certificate, certificate.key)
            # The handshake in the thread of the connection, so that a client without one holds up no other.
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the errors of a handler, but not that a client gave up or was killed."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)
