"""A headless Chromium for tests of pages, or a clear reason why there is none.

Nothing is downloaded: the browser and its driver are those of the system (Debian: chromium and chromium-driver).
"""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
)
OPTIONS = (*OPTIONS, "--disable-background-networking", "--disable-component-update", "--force-prefers-reduced-motion")


def missing() -> str:
    """Why there is no browser to test with; empty where there is one."""
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    lacking = [
        name for name, path in (("chromium", browser), ("chromedriver", shutil.which("chromedriver"))) if not path
    ]
    return f"no {' and no '.join(lacking)} here: apt-get install chromium chromium-driver" if lacking else ""


needs_browser = pytest.mark.skipif(bool(missing()), reason=missing() or "there is a browser")


class Page:
    """A page in the browser, and what it logged and asked for since it was opened."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, path: Path, hash: str = "") -> None:  # noqa: A002
        self.driver.get("about:blank")
        self.driver.get_log("performance")
        self.driver.get_log("browser")
        self.driver.get(path.absolute().as_uri() + hash)

    def script(self, code: str, *arguments: Any) -> Any:
        return self.driver.execute_script(code, *arguments)

    def all(self, selector: str) -> list[Any]:
        return list(self.driver.find_elements("css selector", selector))

    def one(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def keys(self, *keys: str) -> None:
        """Typed to whatever has the focus."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def texts(self) -> list[str]:
        """Of the rows that are there."""
        return list(self.script("return [...document.querySelectorAll('#rows .c-text a')].map(a => a.textContent)"))

    def size(self, width: int, height: int = 900) -> None:
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )

    def dark(self, on: bool) -> None:
        features = [{"name": "prefers-color-scheme", "value": "dark" if on else "light"}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def complaints(self) -> list[str]:
        """What the console said since the page was opened."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """URLs asked for since the page was opened, data apart."""
        sent = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        urls = [m["params"]["request"]["url"] for m in sent if m["method"] == "Network.requestWillBeSent"]
        return [url for url in urls if not url.startswith(("data:", "about:"))]


@contextmanager
def browser(scripts: bool = True) -> Iterator[Page]:
    """Headless Chromium with an empty profile. scripts: whether JavaScript runs."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = next(path for name in BROWSERS if (path := shutil.which(name)))
    with tempfile.TemporaryDirectory() as profile:
        for option in (*OPTIONS, f"--user-data-dir={profile}"):
            options.add_argument(option)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        if not scripts:
            options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
        driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        try:
            yield Page(driver)
        finally:
            driver.quit()
