"""A real browser, Debian's Chromium driven by Playwright, with accessibility checks by axe."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright

from tests.support.server import Server

PATIENCE = 10_000  # milliseconds for a step, on a busy machine
NARROW, WIDE = (360, 740), (1440, 900)
Scheme = Literal["light", "dark"]
_axe = Axe()
# A rule of WCAG 2.2 AA that axe checks only on request.
_RULES = {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}
# A copy without limits is as wide as the longest option.
_CUT_SELECTS = """() => [...document.querySelectorAll("select")].filter((select) => {
  const copy = select.cloneNode(true);
  copy.style.cssText = "position: absolute; visibility: hidden; width: auto; min-width: 0; max-width: none";
  select.after(copy);
  const needed = copy.getBoundingClientRect().width;
  copy.remove();
  return select.getBoundingClientRect().width > 0 && needed > select.getBoundingClientRect().width + 0.5;
}).map((select) => select.id)"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for a module. Its event loop runs as long, so tests of the module cannot start another."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


def launch(playwright: Playwright) -> Browser:
    """Start the Chromium of the system."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.fail("there is no Chromium: `apt-get install chromium`, or as scripts/setup says")
    return playwright.chromium.launch(
        executable_path=program, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    )


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A new browser profile."""
    opened = chromium.new_context(
        locale="en-GB", timezone_id="UTC", reduced_motion="reduce", viewport={"width": WIDE[0], "height": WIDE[1]}
    )
    opened.set_default_timeout(PATIENCE)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """An empty page. The test fails if a script throws, or a page violates its content security policy."""
    opened = context.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(f"{opened.url}: {error}"))
    opened.on(
        "console",
        lambda said: faults.append(f"{opened.url}: {said.text}") if "Content Security Policy" in said.text else None,
    )
    yield opened
    assert not faults, "\n".join(faults)


def sign_in(page: Page, server: Server, person: str = "Alice Adams", *, to: str = "/console") -> None:
    """Sign in as a user, and open a page of the console."""
    page.goto(f"{server.url}/console/sign-in?to={to}")
    page.get_by_role("link", name="Sign in at").click()
    page.get_by_role("button", name=person).click()
    page.wait_for_url(f"{server.url}/console**")


def use(page: Page, scheme: Scheme, size: tuple[int, int] = WIDE) -> None:
    """Show the page in a colour scheme and at a size."""
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": size[0], "height": size[1]})


def violations(page: Page) -> list[str]:
    """The violations of WCAG 2.2 A and AA and of best practices that axe finds: rule and place."""
    found = _axe.run(page, options=_RULES).response["violations"]
    return [f"{each['id']}: {', '.join(str(node['target']) for node in each['nodes'])}" for each in found]


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than the window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def cut_selects(page: Page) -> list[str]:
    """The ids of the drop-down lists that are narrower than the longest of their options, whose text would be cut."""
    found: list[str] = page.evaluate(_CUT_SELECTS)
    return found


def check_looks(page: Page) -> None:
    """Check the page in both colour schemes and at both widths: no violations, no overflow, and no text that is cut."""
    looks: tuple[tuple[Scheme, tuple[int, int]], ...] = (("dark", NARROW), ("light", WIDE))
    for scheme, size in looks:
        use(page, scheme, size)
        found = violations(page)
        assert found == [], f"{page.url} {scheme} {size}: {found}"
        assert overflow(page) <= 0, f"{page.url} {size}"
        assert cut_selects(page) == [], f"{page.url} {size}"
