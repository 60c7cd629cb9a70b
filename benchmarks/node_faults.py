"""A node under load that is killed again and again: is anything lost that it acknowledged, or processed twice?

    python benchmarks/node_faults.py runs/node-faults
    python benchmarks/node_faults.py runs/node-time --time DATA/dicom/mprage-siemens

Two scanners send small synthetic series, two studies interleaved in each connection; now and then they cut the
connection in the middle of a series, and they send some images twice. The node is killed (`kill -9`) at random moments
and started again. After a lost connection scanners send either all images again or those that were not acknowledged, as
real ones do. An archive takes the results. In the end
every acknowledged image must be on the node's disk, every series processed to its end once, and every result in the
archive. Reading the images and writing the results are real; in the place of the model is a threshold. Exit code 1 if
anything is lost or done twice.

`--time` sends one real series to a node with its model, and tells where the time to the verdict goes.
"""

import argparse
import http.client
import json
import logging
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from node_senders import HERE, Archive, Scanners, associate, make_series

WARM = 60.0  # seconds until the model is loaded
PATIENCE = 3600.0  # seconds until the run counts as stuck


def threshold_look(task: Any, tell: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """A look with a threshold in the place of the model; it is called in the node's process for looks."""
    from itermask.apps.node.work import figures
    from itermask.io.dicom.write import write_dicom
    from itermask.io.scans import read_scans
    from itermask.types import VERDICTS, Finding

    (source,) = read_scans(task.source)
    image = source.scan.image
    brain, anomaly = image > 50, image > 150
    numbers = {"score": float(anomaly.sum()), "mean_error": 0.0, "percentile": 50.0, "threshold": 150.0}
    finding = Finding(
        anomaly=anomaly, error=image, reconstruction=image, brain=brain, affine=source.scan.affine,
        anomaly_fraction=float(anomaly.sum() / brain.sum()), verdict=VERDICTS[0], scores={}, search={}, profile={},
        warnings=task.notes, timings={}, settings={"model": "threshold"}, versions={"model": "0"}, **numbers,
    )  # fmt: skip
    tell({"verdict": figures(finding), "stage": "writing", "share": 1.0})
    write_dicom(source.scan, source.series, finding, task.out, summary=False)
    (task.out / "report.html").write_text("<p>no report</p>")
    return figures(finding)


def run_node(config: Path, real: bool) -> None:
    """Be the node, until killed."""
    from itermask.apps.node.config import read_config
    from itermask.apps.node.serve import Node
    from itermask.apps.node.work import process_series, warm_up

    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.WARNING)
    logging.getLogger("itermask.node").setLevel(logging.INFO)
    with Node(read_config(config), *((process_series, warm_up) if real else (threshold_look, None))) as node:
        node.wait()


def start_node(out: Path, real: bool = False) -> subprocess.Popen:
    statement = [sys.executable, __file__, str(out), "--node", "real" if real else "threshold"]
    return subprocess.Popen(statement, stderr=open(out / "log.txt", "ab"))


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind((HERE, 0))
        return trial.getsockname()[1]


def write_config(out: Path, archive: int | None, waits: dict[str, float], threads: int = 0) -> tuple[int, int]:
    """The node's file; gives its port and the page's."""
    ports = free_port(), free_port()
    lines = [f"port = {ports[0]}", '[[sender]]\ntitle = "SCANNER"', f'addresses = ["{HERE}"]']
    if archive is not None:
        lines += ['[[destination]]\ntitle = "ARCHIVE"', f'host = "{HERE}"', f"port = {archive}"]
    lines += ["[complete]", *(f"{name} = {seconds}" for name, seconds in waits.items())]
    lines += ["[deliver]", "first_wait = 1.0", "longest_wait = 5.0", "[page]", f"port = {ports[1]}"]
    lines += ["[keep]", "free_gb = 0.0", "[look]", f"threads = {threads}"]
    (out / "node.toml").write_text("\n".join(lines) + "\n")
    return ports


def query(out: Path, statement: str) -> list[tuple]:
    """What the node's database holds, read from outside."""
    path = out / "node" / "queue.sqlite"
    if not path.exists():
        return []
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)
    try:
        return connection.execute(statement).fetchall()
    except sqlite3.OperationalError:  # it is being made
        return []
    finally:
        connection.close()


def progress(out: Path, scanners: Scanners, images: int, series: int) -> float:
    """Share of the work that is done: sending and looking."""
    done = query(out, "SELECT count(*) FROM run WHERE state IN ('done', 'failed')")
    return (len(scanners.acknowledged) / images + (done[0][0] if done else 0) / series) / 2


