"""A real browser on the console of a real platform."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

import controlplane
from tests.support.platform import Platform

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
BUILT = Path(controlplane.__file__).parent / "console" / "static" / "index.html"
CANDIDATES = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str | None:
    """The browser to use: $CHROMIUM, else what the machine has. Playwright never downloads its own."""
    return os.environ.get("CHROMIUM") or next((path for name in CANDIDATES if (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """Playwright, for as long as the tests run."""
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """One chromium for all tests; each has a context of its own."""
    path = chromium()
    if path is None:
        pytest.skip("no chromium on this machine: install it, or name one in CHROMIUM")
    if not BUILT.is_file():
        pytest.skip("the console is not built: `make console`")
    running = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
    yield running
    running.close()


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform with an administrator, shared by the tests of a module."""
    running = Platform(tmp_path_factory.mktemp("console") / "data")
    try:
        yield running.start()
    finally:
        running.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh browser profile at 1440×900. Fails the test when the page raises an error."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    context.set_default_timeout(15_000)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert not errors, errors
