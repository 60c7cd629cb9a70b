"""The report of a demo case in a real browser: painted, live, reachable by keyboard, and silent on the network."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_report import head, oblique_affine

from itermask.cli.demo import cases
from itermask.models.folder import load_model
from itermask.results.regions import regions_of
from itermask.results.report import text as report_text
from itermask.results.report import write_report
from itermask.run_scans import run

CHROMIUM = Path("/usr/bin/chromium")
DRAWN_IN_SOFTWARE = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
PATIENCE = 180_000  # ms; a busy machine draws slowly

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed (Debian package chromium)"),
]


@pytest.fixture(scope="module")
def case():
    """Scan and finding of the demo's scan with ghosting."""
    scan = dict(cases())["ghosting"]
    return scan, run(scan, load_model("t1w-2mm", device="cpu"))


@pytest.fixture(scope="module")
def report(case, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(*case, path)
    return path


@pytest.fixture(scope="module")
def chromium():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra dev)")
    with sync_api.sync_playwright() as playwright:
        yield playwright.chromium


@pytest.fixture(scope="module")
def browser(chromium):
    started = chromium.launch(executable_path=str(CHROMIUM), args=DRAWN_IN_SOFTWARE)
    yield started
    started.close()


@pytest.fixture(scope="module")
def opened(browser, report):
    """The report with its viewer ready, all requests that were made, and all that went wrong."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(PATIENCE)
    requests, problems = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.goto(report.as_uri())
    page.wait_for_selector("canvas[data-state=ready]", state="attached")
    yield page, requests, problems
    page.close()


@pytest.fixture
def page(opened):
    """The report with the finding's own mask shown."""
    opened[0].click("#own")
    return opened[0]


