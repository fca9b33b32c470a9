"""A real Chromium against the live server.

`open_page(user, path, …)` gives a page in which the user is signed in; at the end of the test it fails if
any page wrote an error to the console (a script's, or one of the content security policy).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
# requests that fail on purpose in some tests, and a font that a very short visit does not need
EXPECTED = (
    "Response Status Error Code 4",
    "the server responded with a status of 4",
    "net::ERR_FAILED",
    "htmx:afterRequest",  # htmx says so of a request that the test cut off
    "htmx:sendError",
    "was preloaded using link preload",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever lives here is a browser test, and runs against a server of its own."""
    for item in items:
        if "tests/browser/" in item.path.as_posix():
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.django_db(transaction=True, serialized_rollback=True))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser for the session."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert path, "The browser tests need Chromium: apt-get install chromium"
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    # playwright keeps an event loop in this thread; the tests themselves are not asynchronous
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def open_page(chromium: Browser, live_server) -> Iterator[Callable[..., Page]]:
    """`open_page(user, path, phone=False, theme="light")`; `user` None: nobody is signed in."""
    said: list[str] = []
    contexts = []

    def _open(user, path: str = "/", *, phone: bool = False, theme: str = "light") -> Page:
        context = chromium.new_context(
            base_url=live_server.url,
            viewport=PHONE if phone else DESKTOP,
            is_mobile=phone,
            has_touch=phone,
            color_scheme=theme,
            reduced_motion="reduce",  # a colour in the middle of its change has no contrast to measure
        )
        contexts.append(context)
        if user is not None:
            client = Client()
            client.force_login(user)
            cookie = client.cookies[settings.SESSION_COOKIE_NAME]
            context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": live_server.url}])
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(path)
        page.wait_for_load_state("networkidle")
        return page

    yield _open
    for context in contexts:
        context.close()
    assert [words for words in said if not any(part in words for part in EXPECTED)] == []


@pytest.fixture
def violations() -> Callable[[Page], list[str]]:
    """`violations(page)`: what axe finds, as `rule: elements`; also a page wider than its window."""
    axe = Axe()

    def _violations(page: Page) -> list[str]:
        page.wait_for_timeout(200)  # let fades end: axe measures contrast
        found = axe.run(page, options=AXE).response["violations"]
        words = [f"{rule['id']}: {[node['html'][:160] for node in rule['nodes']]}" for rule in found]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            words.append("the page is wider than the window")
        return words

    return _violations


@pytest.fixture
def violations_by_theme(violations: Callable[[Page], list[str]]) -> Callable[[Page], dict[str, list[str]]]:
    """`violations_by_theme(page)`: what axe finds in each theme."""

    def _by_theme(page: Page) -> dict[str, list[str]]:
        found = {}
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            found[theme] = violations(page)
        return found

    return _by_theme
