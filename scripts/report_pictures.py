"""Draw docs/pictures/report.png and report-viewer.png: reports of the demo's patient with multiple sclerosis.

    itermask demo demo-output
    itermask run src/itermask/demo_data/ms-patient_T1w.nii.gz demo-output/passes --model t1w-2mm
    python scripts/report_pictures.py demo-output [docs/pictures]

Needs Debian's `chromium` and the extra `dev`. The browser is told that it has a graphics card, so that the volume is
shown beside the slices; without one this takes minutes.
"""

import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Locator, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
CASE, PASSES = "ms-patient", "passes"  # the second by a model that refines its mask pass by pass
WIDTH, HEIGHT = 1240, 1125
COLOURS = 200  # in the files
PATIENCE = 1_200_000  # ms
CARD = """
const told = WebGL2RenderingContext.prototype.getParameter;
WebGL2RenderingContext.prototype.getParameter = function (name) {
  const value = told.call(this, name);
  return typeof value === "string" ? value.replace(/SwiftShader/gi, "card") : value;
};
"""


def save(part: Page | Locator, path: Path) -> None:
    """What is seen of a page, or a part of it, as a small PNG file."""
    part.screenshot(path=path, timeout=PATIENCE)
    Image.open(path).convert("RGB").quantize(COLOURS).save(path, optimize=True)
    print(path)


def draw(demo: Path, out: Path) -> None:
    """Both pictures."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.set_default_timeout(PATIENCE)
        page.add_init_script(CARD)
        for case in (CASE, PASSES):
            page.goto((demo / case / "report.html").absolute().as_uri())
            page.wait_for_selector("canvas[data-state=ready]", state="attached")
            if case == CASE:
                save(page, out / "report.png")
        for _ in range(9):
            page.click("#back")
        save(page.locator(".findings"), out / "report-viewer.png")
        browser.close()


def main() -> None:
    demo, *out = sys.argv[1:]
    draw(Path(demo), Path(*out) if out else Path("docs/pictures"))


if __name__ == "__main__":
    main()
