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
from itermask.apps.node.state import OPEN
from itermask.apps.node.studies import summaries
from itermask.types import VERDICTS

CHROMIUM = "/usr/bin/chromium"
COLOURS = 128  # in the file
PATIENCE = 180_000  # ms
CARD = "A newer series is being received: series 5 'AX T1'."
TODAY, YESTERDAY = (
    {"study": code, "code": code, "when": when, "scanner": "Siemens Prisma, 3 T", "patient": ""}
    for code, when in (("A20417", "2026-11-21 10:32"), ("A20411", "2026-11-21 09:40"))
)
NONE = {"score": None, "percentile": None, "anomaly_fraction": None, "seconds": None, "report": None, "deliveries": []}
LEFT = {"verdict": "could not be processed", "tone": "failed"} | NONE


def row(number: int, label: str, study: dict[str, str], **changes: Any) -> dict[str, Any]:
    """A series as the node tells it; within the healthy range unless changed."""
    values = {
        "id": number, "label": label, "sender": "SCANNER", "images": 192, "received": time.time() - 400 * (9 - number),
        "state": "finished", "tone": "green", "verdict": VERDICTS[0], "headline": "", "alert": False, "seen": None,
        "score": 0.6 + 0.2 * number, "percentile": 12.0 * number, "anomaly_fraction": 0.0004 * number,
        "seconds": 9.4, "notes": [], "report": "results/a/run-1/report.html", "newest": True,
        "deliveries": [{"state": "sent", "words": "sent to PACS"}],
    }  # fmt: skip
    return values | study | changes


def state() -> dict[str, Any]:
    """What the page shows: a study that goes on, with an alarm, and one that has ended."""
    red = {"verdict": VERDICTS[2], "tone": "red", "alert": True, "headline": "something stands out, left frontal lobe"}
    red |= {"score": 6.31, "percentile": 100.0, "anomaly_fraction": 0.0213}
    red |= {"deliveries": [{"state": "waiting", "words": "PACS: waiting to be sent"}]}
    waits = {"state": "looking for anomalies, 40 %", "verdict": "", "tone": "grey"} | NONE
    rows = [
        row(7, "series 4 'AX T2 FLAIR'", TODAY, images=40, **waits),
        row(6, "series 2 'SAG MPRAGE'", TODAY, **red),
        row(5, "series 1 '3plane loc'", TODAY, images=9, notes=["a localiser"], **LEFT),
        row(3, "series 5 'SAG MPRAGE repeat'", YESTERDAY),
        row(2, "series 3 'AX PD'", YESTERDAY, images=32, notes=["no bundled model for sequence PDw"], **LEFT),
    ]
    coming = [{"label": "series 5 'AX T1'", "sender": "SCANNER", "images": 18, "announced": 24} | TODAY]
    ended = {"closing": "study ended", "over": True, "summary": "results/b/summary.html"}
    ended |= {"deliveries": [{"state": "sent", "words": "sent to PACS"}]}
    return {
        "node": "ITERMASK",
        "patient": "off",
        "space": "3.2 of 50 GiB used",
        "waiting": 1,
        "receiving": coming,
        "rows": rows,
        "studies": [
            each | (ended if each["study"] == YESTERDAY["study"] else OPEN) for each in summaries(rows, coming)
        ],
        "latest": {"id": 6, "old": CARD},
    }


def main() -> None:
    path = Path(*sys.argv[1:2]) if sys.argv[1:] else Path("docs/pictures/node.png")
    server = PageServer(Page(port=0), state, Path(tempfile.gettempdir()))
    server.start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1320, "height": 700})
        page.goto(server.address)
        page.set_default_timeout(PATIENCE)
        page.locator("#row-6").wait_for()
        page.screenshot(path=path, full_page=True)
        browser.close()
    server.stop()
    Image.open(path).convert("RGB").quantize(COLOURS).save(path, optimize=True)
    print(path)


if __name__ == "__main__":
    main()
