"""Takes the pictures of the console in scripts/console/README.md: starts `authz dev`, creates some data, and shoots.

.venv/bin/python -m scripts.console.shoot                 # writes them next to this file
.venv/bin/python -m scripts.console.shoot --dark --to /tmp
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.sync_api import Page, sync_playwright

from tests.support.server import AUTHZ, ROOT, eventually

KEYS = (("Nightly import", "catalog:read"), ("Season planner", "catalog:write"), ("Old laptop", "catalog:read"))
TEAMS = "p, catalog:read, /api/v1/teams/**, GET|HEAD, allow"


@contextmanager
def serving(directory: Path) -> Iterator[str]:
    """The address of a new `authz dev`."""
    shutil.copytree(ROOT / "policies", directory / "policies")
    log = directory / "printed"
    command = [str(AUTHZ), "dev", "--port", "0", "--issuer-port", "0", "--data-dir", "data"]
    with log.open("w") as out, subprocess.Popen(command, cwd=directory, stdout=out, stderr=out) as dev:
        try:
            assert eventually(lambda: "Stop with Ctrl-C." in log.read_text(), 60), log.read_text()
            found = re.search(r"Console +(http://\S+)/console", log.read_text())
            assert found
            yield found[1]
        finally:
            dev.terminate()


def sign_in(page: Page, address: str, name: str) -> None:
    """Sign in as one of the sample users."""
    page.goto(f"{address}/console")
    page.locator("main a.button").click()
    page.get_by_role("button").filter(has_text=name).click()
    page.wait_for_url(f"{address}/console/**")


def issue(page: Page, address: str, name: str, scope: str) -> str:
    """Issue a key by the form; return its plaintext."""
    page.goto(f"{address}/console/keys/new")
    page.get_by_label("Name").fill(name)
    page.locator(f"input[value='{scope}']").check()
    page.get_by_role("button", name="Issue the key").click()
    found = re.search(r"grd_live_[0-9a-f]{48}", page.content())
    assert found
    return found[0]


def create_data(address: str, browser_page: Page, other_page: Page, to: Path) -> None:
    """Create keys of Alice, call with one of them, and preview a change by Carol that would affect it."""
    sign_in(browser_page, address, "Alice")
    plaintexts = [issue(browser_page, address, *key) for key in KEYS]
    with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {plaintexts[0]}"}) as program:
        for path in ("/api/v1/teams/", "/api/v1/games/", "/api/v1/sources/"):
            program.get(path)
    browser_page.goto(f"{address}/console/keys")
    browser_page.get_by_role("link", name="Old laptop").click()
    browser_page.get_by_role("link", name="Revoke").click()
    browser_page.get_by_role("button", name="Revoke").click()
    browser_page.goto(f"{address}/console/keys")
    browser_page.screenshot(path=to / "keys.png")

    sign_in(other_page, address, "Carol")
    other_page.goto(f"{address}/console/policy/edit?file=catalog.csv")
    text = other_page.get_by_role("textbox", name="catalog.csv")
    text.fill(text.input_value().replace(TEAMS, TEAMS.replace("catalog:read", "holdings:read")))
    other_page.get_by_role("button", name="Preview").click()
    other_page.locator("#replay").get_by_text("user_alice").first.wait_for()
    other_page.set_viewport_size({"width": 1100, "height": 1180})
    other_page.screenshot(path=to / "preview.png")


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, default=Path(__file__).parent, help="the folder to write to")
    parser.add_argument("--dark", action="store_true", help="with the dark colours")
    asked = parser.parse_args()
    program = shutil.which("chromium")
    if program is None:
        sys.exit("there is no Chromium: `apt-get install chromium`")
    with (
        tempfile.TemporaryDirectory() as directory,
        serving(Path(directory)) as address,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        pages = [
            browser.new_page(viewport={"width": 1100, "height": 640}, color_scheme="dark" if asked.dark else "light")
            for _ in range(2)
        ]
        create_data(address, pages[0], pages[1], asked.to)
        browser.close()


if __name__ == "__main__":
    main()