def picture(page):
    """The viewer's pixels."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return np.asarray(Image.open(io.BytesIO(page.locator("#canvas").screenshot())).convert("RGB")).astype(int)


def red(pixels):
    """How many pixels are marked."""
    return int(((pixels[..., 0] > 150) & (pixels[..., 0] > pixels[..., 1] + 60) & (pixels[..., 2] < 150)).sum())


def told_voxels(text):
    return int(re.sub(r"\D", "", re.search(r"([\d\u202f]+) voxels", text)[1]))


def test_the_viewer_is_painted(page):
    pixels = picture(page)
    assert (pixels.max(axis=2) > 60).mean() > 0.1
    assert len(np.unique(pixels[..., 1])) > 50
    assert red(pixels) > 50
    page.uncheck("#mask")
    assert red(picture(page)) < 10
    page.check("#heat")
    page.wait_for_timeout(500)
    assert len(np.unique(picture(page).reshape(-1, 3), axis=0)) > 2 * len(np.unique(pixels[..., 1]))
    page.uncheck("#heat")
    page.check("#mask")


def test_the_threshold_slider_tells_the_volume_and_marks_it(page, case):
    _, finding = case
    before, marked = page.inner_text("#volume"), red(picture(page))
    assert told_voxels(before) == (finding.error > np.float32(finding.threshold)).sum()
    page.focus("#threshold")
    for _ in range(30):
        page.keyboard.press("ArrowLeft")
    after = page.inner_text("#volume")
    level = float(page.get_attribute("#threshold", "aria-valuetext"))
    assert level < 0.5 * finding.threshold
    assert told_voxels(after) == pytest.approx((finding.error > level).sum(), rel=0.02)  # the level is told in 3 digits
    assert told_voxels(after) > 1.5 * told_voxels(before)
    assert red(picture(page)) > marked
    page.click("#own")
    assert page.inner_text("#volume") == before
    assert "own mask" in page.inner_text("#shown")
    assert red(picture(page)) == pytest.approx(marked, abs=5)


def test_a_click_on_a_region_moves_the_crosshair_there(page, case):
    regions, _ = regions_of(*case)
    before = picture(page)
    for number in (2, 1):
        page.click(f"#regions tbody tr:nth-child({number})")
        place = page.inner_text("#where")
        assert place.startswith(report_text.position_text(regions[number - 1].position_mm))
        assert "in the finding’s own mask" in place
        if number == 2:
            assert (picture(page) != before).mean() > 0.01
    assert page.locator("#regions tr[aria-current]").count() == 1


def test_everything_is_reachable_by_keyboard(page, case):
    regions, _ = regions_of(*case)
    page.focus("#regions tbody tr:nth-child(1) button")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.inner_text("#where").startswith(report_text.position_text(regions[1].position_mm))
    page.focus("#canvas")
    before = page.inner_text("#where")
    page.keyboard.press("PageUp")
    assert page.inner_text("#where") != before
    page.keyboard.press("PageDown")
    assert page.inner_text("#where") == before


def test_the_passes_are_played(page, case):
    _, finding = case
    passes = finding.search["passes"]
    page.evaluate("() => { const pass = document.getElementById('pass'); pass.value = 0; "
                  "pass.dispatchEvent(new Event('input')); }")  # fmt: skip
    assert "the whole brain is hidden" in page.inner_text("#hidden")
    whole = red(picture(page))
    page.click("#forward")
    ml = (finding.revealed > 1).sum() * 0.008
    assert f"After pass 1 of {passes}: {ml:.0f} ml" in page.inner_text("#hidden")
    assert red(picture(page)) < whole
    page.click("#play")
    page.wait_for_function("() => document.getElementById('play').textContent === 'Play'", timeout=PATIENCE)
    assert f"After pass {passes} of {passes}: the finding’s own mask" in page.inner_text("#hidden")


def test_no_request_leaves_the_page(opened, report):
    page, requests, problems = opened
    assert requests[0] == report.as_uri()
    assert {url.split(":", 1)[0] for url in requests[1:]} <= {"data", "blob"}
    assert problems == []
    refused = "() => fetch('data:text/plain,x').then(() => 'sent', () => 'refused')"
    assert page.evaluate(refused) == "refused"


def test_places_in_a_tilted_scan_are_the_scanners(browser, tmp_path):
    scan, finding = head(affine=oblique_affine())
    write_report(scan, finding, tmp_path / "tilted.html")
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto((tmp_path / "tilted.html").as_uri())
    page.wait_for_selector("canvas[data-state=ready]", state="attached")
    (region,), _ = regions_of(scan, finding)
    assert page.inner_text("#where").startswith(report_text.position_text(region.position_mm))
    assert "in the finding’s own mask" in page.inner_text("#where")
    page.close()


def test_without_scripts_the_pictures_and_tables_remain(browser, report):
    page = browser.new_page(java_script_enabled=False)
    page.set_default_timeout(PATIENCE)
    page.goto(report.as_uri())
    assert page.locator("#without").is_visible()
    assert page.locator("#regions tbody tr").first.is_visible()
    assert not page.locator("#threshold").is_visible()
    shown = page.locator("img")
    assert shown.count() > 9
    assert all(shown.nth(number).bounding_box()["height"] > 20 for number in range(shown.count()))
    page.close()


def test_without_webgl_a_note_says_so(chromium, report):
    browser = chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-3d-apis"])
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(report.as_uri())
    assert "WebGL2" in page.inner_text("#without")
    assert not page.locator("#threshold").is_visible()
    assert page.locator("#regions tbody tr").first.is_visible()
    browser.close()


BLACK = "WebGL2RenderingContext.prototype.drawArrays = WebGL2RenderingContext.prototype.drawElements = () => undefined"


def test_a_viewer_that_stays_black_or_loses_its_context_is_hidden(browser, report):
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    page.add_init_script(BLACK)
    failed = []
    page.on("console", lambda message: failed.append(message.text) if "stays black" in message.text else None)
    page.goto(report.as_uri())
    while not failed:
        page.wait_for_timeout(100)
    assert not page.locator(".canvas").is_visible()
    assert page.locator("#without").is_visible()
    page.close()
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(report.as_uri())
    page.wait_for_selector("canvas[data-state=ready]", state="attached")
    page.evaluate(
        "document.getElementById('canvas').getContext('webgl2').getExtension('WEBGL_lose_context').loseContext()"
    )
    page.wait_for_selector("#without", state="visible")
    assert not page.locator(".canvas").is_visible()
    page.close()


SMALLEST = """() => Math.min(...[...document.querySelectorAll("body *")]
  .filter((part) => part.offsetParent && [...part.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
  .map((part) => parseFloat(getComputedStyle(part).fontSize)))"""
GROUND = "() => getComputedStyle(document.querySelector('main')).backgroundColor"


def test_it_is_dark_where_the_browser_is_and_light_on_paper(browser, report):
    page = browser.new_page(color_scheme="dark")
    page.goto(report.as_uri())
    assert page.evaluate(GROUND) == "rgb(22, 27, 32)"
    page.emulate_media(media="print")
    assert page.evaluate(GROUND) == "rgb(255, 255, 255)"
    page.close()


def test_on_a_phone_nothing_is_cut_and_letters_can_be_read(browser, report):
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(report.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.evaluate(SMALLEST) >= 11
    for table in page.locator("table:visible").all():
        assert table.evaluate("(table) => table.scrollWidth <= table.clientWidth")
    scale = page.locator(".row img").first.evaluate("(image) => image.clientWidth / image.naturalWidth")
    assert 17 * scale >= 11, "letters in the pictures are 17 pixels high"
    assert page.locator(".figures td").first.evaluate("(cell) => getComputedStyle(cell, '::before').content") == '"No."'
    page.close()


def test_on_paper_the_verdict_and_the_first_pictures_come_before_all_else(browser, report):
    page = browser.new_page(viewport={"width": 718, "height": 1032})  # A4 less its margins
    page.goto(report.as_uri())
    page.emulate_media(media="print")
    ends = {
        name: page.locator(name).first.bounding_box() for name in (".verdict", ".plane .row", ".numbers", ".regions")
    }
    assert ends[".verdict"]["y"] < ends[".plane .row"]["y"] < ends[".numbers"]["y"] < ends[".regions"]["y"]
    assert ends[".plane .row"]["y"] + ends[".plane .row"]["height"] < 1032
    page.close()
