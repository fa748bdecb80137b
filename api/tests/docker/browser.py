"""Chromium, as Debian has it, for the tests of pages; Playwright's own download is not needed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
VARIABLE = "CHROMIUM"
"""Says where it is, if not on PATH under one of these names."""
SCREENSHOTS = "SCREENSHOTS"
"""With this variable the tests write the pictures of the documentation; otherwise they go to a temporary folder."""
DESKTOP: Any = {"width": 1200, "height": 750}
PHONE: Any = {"width": 390, "height": 844}
LOOKS: dict[str, tuple[Any, Any]] = {"light": ("light", DESKTOP), "dark": ("dark", DESKTOP), "phone": ("light", PHONE)}


def chromium() -> str:
    """Where the browser is; the test is skipped if there is none."""
    found = os.environ.get(VARIABLE) or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"there is no Chromium: none of {', '.join(NAMES)} is on PATH, and {VARIABLE} names none")
    return found


@contextmanager
def page_in(executable: str, url: str) -> Iterator[Any]:
    """A page of a new browser; its links begin at `url`."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        try:
            page = browser.new_page(base_url=url, viewport=DESKTOP)
            page.set_default_timeout(60_000)
            yield page
        finally:
            browser.close()


def show_as(page: Any, look: str) -> None:
    """Have the page light, dark, or as on a phone."""
    scheme, size = LOOKS[look]
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(size)


def serious_findings(page: Any) -> list[str]:
    """What axe finds of the page that keeps a user from it."""
    from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # it has no types

    return [
        f"{found['id']} ({found['impact']}): {found['help']}: {[node['html'][:200] for node in found['nodes'][:3]]}"
        for found in Axe().run(page).response["violations"]
        if found["impact"] in {"serious", "critical"}
    ]


def take_picture(page: Any, file: Path) -> None:
    """A picture of what is seen at first, without what is empty below it."""
    size, content = page.viewport_size, page.locator("main").bounding_box()
    height = min(size["height"], round(content["y"] + content["height"]) + 8)
    page.screenshot(path=file, clip={"x": 0, "y": 0, "width": size["width"], "height": height})


def picture_folder(folder: Path, documentation: Path) -> Path:
    """Where pictures go: into the documentation only where a variable asks for that."""
    chosen = documentation if os.environ.get(SCREENSHOTS) else folder
    chosen.mkdir(exist_ok=True)
    return chosen