def is_finished(out: Path, series: int) -> bool:
    waiting = query(
        out,
        """SELECT (SELECT count(*) FROM series WHERE open = 1), (SELECT count(*) FROM series),
           (SELECT count(*) FROM run WHERE state NOT IN ('done', 'failed')),
           (SELECT count(*) FROM delivery WHERE state = 'waiting')""",
    )
    return bool(waiting) and waiting[0] == (0, series, 0, 0)


def check(out: Path, scanners: Scanners, archive: Archive, chosen: argparse.Namespace) -> dict[str, int]:
    """Everything that must be zero."""
    import pydicom

    rows = query(out, "SELECT instance.uid, key, name FROM instance JOIN series ON series.uid = instance.series")
    places = {uid: out / "node" / "images" / key / name for uid, key, name in rows}
    lost = sum(
        uid not in places or pydicom.dcmread(places[uid]).PixelData != pixels
        for uid, pixels in scanners.acknowledged.items()
    )
    files = [path for path in (out / "node" / "images").rglob("*") if path.is_file()]
    runs = Counter(uid for (uid,) in query(out, "SELECT series FROM run WHERE state = 'done'"))
    images = query(out, "SELECT images FROM run WHERE state = 'done'")
    made = {
        str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID)
        for path in (out / "node" / "results").rglob("*.dcm")
        if path.name not in ("key-images.dcm", "summary-page.dcm", "summary-pdf.dcm")  # not asked for here
    }
    return {
        "acknowledged images lost or changed": lost,
        "images stored twice, or files that belong to nothing": len(files) - len(places),
        "series not processed": chosen.series - len(runs),
        "series processed to the end more than once": sum(count > 1 for count in runs.values()),
        "looks that missed images": sum(count != chosen.slices for (count,) in images),
        "series that failed": len(query(out, "SELECT 1 FROM run WHERE state = 'failed'")),
        "results the archive lacks": len(made - set(archive.got)),
        "results in the archive that are not the node's": len(set(archive.got) - made),
    }


def faults(out: Path, chosen: argparse.Namespace) -> int:
    archive = Archive()
    waits = {"quiet": 60.0, "released": 0.5, "patience": chosen.patience}
    port, _ = write_config(out, archive.port, waits)
    everything = [make_series(number, chosen.slices) for number in range(chosen.series)]
    pairs = [
        [image for images in zip(*everything[first : first + 2], strict=True) for image in images]
        for first in range(0, chosen.series, 2)
    ]
    scanners = Scanners(port, pairs, chosen.seed, chosen.resend)
    dice = random.Random(chosen.seed)
    moments = sorted(dice.uniform(0.02, 0.95) for _ in range(chosen.kills))
    total = chosen.series * chosen.slices
    started = time.monotonic()
    node = start_node(out)
    for thread in scanners.threads:
        thread.start()
    killed_at = []
    try:
        while not (is_finished(out, chosen.series) and not any(thread.is_alive() for thread in scanners.threads)):
            if time.monotonic() - started > PATIENCE or (node.poll() is not None):
                print(f"the node is stuck or has ended; see {out / 'log.txt'}", file=sys.stderr)
                return 1
            if moments and progress(out, scanners, total, chosen.series) >= moments[0]:
                moments.pop(0)
                time.sleep(dice.uniform(0, 0.5))
                node.kill()
                node.wait()
                looking = len(query(out, "SELECT 1 FROM run WHERE state = 'looking'"))
                killed_at.append((len(scanners.acknowledged), looking))
                print(f"killed after {len(scanners.acknowledged)} images, {looking} being processed", file=sys.stderr)
                node = start_node(out)
            time.sleep(0.05)
        seconds = time.monotonic() - started
    finally:
        node.kill()
        node.wait()
    archive.server.shutdown()
    found = check(out, scanners, archive, chosen)
    results = [json.loads(result) for (result,) in query(out, "SELECT result FROM run WHERE state = 'done'")]
    doubtful = sum(bool(result.get("doubtful")) for result in results)
    again = sum(count - 1 for count in archive.got.values())
    rows = {
        "series, images in each": f"{chosen.series}, {chosen.slices}",
        "kill -9 of the node": f"{len(killed_at)} ({sum(looking for _, looking in killed_at)} while it processed one)",
        "connections cut by the scanner, lost by a kill": ", ".join(
            str(scanners.counts[name]) for name in ("connections cut", "connections lost")
        ),
        "images sent twice": str(scanners.counts["images sent twice"]),
        "images acknowledged": str(len(scanners.acknowledged)),
        "results in the archive, sent to it again": f"{len(archive.got)}, {again}",
        "looks with a note that images may be missing": str(doubtful),
        "seconds in all": f"{seconds:.0f}",
        **{f"**{name}**": f"**{count}**" for name, count in found.items()},
    }
    print_table(rows)
    complete = len(scanners.acknowledged) == total and len(killed_at) == chosen.kills
    return 0 if complete and not any(found.values()) else 1


