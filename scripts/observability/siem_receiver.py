"""A receiver to try the export to a SIEM with: it prints each event as a line of JSON.

It accepts CloudEvents and logs of OpenTelemetry at any path, from this machine only.

Usage: python scripts/observability/siem_receiver.py [PORT]
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

_PORT = 4318  # of OTLP over HTTP


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        for event in _events(content):
            print(json.dumps(event), flush=True)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name of the base class
        """Print nothing but events."""


def _events(content: Any) -> list[Any]:
    if isinstance(content, list):
        return [event["data"] for event in content]
    scopes = [scope for resource in content["resourceLogs"] for scope in resource["scopeLogs"]]
    return [_plain(record["body"]) for scope in scopes for record in scope["logRecords"]]


def _plain(value: dict[str, Any]) -> object:
    """What an AnyValue of OpenTelemetry stands for."""
    match value:
        case {"kvlistValue": {"values": values}}:
            return {each["key"]: _plain(each["value"]) for each in values}
        case {"arrayValue": {"values": values}}:
            return [_plain(each) for each in values]
        case {"intValue": digits}:
            return int(digits)
    return next(iter(value.values()), None)


def main() -> None:
    """Serve until Ctrl-C."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else _PORT
    server = HTTPServer(("127.0.0.1", port), _Handler)
    print(f"listening on http://127.0.0.1:{server.server_address[1]}", file=sys.stderr, flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


if __name__ == "__main__":
    main()
