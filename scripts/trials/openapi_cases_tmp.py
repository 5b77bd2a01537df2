"""Send requests that schemathesis derives from the OpenAPI document, and check each response against the document.

    .venv/bin/python -m scripts.trials.openapi_cases [--examples 20] [--seed 2026] [words of `st run`]

All checks are on: a response has a documented status, headers and body, what the schema forbids is refused and what it
allows is not, credentials are needed where the document says so, and `Allow` names the methods of a path.
`openapi/schemathesis.toml` says which refusals a schema cannot announce. The server has the sample data, and the caller
all permissions. Prints the report of schemathesis, and exits with 1 when it finds something.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.issuer import LiveIssuer
from tests.support.sample_data import fill
from tests.support.server import ROOT, Server

CONFIG = Path("/tmp/a18/strict.toml")
_TOKEN_SECONDS = 6 * 3600


@contextmanager
def filled_server(directory: Path) -> Iterator[tuple[Server, str]]:
    """A server with the sample data and without budgets, and a token with all permissions."""
    permissions = sorted(tomllib.loads((ROOT / "policies" / "permissions.toml").read_text()))
    with LiveIssuer() as issuer:
        made = Server(
            directory,
            jwks_url=issuer.jwks_url,
            issuer=issuer.url,
            access_log="false",
            bad_credentials_per_minute="0",
            key_issues_per_minute="0",
            public_url="https://api.griddy.example",
            console_url="http://127.0.0.1",
            console_client_id="console",
            app_registration="true",
        )
        asyncio.run(fill(made.env["AUTHZ_DATABASE_URL"]))
        with made as server:
            yield server, issuer.token(permissions=permissions, exp=int(time.time()) + _TOKEN_SECONDS)


def main() -> None:
    """Read the arguments, and run schemathesis."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=20, help="cases of each operation in the phase of fuzzing")
    parser.add_argument("--seed", type=int, default=2026)
    options, words = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as temporary, filled_server(Path(temporary)) as (server, token):
        st = Path(sys.executable).parent / "st"
        command = [st, "--config-file", CONFIG, "run", f"{server.url}/openapi.json", "--url", server.url]
        command += ["--checks", "all", "-H", f"Authorization: Bearer {token}", "--no-color"]
        command += ["-n", options.examples, "--seed", options.seed, *words]
        sys.exit(subprocess.run([str(word) for word in command], cwd=temporary, check=False).returncode)


if __name__ == "__main__":
    main()
