"""Run the conformance runner of the Model Context Protocol against `authz dev --mcp`.

    .venv/bin/python -m scripts.trials.conformance

All its scenarios for an authorization server, with a user in Chromium, and those for an MCP server that need no tool of
the runner's own server: of these only the listed checks in `not_applicable.yaml` may fail. Its scenarios for clients do
not apply: there is no client here. Prints what each scenario says. Exits with 1 when one fails.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.support.browser import launch
from tests.support.dev_server import DevServer, dev_server
from tests.support.server import AUTHZ
from tests.support.trials.conformance import authorization_scenarios, server_scenarios


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as directory, dev_server(Path(directory), "--mcp") as dev:
        token = _token(dev)
        with sync_playwright() as playwright, launch(playwright) as browser:
            page = browser.new_page()
            found = [authorization_scenarios(dev, lambda address: _allow(page, address))]
        for each in (*found, *server_scenarios(dev, token)):
            print(each.output, flush=True)
            print(f"{'PASS' if each.passed else 'FAIL'} {each.scenario}", flush=True)
            failed += not each.passed
    return 1 if failed else 0


def _allow(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_role("link", name="Sign in at").click()
    page.get_by_role("button", name="Erin Evans").click()
    page.get_by_role("button", name="Allow", exact=True).click()
    page.wait_for_url("http://127.0.0.1:*/callback?**")


def _token(dev: DevServer) -> str:
    port = dev.address("Local issuer").rpartition(":")[2]
    words = ["token", "--issuer-port", port, "--data-dir", "data", "--permissions", "catalog:read holdings:read"]
    done = subprocess.run([AUTHZ, *words], cwd=dev.directory, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
