"""An annotator's browser: OHIF, which the label server brings, on a study of the PACS."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest

from tests.clinic.conftest import MODEL
from tests.clinic.debian import CHROMIUM, environment_of

FLAGS = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1500,950",
         "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")  # fmt: skip
SECONDS = 120


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    if not CHROMIUM.is_dir():
        pytest.skip("Chromium is not set up: make test-clinic does it")
    options = webdriver.ChromeOptions()
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.binary_location = str(CHROMIUM / "usr" / "lib" / "chromium" / "chromium")
    driver = str(CHROMIUM / "usr" / "bin" / "chromedriver")
    browser = webdriver.Chrome(options, webdriver.ChromeService(driver, env=environment_of(CHROMIUM)))
    yield browser
    browser.quit()


def wait_until(condition: Callable[[], Any]) -> Any:
    """What ``condition`` returns as soon as that is true."""
    deadline = time.monotonic() + SECONDS
    while not (result := condition()):
        assert time.monotonic() < deadline, "nothing came in time"
        time.sleep(0.5)
    return result


def texts(browser: Any) -> str:
    return browser.find_element("tag name", "body").text


def test_all_organs_arrive_in_the_viewer(server, studies: Path, browser) -> None:
    study = pydicom.dcmread(next((studies / "study_01").iterdir()), stop_before_pixels=True).StudyInstanceUID
    browser.get(f"{server.url}/ohif/monai-label?StudyInstanceUIDs={study}")
    wait_until(lambda: "Server:" in texts(browser))
    address = wait_until(lambda: browser.find_elements("css selector", "input[value^='http']"))[0]
    browser.execute_script("arguments[0].select()", address)
    address.send_keys(server.url)
    wait_until(lambda: browser.find_elements("xpath", "//*[contains(text(),'Confirm and Hide')]"))[0].click()
    address.find_element("xpath", "following::button[1]").click()
    wait_until(lambda: MODEL in texts(browser))
    run = wait_until(lambda: browser.find_elements("xpath", "//button[normalize-space()='Run']"))
    next(button for button in run if button.is_displayed()).click()
    said: list[str] = []

    def updated() -> bool:
        said.extend(line["message"] for line in browser.get_log("browser"))
        return any("updated the segmentation" in line for line in said)

    wait_until(updated)
    assert any("Index Remap" in line and "Array(13)" in line for line in said), "one number for each organ"
