"""A node in a test: a configuration with short waits, and small series to send to it."""

import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from pynetdicom import AE, build_context
from tiny_dicom import MR, base, slices, uid

from itermask.apps.node.config import Complete, Deliver, Keep, NodeConfig, Page, Sender

HERE = "127.0.0.1"
LIMIT = 300.0  # seconds that a test waits for what takes a fraction of one


def some_config(folder, **changes):
    """A node on free ports that knows the sender `SCANNER` and waits for next to nothing."""
    config = NodeConfig(
        folder=Path(folder),
        port=0,
        senders=(Sender("SCANNER", (HERE,)),),
        complete=Complete(quiet=120.0, released=0.05, patience=1.0),
        deliver=Deliver(first_wait=0.2, longest_wait=0.5, give_up_hours=1.0),
        page=Page(port=0),
        keep=Keep(free_gb=0.0),
    )
    return replace(config, **changes)


def series(number=1, count=3, study="study", **changes):
    """A small series as datasets; its instances have UIDs of their own."""
    image = np.random.default_rng(number).integers(1, 200, (8, 8, count)).astype(np.int16)
    own = {"StudyInstanceUID": uid(study), "SeriesInstanceUID": uid("node", study, number)} | changes
    made = slices(image, np.diag([2.0, 2.0, 2.0, 1.0]), number, **own)
    for index, dataset in enumerate(made):
        dataset.SOPInstanceUID = uid("node", study, number, index)
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return made


def no_image():
    """What claims to be an MR image and has no pixels."""
    dataset = base(MR, 9, SOPInstanceUID=uid("no image"), SamplesPerPixel=None, BitsAllocated=None)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def associate(port, classes=(MR,), title="SCANNER", called="ITERMASK", **more):
    """An association with a node."""
    entity = AE(ae_title=title)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = LIMIT
    contexts = [build_context(each) for each in classes]
    return entity.associate(HERE, port, contexts, ae_title=called, **more)


def send(port, datasets, **how):
    """Send datasets in one association; gives the statuses."""
    association = associate(port, **how)
    assert association.is_established
    statuses = [association.send_c_store(dataset).Status for dataset in datasets]
    association.release()
    return statuses


def until(look, limit=LIMIT):
    """Wait until something is there, and give it."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come")


def finished(node, count=1):
    """The rows of a node's page, once so many have ended and nothing is on its way; newest first."""

    def look():
        state = node.state()
        ended = [row for row in state["rows"] if row["state"] == "finished"]
        return state["rows"] if len(ended) == count == len(state["rows"]) and not state["receiving"] else None

    return until(look)


def files_of(folder):
    """The paths of all files below a folder."""
    return sorted(path for path in Path(folder).rglob("*") if path.is_file())


def looks(config):
    """How often each series was processed to the end."""
    with suppress(FileNotFoundError):
        return (config.folder / "looks.txt").read_text().split("\n")[:-1]
    return []
