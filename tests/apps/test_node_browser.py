"""The live page in a real browser: verdicts in words and colour as they come, alarms until they are seen."""

import time
from pathlib import Path

import pytest
from tiny_node import until

from itermask.apps.node.config import Page
from itermask.apps.node.page import PageServer
from itermask.apps.node.state import OPEN, _latest
from itermask.apps.node.studies import summaries

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE = 180_000  # ms

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed (Debian package chromium)"),
]


def row(number, **changes):
    """A row as the node tells it; a scan within the healthy range unless changed."""
    values = {
        "id": number, "label": f"series {number} 'MPRAGE'", "sender": "SCANNER", "images": 192, "received": time.time(),
        "state": "finished", "tone": "green", "verdict": "within the healthy range", "alert": False, "score": 1.25,
        "percentile": 40.0, "anomaly_fraction": 0.001, "seconds": 6.5, "notes": [], "report": "results/a/report.html",
        "study": "s1", "code": "A1", "when": "2026-01-31 09:15", "scanner": "Maker One", "patient": "", "headline": "",
        "seen": None, "newest": True, "deliveries": [{"state": "sent", "words": "sent to PACS"}],
    }  # fmt: skip
    return values | changes


RED = {"tone": "red", "verdict": "outside the healthy range", "alert": True}
FAILED = {
    "tone": "failed",
    "verdict": "could not be processed",
    "notes": ["a localiser"],
    "report": None,
    "score": None,
}


@pytest.fixture
def state():
    return {
        "node": "ITERMASK",
        "space": "1.0 of 50 GiB used",
        "waiting": 0,
        "patient": "off",
        "receiving": [],
        "rows": [],
    }


@pytest.fixture
def server(state, tmp_path):
    def told():
        coming = [row(0) | each for each in state["receiving"]]
        closed = state.get("closed", {})
        studies = [each | closed.get(each["study"], OPEN) for each in summaries(state["rows"], coming)]
        return state | {"receiving": coming, "studies": studies, "latest": _latest(state["rows"], coming)}

    def seen(run, verdict, name):
        (alarm,) = [each for each in state["rows"] if each["id"] == run]
        alarm["seen"] = {"time": time.time(), "name": name}
        return True

    made = PageServer(Page(port=0), told, tmp_path, seen)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "report.html").write_text("<title>the report</title>")
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra dev)")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page(browser, server):
    opened = browser.new_page()
    opened.set_default_timeout(PATIENCE)
    opened.problems, opened.asked = [], []
    opened.on("console", lambda message: opened.problems.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: opened.problems.append(str(error)))
    opened.on("request", lambda request: opened.asked.append(request.url))
    opened.goto(server.address)
    shows(opened, "#node", "ITERMASK")
    yield opened
    opened.close()


def shows(page, selector, text):
    page.locator(selector).filter(has_text=text).first.wait_for()


def test_a_series_on_its_way_and_its_verdict_appear_by_themselves(page, state):
    assert page.inner_text("#latest") == "Nothing has been processed yet."
    state["receiving"] = [{"label": "series 1 'MPRAGE'", "sender": "SCANNER", "images": 7, "announced": 192}]
    shows(page, "#receiving", "A1, series 1 'MPRAGE' from SCANNER: 7 of 192 images")
    state["receiving"] = []
    state["rows"] = [row(1, state="looking for anomalies, 42 %", verdict="", tone="grey", report=None, score=None)]
    shows(page, "#row-1", "looking for anomalies, 42 %")
    state["rows"] = [row(1)]
    shows(page, "#latest", "Within the healthy range")
    shows(page, "#latest", "higher than 40.0 % of healthy scans")
    assert page.get_attribute("#latest", "class") == "card green"
    assert page.text_content("#news") == "series 1 'MPRAGE': within the healthy range."
    assert "sent to PACS" in page.inner_text("#row-1")
    assert page.query_selector(".alarm") is None
    assert page.problems == []


def test_an_alarm_stays_until_it_is_seen(page, state):
    state["rows"] = [row(2, **RED), row(1)]
    shows(page, ".alarm", "Outside the healthy range: A1, series 2 'MPRAGE'. Look at it while the patient is there.")
    assert page.title() == "(1 !) Scanner node – itermask"
    assert page.get_attribute("#latest", "class") == "card red"
    with page.expect_popup() as popup:
        page.click(".alarm a")
    assert until(lambda: popup.value.title()) == "the report"
    page.keyboard.press("Tab")
    page.fill("#who", "anna")
    page.click("text=Seen")
    shows(page, "#row-2", "by anna")
    page.wait_for_selector(".alarm", state="detached")
    assert page.title() == "Scanner node – itermask"
    page.reload()
    shows(page, "#row-2", "outside the healthy range")
    assert page.query_selector(".alarm") is None, "what was seen does not come back"
    state["rows"] = [row(3, **RED), *state["rows"]]
    shows(page, ".alarm", "series 3")


