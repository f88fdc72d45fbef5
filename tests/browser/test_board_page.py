"""The leaderboard's page in a headless Chromium: it loads, sorts, filters, compares, and asks nobody for anything."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
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
    from selenium.webdriver.support.wait import WebDriverWait

    browser.get("about:blank")
    browser.get(f"{page.as_uri()}#{board}")
    WebDriverWait(browser, 20).until(names)  # the rows come by a script, later where the machine is busy


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
    assert [cell.get_attribute("class") for cell in last] == ["mark", "hidden", "interval"]
    assert "significantly worse than the best" in last[0].get_attribute("textContent")
    printed = browser.find_element("css selector", "#board tbody tr td:nth-child(4)").text.split("\n")
    assert [cell.text for cell in first] == printed


@pytest.fixture
def phone(browser: Any) -> Iterator[Any]:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    )
    yield browser
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_fits_a_phone(phone: Any, page: Path) -> None:
    for board in ("imagenet-a-timm", "digits-c"):
        open_board(phone, page, board)
        boxes = phone.find_elements("css selector", "#board tbody input")[:2]
        for box in boxes:
            phone.execute_script("arguments[0].click()", box)
        assert phone.execute_script("return [innerWidth, document.documentElement.scrollWidth]") == [390, 390]


def test_a_phone_shows_the_first_value_without_scrolling(phone: Any, page: Path) -> None:
    open_board(phone, page, "")
    value = phone.find_element("css selector", "#board tbody tr:first-child td.n:nth-child(4)")
    box = phone.execute_script(
        "const b = arguments[0].getBoundingClientRect(); return [b.left, b.right, b.bottom]", value
    )
    assert 0 < box[0] < box[1] <= 390
    assert box[2] <= 844
    assert not phone.find_element("id", "search").is_displayed()
    phone.find_element("css selector", "#folded summary").click()
    assert phone.find_element("id", "search").is_displayed()


def test_what_a_screen_reader_is_told(browser: Any, page: Path) -> None:
    """The accessibility tree, as Chromium hands it to a screen reader."""
    open_board(browser, page, "digits-c")
    for box in browser.find_elements("css selector", "#board tbody input")[:2]:
        browser.execute_script("arguments[0].click()", box)
    nodes = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    told: dict[str, list[str]] = {}
    for node in nodes:
        if not node.get("ignored"):
            name = node.get("name", {}).get("value", "")
            told.setdefault(node["role"]["value"], []).append(name)
    for role in ("button", "link", "checkbox", "combobox", "searchbox", "columnheader", "rowheader", "table", "image"):
        assert told.get(role), f"no {role}"
        assert all(name.strip() for name in told[role]), f"a {role} without a name"
    assert told["checkbox"][0].startswith("Compare ")
    assert any(name.startswith("digits-c. Corrupted digits") for name in told["table"])
    assert {"banner", "main", "navigation", "contentinfo", "status", "search"} <= set(told)
    assert told["heading"][0] == "Robustness and calibration of image classifiers"
    assert len(told["heading"]) == 3  # the page's, the comparison's, the plot's
    assert told["RootWebArea"] == ["digits-c - robench leaderboard"]


def test_the_keyboard_reaches_the_comparison(browser: Any, page: Path) -> None:
    from selenium.webdriver import Keys
    from selenium.webdriver.support.wait import WebDriverWait

    def until(seen: Callable[[Any], bool]) -> None:
        WebDriverWait(browser, 5).until(seen)

    open_board(browser, page, "digits-c")
    boxes = browser.find_elements("css selector", "#board tbody input")
    boxes[0].send_keys(Keys.SPACE)
    until(lambda page: not page.find_element("id", "go").is_enabled())
    boxes[1].send_keys(Keys.SPACE)
    until(lambda page: page.find_element("id", "count").text == "2 models selected")
    for way in (browser.find_element("id", "go"), boxes[1]):  # a box is nearer than the button below all rows
        way.send_keys(Keys.ENTER)
        until(lambda page: page.switch_to.active_element.text == "Comparison")
    browser.find_element("id", "clear").send_keys(Keys.ENTER)
    until(lambda page: not page.find_element("id", "compare").is_displayed())
    assert browser.switch_to.active_element.get_attribute("type") == "checkbox"


def test_boards_have_names_of_their_own(browser: Any, page: Path) -> None:
    browser.get(page.as_uri())
    tabs = [button.text.rpartition(" ")[0] for button in browser.find_elements("css selector", "[data-board]")]
    assert len(set(tabs)) == len(tabs) > 1
