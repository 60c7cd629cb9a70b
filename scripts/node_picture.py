"""Draw docs/pictures/node.png: the live page of a node, with made-up series.

    python scripts/node_picture.py [docs/pictures/node.png]

Needs Debian's `chromium` and the extra `dev`.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from itermask.apps.node.config import Page
from itermask.apps.node.page import PageServer
from itermask.types import VERDICTS

CHROMIUM = "/usr/bin/chromium"
COLOURS = 128  # in the file
NAMES = ("3plane loc", "SAG MPRAGE", "AX T2 FLAIR", "SAG MPRAGE repeat", "SAG MPRAGE")


def row(number: int, verdict: str, tone: str, **changes: Any) -> dict[str, Any]:
    values = {
        "id": number, "label": f"series {number} '{NAMES[number - 1]}'", "sender": "SCANNER", "images": 192,
        "received": time.time() - 400 * (6 - number), "state": "finished", "tone": tone, "verdict": verdict,
        "alert": False, "score": 0.9 + 0.2 * number, "percentile": 12.0 * number, "anomaly_fraction": 0.0004 * number,
        "seconds": 9.4, "notes": [], "report": "results/a/run-1/report.html",
        "deliveries": [{"state": "sent", "words": "sent to PACS"}],
    }  # fmt: skip
    return values | changes


def state() -> dict[str, Any]:
    none = {"score": None, "percentile": None, "anomaly_fraction": None, "seconds": None, "report": None}
    none |= {"deliveries": []}
    wide = {"score": 6.31, "percentile": 100.0, "anomaly_fraction": 0.0213, "alert": True}
    wide |= {"deliveries": [{"state": "waiting", "words": "PACS: waiting to be sent"}]}
    return {
        "node": "ITERMASK",
        "space": "3.2 of 50 GiB used",
        "waiting": 1,
        "receiving": [{"label": "series 6 'AX T1'", "sender": "SCANNER", "images": 18, "announced": 24}],
        "rows": [
            row(5, "", "grey", state="looking for anomalies, 40 %", **none),
            row(4, VERDICTS[2], "red", **wide),
            row(3, "could not be looked at", "failed", images=32, notes=["no bundled model for sequence T2w"], **none),
            row(2, VERDICTS[0], "green"),
            row(1, "could not be looked at", "failed", images=9, notes=["a localiser"], **none),
        ],
    }


def main() -> None:
    path = Path(*sys.argv[1:2]) if sys.argv[1:] else Path("docs/pictures/node.png")
    server = PageServer(Page(port=0), state, Path(tempfile.gettempdir()))
    server.start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1320, "height": 700})
        page.goto(server.address)
        page.locator("#row-1").wait_for()
        page.screenshot(path=path, full_page=True)
        browser.close()
    server.stop()
    Image.open(path).convert("RGB").quantize(COLOURS).save(path, optimize=True)
    print(path)


if __name__ == "__main__":
    main()
