"""Load: clients that send requests on kept connections and count the outcome of each."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class Load:
    """Clients that send requests until the block ends or the server stops; a `body` is sent by POST as JSON.

    `answers` counts answers by status. `lost` has each request that was sent and got no complete answer. A refused
    connection counts as neither, since nothing was sent; with `retry_refused` it is retried.
    """

    def __init__(
        self,
        url: str,
        path: str = "/healthz",
        *,
        body: object = None,
        clients: int = 8,
        headers: Mapping[str, str] | None = None,
        retry_refused: bool = False,
        pause: float = 0.0,
    ) -> None:
        self._address = urlsplit(url).netloc
        self._path = path
        self._body = None if body is None else json.dumps(body).encode()
        self._headers = {**(headers or {}), **({} if body is None else {"Content-Type": "application/json"})}
        self._retry_refused = retry_refused
        self._pause = pause
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask_on, daemon=True) for _ in range(clients)]
        self.answers: Counter[int] = Counter()
        self.lost: list[str] = []
        self.refused = 0
        self.reconnected = 0

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self.join()

    def join(self, seconds: float = 30.0) -> None:
        """Wait until all clients have ended."""
        for thread in self._threads:
            thread.join(seconds)

    def _ask_on(self) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=30)
        while not self._stop.is_set():
            if connection.sock is None:
                try:
                    connection.connect()
                except ConnectionRefusedError:
                    self.refused += 1
                    if not self._retry_refused:
                        return
                    time.sleep(0.02)
                    continue
                self.reconnected += 1
            try:
                connection.request("POST" if self._body else "GET", self._path, self._body, self._headers)
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(repr(error))
                connection.close()
            else:
                self.answers[answer.status] += 1
            if self._pause:
                time.sleep(self._pause)
        connection.close()
