"""Looks instead of a model, for tests of a node; each is called in a process of its own, so little is imported."""

import os
import signal
import time

VERDICT = "borderline"
PARTS = ("segmentation.dcm", "scores.dcm", "overlay/0001.dcm", "overlay/0002.dcm")


def light_look(task, tell):
    """Finds every series borderline; its results are small images, the same ones for the same series."""
    import pydicom
    from pydicom.uid import generate_uid

    images = [pydicom.dcmread(path) for path in sorted(task.source.glob("*.dcm"))]
    verdict = {"verdict": VERDICT, "score": 1.5, "percentile": 97.5, "notes": list(task.notes)}
    tell({"stage": "writing", "share": 1.0, "verdict": verdict})
    (task.out / "dicom" / "overlay").mkdir(parents=True)
    (task.out / "report.html").write_text("<p>report</p>")
    for part in PARTS:
        result = images[0]
        result.SOPInstanceUID = generate_uid(entropy_srcs=[result.SeriesInstanceUID, part])
        result.file_meta.MediaStorageSOPInstanceUID = result.SOPInstanceUID
        result.save_as(task.out / "dicom" / part, enforce_file_format=True)
    with open(task.out.parents[2] / "looks.txt", "a") as log:
        log.write(f"{task.name}\n")
    return verdict


def by_name(task, tell):
    """Does what the series' description says: dies, dies-once, hangs, breaks, is refused; else looks."""
    what = task.name.partition("'")[2].rstrip("'")
    marker = task.out.parents[2] / "died"
    if what == "dies" or (what == "dies-once" and not marker.exists()):
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "hangs":
        time.sleep(600)
    if what == "breaks":
        raise ValueError("a broken part")
    if what == "is refused":
        return {"reason": "a localiser", "alert": False}
    return light_look(task, tell)


def no_dicom(task, tell):
    """Finds a scan borderline, of which no DICOM results can be made."""
    task.out.mkdir()
    (task.out / "report.html").write_text("<p>report</p>")
    return {"verdict": VERDICT, "notes": list(task.notes)}
