"""`authz lsp` as a process, and a client that sends it messages one by one, also wrong ones."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.server import AUTHZ

SECONDS = 30.0
PUBLISH = "textDocument/publishDiagnostics"


class LspProcess:
    """A server in a workspace folder. Its standard error is in `log` after it ended."""

    def __init__(self, root: Path, *, capabilities: dict[str, Any] | None = None, **settings: str) -> None:
        self.root = root
        self.log = root.with_name(f"{root.name}.lsp.log")
        self._next = 0
        self._received: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._version = 0
        self._versions: dict[str, int] = {}
        self.published: dict[str, list[dict[str, Any]]] = {}  # what is shown now, by address
        env = {name: value for name, value in os.environ.items() if not name.startswith("AUTHZ_")}
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [AUTHZ, "lsp", "--stdio"],
                cwd=root,
                env={**env, **settings},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        workspace = [{"uri": root.as_uri(), "name": "workspace"}]
        params = {"processId": None, "rootUri": root.as_uri(), "workspaceFolders": workspace}
        self.capabilities = self.request("initialize", {**params, "capabilities": capabilities or {}})["capabilities"]
        self.notify("initialized", {})

    @property
    def pid(self) -> int:
        return self._process.pid

    def request(self, method: str, params: Any) -> Any:
        """The result of a request. Raises RuntimeError with the error that the server answers."""
        self._next += 1
        number = self._next
        self.send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        while True:
            message = self.receive()
            if message.get("id") == number and "method" not in message:
                if "error" in message:
                    raise RuntimeError(message["error"]["message"])
                return message["result"]

    def notify(self, method: str, params: Any) -> None:
        self.send({"jsonrpc": "2.0", "method": method, "params": params})

    def send(self, message: object) -> None:
        self.send_bytes(json.dumps(message).encode())

    def send_bytes(self, body: bytes) -> None:
        """Send a body with its length, whatever it is."""
        assert self._process.stdin
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        """The next message. Raises queue.Empty if there is none in time."""
        message = self._received.get(timeout=SECONDS)
        assert message is not None, f"the server ended: {self.log.read_text()}"
        if message.get("method") == PUBLISH:
            self.published[message["params"]["uri"]] = message["params"]["diagnostics"]
        return message

    def open(self, path: Path, text: str) -> str:
        """Open a file with a text; returns its address."""
        uri = path.as_uri()
        document = {"uri": uri, "languageId": "griddy-policy", "version": self._new_version(uri), "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})
        return uri

    def change(self, uri: str, text: str) -> None:
        """Change the text of an open file."""
        document = {"uri": uri, "version": self._new_version(uri)}
        self.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [{"text": text}]})

    def close(self, uri: str) -> None:
        self.notify("textDocument/didClose", {"textDocument": {"uri": uri}})

    def diagnostics(self, uri: str) -> list[dict[str, Any]]:
        """Wait for what was found in the present version of an open file."""
        while True:
            message = self.receive()
            params = message.get("params", {})
            is_wanted = message.get("method") == PUBLISH and params["uri"] == uri
            if is_wanted and params.get("version") == self._versions[uri]:
                found: list[dict[str, Any]] = params["diagnostics"]
                return found

    def all_diagnostics(self, uri: str) -> dict[str, list[dict[str, Any]]]:
        """What is shown of each file when the present version of an open file was examined."""
        self.diagnostics(uri)
        # All files of an examination are published together; the answer to a request comes after them.
        self.request("textDocument/hover", {"textDocument": {"uri": uri}, "position": {"line": 0, "character": 0}})
        return {address: items for address, items in self.published.items() if items}

    def stop(self) -> int:
        """Shut the server down; returns its exit status."""
        self.request("shutdown", None)
        self.notify("exit", None)
        return self._process.wait(SECONDS)

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(SECONDS)
        self._reader.join(SECONDS)
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()

    def _new_version(self, uri: str) -> int:
        self._version += 1
        self._versions[uri] = self._version
        return self._version

    def _read(self) -> None:
        stream = self._process.stdout
        assert stream
        while header := stream.readline():
            name, _, length = header.partition(b":")
            assert name == b"Content-Length", header  # nothing else may be written to standard output
            while stream.readline().strip():
                pass
            self._received.put(json.loads(stream.read(int(length))))
        self._received.put(None)
