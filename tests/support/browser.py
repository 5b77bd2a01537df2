"""A real browser, Debian's Chromium driven by Playwright, with accessibility checks by axe."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Literal

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright

from tests.support.server import Server

PATIENCE = 10_000  # milliseconds for a step, on a busy machine
NARROW, WIDE = (360, 740), (1440, 900)
Scheme = Literal["light", "dark"]
# A rule of WCAG 2.2 AA that axe checks on request. Reporting what violates nothing would take a third of the time.
_OPTIONS = {"reporter": "no-passes", "rules": {"target-size": {"enabled": True}}}
_VIOLATIONS = """options => axe.run(options).then(found => found.violations.map(
  each => `${each.id}: ${each.nodes.map(node => node.target).join(", ")}`))"""
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
        executable_path=program,
        args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--renderer-process-limit=1"],
    )


@pytest.fixture(scope="module")
def profile(chromium: Browser) -> Iterator[BrowserContext]:
    """One browser profile for a module, with a page that stays open: its process is that of all pages."""
    opened = chromium.new_context(
        locale="en-GB", timezone_id="UTC", reduced_motion="reduce", viewport={"width": WIDE[0], "height": WIDE[1]}
    )
    opened.set_default_timeout(PATIENCE)
    opened.new_page()
    yield opened
    opened.close()


@pytest.fixture
def context(profile: BrowserContext) -> Iterator[BrowserContext]:
    """The browser profile for one test, which leaves no cookie, permission or page behind."""
    (kept,) = profile.pages
    yield profile
    for opened in profile.pages:
        if opened is not kept:
            opened.close()
    profile.clear_cookies()
    profile.clear_permissions()


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
    """The violations of WCAG 2.2 A and AA and of best practices that axe finds: rule and places."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found: list[str] = page.evaluate(_VIOLATIONS, _OPTIONS)
    return found


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
