"""A real browser, and pages whose console must stay free of errors."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from conftest import ROOT

PICTURES = ROOT / "build" / "screenshots"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# A machine that is busy with other tests is slow; a page that is right never waits so long.
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser():
    path = os.environ.get("VARAN_BROWSER") or next(
        filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None
    )
    assert path, "no Chromium on this machine; `tools/setup --test` installs it"
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=path, args=ARGUMENTS, timeout=2 * PATIENCE_MS
        )
        yield running
        running.close()


@pytest.fixture
def open_page(browser):
    """Opens pages whose console must stay free of errors (the browser itself notes 400 and 404 answers
    there: `refusals` allows them)."""
    contexts, problems = [], []

    def make(url: str, scheme: str = "light", size: dict | None = None, refusals: bool = False):
        context = browser.new_context(
            viewport=size or DESK, color_scheme=scheme, reduced_motion="reduce"
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(f"{url}: {error}"))
        page.on(
            "console",
            lambda message: (
                message.type == "error"
                and not (refusals and re.search("status of 40[04]", message.text))
                and problems.append(f"{url}: {message.text}")
            ),
        )
        page.goto(url)
        return page

    yield make
    for context in contexts:
        context.close()
    assert problems == []


def settled(page: Page) -> None:
    """Waits until all that the page asked for has come, and is drawn."""
    expect(page.locator(".skeleton, .skeleton-block, [aria-busy=true]")).to_have_count(0)
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def pictures() -> Path:
    """The folder of screenshots."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    return PICTURES