def test_what_was_not_looked_at_is_said_and_no_alarm(page, state):
    state["rows"] = [row(2, **FAILED), row(1)]
    shows(page, "#row-2", "could not be processed")
    shows(page, "#row-2", "a localiser")
    assert page.get_attribute("#latest", "class") == "card green", "the verdict before it still stands"
    assert page.query_selector(".alarm") is None


def test_names_from_headers_are_text_and_nothing_else(page, state):
    state["rows"] = [row(1, label="<img src=x onerror=alert(1)>", **RED)]
    state["rows"][0]["notes"] = ["<script>alert(1)</script>"]
    shows(page, "#row-1", "<img src=x onerror=alert(1)>")
    shows(page, ".alarm", "<img src=x")
    assert page.query_selector("td img") is None
    assert page.problems == []


def test_a_node_that_is_gone_is_said_and_nothing_else_is_asked(page, server, state):
    state["rows"] = [row(1)]
    shows(page, "#row-1", "within the healthy range")
    assert all(url.startswith(server.address) or url == "data:," for url in page.asked)
    server.stop()
    shows(page, "#connection", "No answer from the node since")
    shows(page, "#connection", "what stands here may be old")


def luminance(colour):
    parts = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("tone", ["green", "amber", "red", "failed", "grey"])
def test_words_stand_out_from_their_ground(page, state, tone):
    state["rows"] = [row(1, tone=tone, verdict="a verdict", alert=True)]
    shows(page, ".alarm", "A verdict")
    for selector in (".verdict", ".big", ".alarm p", "button", ".notice", ".quiet"):
        ground, ink = page.evaluate(
            """selector => {
              let element = document.querySelector(selector);
              const ink = getComputedStyle(element).color;
              while (getComputedStyle(element).backgroundColor === "rgba(0, 0, 0, 0)") element = element.parentElement;
              return [getComputedStyle(element).backgroundColor, ink];
            }""",
            selector,
        )
        bright, dark = sorted((luminance(ground), luminance(ink)), reverse=True)
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, f"{selector}: {ink} on {ground}"


def test_dark_and_on_a_phone(browser, server, state):
    """Dark where the browser is; at 390 pixels nothing is cut, each value has its label, and verdicts come first."""
    state["rows"] = [row(2, **RED, notes=["a note of some length that must be broken"]), row(1, **FAILED, study="s2")]
    page = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
    page.goto(server.address)
    page.locator("#row-2").wait_for()
    assert page.evaluate("getComputedStyle(document.querySelector('main')).backgroundColor") == "rgb(22, 27, 32)"
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    wide = "(box) => [...box.querySelectorAll('*')].every((part) => part.getBoundingClientRect().right <= 390)"
    assert page.locator("#rows").evaluate(wide)
    sizes = "() => [...document.querySelectorAll('main *')].map((part) => parseFloat(getComputedStyle(part).fontSize))"
    assert min(page.evaluate(sizes)) >= 11
    assert page.locator("#row-2 > *").first.inner_text().startswith("outside")
    score = page.locator("#row-2 td.number").nth(1)
    assert score.get_attribute("data-label") == "Score"
    assert score.evaluate("(cell) => getComputedStyle(cell, '::before').content").startswith('"Score:')
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.close()


def test_series_lie_behind_the_line_of_their_study(browser, server, state):
    """They can be hidden, stay so when something of the study changes, and are on paper all the same."""
    state["rows"] = [row(2), row(1, study="s2", code="A2")]
    page = browser.new_page()
    page.goto(server.address)
    page.locator("#row-2").wait_for()
    button = page.locator("#study-s1 .fold")
    assert (button.inner_text(), button.get_attribute("aria-expanded")) == ("Hide 1 series", "true")
    button.click()
    assert not page.locator("#row-2").is_visible()
    assert page.locator("#row-1").is_visible()
    state["rows"][0] = row(2, **RED)
    page.locator("#study-s1 .study.red").wait_for()
    assert not page.locator("#row-2").is_visible()
    assert page.locator("#alerts .alarm").is_visible(), "an alarm is never hidden"
    button = page.locator("#study-s1 .fold")
    assert button.get_attribute("aria-expanded") == "false"
    assert button.evaluate("(button) => button === document.activeElement")
    page.emulate_media(media="print")
    assert page.locator("#row-2").is_visible()
    page.emulate_media(media="screen")
    button.press("Enter")
    assert page.locator("#row-2").is_visible()
    page.close()


def test_a_study_that_has_ended_says_so_and_has_its_summary(page, state):
    state["rows"] = [row(1), row(2, study="s2", code="A2")]
    shows(page, "#study-s1 .ends", "More may come.")
    state["closed"] = {
        "s1": {
            "closing": "study ended",
            "over": True,
            "summary": "results/study-a/summary-1/summary.pdf",
            "deliveries": [{"state": "sent", "words": "sent to PACS"}],
        }
    }
    shows(page, "#study-s1 .ends", "Study ended. Summary Sent to PACS.")
    link = page.locator("#study-s1 .ends a")
    assert link.get_attribute("href") == "results/study-a/summary-1/summary.pdf"
    assert link.get_attribute("aria-label") == "Summary of A1"
    assert "More may come" in page.inner_text("#study-s2 .ends")
    assert not page.problems
