"""Draw docs/pictures/view.png: the page of `itermask view` over the demo's three scans and one that failed.

    itermask demo demo-output
    python scripts/view_picture.py demo-output [docs/pictures/view.png]

Needs Debian's `chromium` and the extra `dev`.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from itermask.apps.cohort.manifest import FAILED, Record, write_record
from itermask.apps.view.ratings import Ratings
from itermask.apps.view.server import ViewServer

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
WIDTH, HEIGHT = 1440, 980
COLOURS = 200  # in the file
PATIENCE = 1_200_000  # ms
SHOWN = "ghosting"
REASON = "sub-07_T1w.nii.gz: truncated or damaged; copy it again"


def results(demo: Path, folder: Path) -> Path:
    """The demo's results, a scan that failed, and some ratings."""
    out = folder / "demo-output"
    shutil.copytree(demo, out)
    write_record(out, Record("sub-07_T1w", FAILED, {}, sequence="T1w", reason=REASON))
    ratings = Ratings(out)
    ratings.save("healthy", "good", "", "reader")
    ratings.save(SHOWN, "bad", "ringing along the phase axis; repeat", "reader")
    return out


def draw(out: Path, path: Path) -> None:
    """The page with one report open and its viewer ready."""
    server = ViewServer(out, port=0, rater="reader")
    server.start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, locale="en-GB")
        page.set_default_timeout(PATIENCE)
        page.goto(server.address)
        page.locator("#list button", has_text=SHOWN).click()
        page.frame_locator("#report iframe").locator("canvas[data-state=ready]").wait_for()
        page.screenshot(path=path, timeout=PATIENCE)
        browser.close()
    server.stop()
    Image.open(path).convert("RGB").quantize(COLOURS).save(path, optimize=True)
    print(path)


def main() -> None:
    demo, *path = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        draw(results(Path(demo), Path(folder)), Path(*path) if path else Path("docs/pictures/view.png"))


if __name__ == "__main__":
    main()
