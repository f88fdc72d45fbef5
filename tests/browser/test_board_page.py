"""The leaderboard's page in a headless Chromium: it loads, sorts, filters, compares, and asks nobody for anything."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from robench.tables.boards import make_boards
from robench.tables.site import build_site, measured_results

selenium = pytest.importorskip("selenium", reason="selenium is not installed")
CHROMIUM, DRIVER = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no Chromium with its driver on this machine")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-component-update",
    "--disable-background-networking",
    "--disable-sync",
    "--window-size=1280,1000",
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_site(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    yield driver
    driver.quit()


def names(browser: Any) -> list[str]:
    script = "return [...document.querySelectorAll('#board tbody th')].map(n => n.firstChild.textContent)"
    return list(browser.execute_script(script))


def open_board(browser: Any, page: Path, board: str) -> None:
    browser.get("about:blank")
    browser.get(f"{page.as_uri()}#{board}")


def test_loads_without_errors_and_without_requests(browser: Any, page: Path) -> None:
    browser.get_log("performance")
    open_board(browser, page, "imagenet-c-published-5000")
    assert names(browser)[0] == "Tian2022Deeper_DeiT-B"
    for other in (page.parent / "papers.html", *sorted((page.parent / "models").glob("*.html"))):
        browser.get(other.as_uri())
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    import json

    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
    # The browser's own start page may still be loading; it asks for its parts.
    asked = [one["request"]["url"] for one in sent if one["documentURL"].startswith("file:")]
    assert asked
    assert [url for url in asked if not url.startswith(("file:", "data:", "about:"))] == []


def test_sorts_both_ways_and_says_so(browser: Any, page: Path) -> None:
    open_board(browser, page, "imagenet-c-published-5000")
    before = names(browser)
    browser.find_element("css selector", "[data-sort=mce]").click()
    assert names(browser) == before[::-1]
    header = "th:has([data-sort=mce])"
    assert browser.find_element("css selector", header).get_attribute("aria-sort") == "descending"
    browser.find_element("css selector", "[data-sort=name]").click()
    assert names(browser) == sorted(before, key=str.casefold)


def test_the_keyboard_reaches_and_sorts_and_chooses(browser: Any, page: Path) -> None:
    from selenium.webdriver import Keys

    open_board(browser, page, "imagenet-c-published-5000")
    before = names(browser)
    reached: dict[str, Any] = {}
    for _ in range(60):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        focused = browser.switch_to.active_element
        if (column := focused.get_attribute("data-sort")) is not None:
            reached[column] = focused
        elif focused.get_attribute("type") == "checkbox":
            reached["choose"] = focused
            break
        if column == "mce":
            focused.send_keys(Keys.ENTER)
            assert names(browser) == before[::-1]
    assert {"name", "mce", "choose"} <= set(reached)
    reached["choose"].send_keys(Keys.SPACE)
    assert reached["choose"].is_selected()


def test_filters(browser: Any, page: Path) -> None:
    open_board(browser, page, "imagenet-c-published-5000")
    browser.find_element("id", "search").send_keys("augmix")
    assert names(browser) == ["Hendrycks2020AugMix"]
    browser.find_element("id", "search").clear()
    browser.execute_script(
        "const s = document.getElementById('architecture'); s.value = 'AlexNet';"
        "s.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    assert names(browser) == ["AlexNet"]


def test_compares_two_models(browser: Any, page: Path) -> None:
    open_board(browser, page, "cifar10-c-published-10000")
    assert not browser.find_element("id", "compare").is_displayed()
    for box in browser.find_elements("css selector", "#board tbody input")[:2]:
        browser.execute_script("arguments[0].click()", box)
    shown = browser.find_element("id", "compare")
    assert shown.is_displayed()
    assert all(name in shown.text for name in names(browser)[:2])
    assert len(browser.find_elements("css selector", "#compare svg polyline")) == 2


def test_only_what_stands_apart_is_bold(browser: Any, page: Path) -> None:
    """Published values have no intervals; of measured ones the best is bold where its interval overlaps no other."""
    open_board(browser, page, "cifar10-c-published-10000")
    for box in browser.find_elements("css selector", "#board tbody input")[:2]:
        browser.execute_script("arguments[0].click()", box)
    assert browser.find_elements("css selector", "#compare strong") == []
    measured = next(board.id for board in make_boards(measured_results(), living=False) if board.title == "digits-c")
    open_board(browser, page, measured)
    boxes = browser.find_elements("css selector", "#board tbody input")
    for box in (boxes[0], boxes[-1]):
        browser.execute_script("arguments[0].click()", box)
    first, last = (
        browser.find_elements("css selector", f"#compare tbody tr:first-child td:nth-child({i}) *") for i in (2, 3)
    )
    assert [cell.tag_name for cell in first] == ["strong", "span"]
    assert [cell.tag_name for cell in last] == ["span"]
    printed = browser.find_element("css selector", "#board tbody td:nth-child(5)").text.split("\n")
    assert [cell.text for cell in first] == printed


def test_fits_a_phone(browser: Any, page: Path) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    )
    try:
        open_board(browser, page, "imagenet-a-timm")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