def measure(out: Path, source: Path, released: float, threads: int) -> int:
    """Send one series to a node with its model, and watch its page."""
    import pydicom

    port, page = write_config(out, None, {"quiet": 60.0, "released": released, "patience": 60.0}, threads)
    node = start_node(out, real=True)
    try:
        images = [pydicom.dcmread(path) for path in sorted(source.glob("*.dcm"))]
        time.sleep(WARM)  # as it is when a scanner sends something
        while not (association := associate(port)).is_established:
            time.sleep(1.0)
        began = time.time()
        for image in images:
            if association.send_c_store(image).Status != 0:
                print("an image was refused", file=sys.stderr)
                return 1
        last = time.time()
        association.release()
        seen = None
        while not (
            found := query(out, "SELECT result, received, complete, started, ended FROM run WHERE state = 'done'")
        ):
            rows = state(page)["rows"]
            if seen is None and rows and rows[0]["verdict"]:
                seen = time.time()
            time.sleep(0.1)
    finally:
        node.kill()
        node.wait()
    result, _, complete, started, ended = found[0]
    told = json.loads(result)
    stages = told["seconds"]
    seen = seen or ended
    listed = ("read", "choose model", "find brain", "prepare", "detect", "restore")
    load, cores = os.getloadavg()[0], os.cpu_count()
    rows = {f"sending {len(images)} images": last - began, "**from the last image to:**": 0.0}
    rows["series complete (quiet time after the connection's end)"] = complete - last
    rows["its turn"] = started - complete
    rows |= {name: stages[name] for name in listed if name in stages}
    rows["the rest, to the verdict known"] = told["told"] - started - sum(stages.get(name, 0) for name in listed)
    rows["seen on the page"] = seen - told["told"]
    rows["**verdict on the page, in all**"] = seen - last
    rows["of which computing"] = told["told"] - started
    rows["processor time of the computing, all threads"] = stages["processor"]
    rows["of which waiting (quiet time, turn, page)"] = seen - last - (told["told"] - started)
    rows["then: maps, report and DICOM written"] = stages["write"]
    rows["**report on the page, in all**"] = ended - last
    table = {name: f"{seconds:.1f} s" if seconds else "" for name, seconds in rows.items()}
    print_table(table | {"processes that wanted a core, of how many cores": f"{load:.1f} of {cores}"})
    return 0


def state(page: int) -> dict[str, Any]:
    connection = http.client.HTTPConnection(HERE, page, timeout=60)
    connection.request("GET", "/state.json")
    content = json.loads(connection.getresponse().read())
    connection.close()
    return content


def print_table(rows: dict[str, str]) -> None:
    print("\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the node; must not exist")
    parser.add_argument("--series", type=int, default=200, help="an even number")
    parser.add_argument("--slices", type=int, default=6)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--patience", type=float, default=120.0, help="seconds that the node waits after a cut")
    parser.add_argument("--resend", choices=("all", "rest", "both"), default="both", help="after a lost connection")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--time", type=Path, help="folder of one real series: measure the time to its verdict")
    parser.add_argument("--released", type=float, default=3.0, help="seconds of quiet time, for --time")
    parser.add_argument("--threads", type=int, default=0, help="of the look, for --time; 0: as many as there are cores")
    parser.add_argument("--node", choices=("threshold", "real"), help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.node:
        run_node(chosen.out / "node.toml", chosen.node == "real")
        return 0
    if chosen.out.exists():
        parser.error(f"{chosen.out}: exists already; choose another")
    if chosen.series % 2 or chosen.series < 2:
        parser.error("--series must be an even number")
    chosen.out.mkdir(parents=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # not without the node
    code = (
        faults(chosen.out, chosen)
        if chosen.time is None
        else measure(chosen.out, chosen.time, chosen.released, chosen.threads)
    )
    if code == 0:
        shutil.rmtree(chosen.out / "node", ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
