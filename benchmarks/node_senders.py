"""Scanners and an archive for `node_faults.py`: small synthetic series, cut connections, and what was acknowledged."""

import random
import socket
import threading
import time
from collections import Counter
from typing import Any

import numpy as np

HERE = "127.0.0.1"
MR = "1.2.840.10008.5.1.4.1.1.4"
RESULTS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.33", "1.2.840.10008.5.1.4.1.1.7")
CUT, TWICE = 0.15, 0.15  # shares of connections that are cut, and of images that are sent twice


def make_series(number: int, slices: int) -> list[Any]:
    """A ball with a bright spot, as classic MR images."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    def uid(*parts: object) -> str:
        return str(generate_uid(entropy_srcs=["faults", *map(str, parts)]))

    x, y, z = np.mgrid[:24, :24, :slices]
    dice = np.random.default_rng(number)
    ball = (x - 12) ** 2 + (y - 12) ** 2 < 100
    image = 100 * ball + 100 * ball * ((x - dice.integers(8, 16)) ** 2 + (y - 12) ** 2 < 9) + 0 * z
    made = []
    for index in range(slices):
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        values = {
            "SOPClassUID": MR, "SOPInstanceUID": uid(number, index), "StudyInstanceUID": uid("study", number % 2),
            "SeriesInstanceUID": uid("series", number), "FrameOfReferenceUID": uid("frame", number % 2),
            "SeriesNumber": number, "InstanceNumber": index + 1, "Modality": "MR", "SeriesDescription": "MPRAGE",
            "ScanningSequence": ["GR", "IR"], "RepetitionTime": 2300, "EchoTime": 2.98, "InversionTime": 900,
            "FlipAngle": 9, "ImageType": ["ORIGINAL", "PRIMARY", "M"], "PatientName": "Test", "PatientID": "1",
            "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "ImagePositionPatient": [0, 0, 3 * index],
            "PixelSpacing": [2, 2], "SliceThickness": 3, "Rows": 24, "Columns": 24, "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15,
            "PixelRepresentation": 1, "PixelData": np.ascontiguousarray(image[:, :, index].T, np.int16).tobytes(),
        }  # fmt: skip
        for keyword, value in values.items():
            setattr(dataset, keyword, value)
        made.append(dataset)
    return made


class Archive:
    """Takes the results and counts how often each came."""

    def __init__(self) -> None:
        from pynetdicom import AE, evt

        self.got: Counter[str] = Counter()
        entity = AE(ae_title="ARCHIVE")
        for uid in RESULTS:
            entity.add_supported_context(uid)
        self.server = entity.start_server((HERE, 0), block=False, evt_handlers=[(evt.EVT_C_STORE, self.take)])
        self.port = self.server.server_address[1]

    def take(self, event: Any) -> int:
        """Take a result."""
        self.got[str(event.request.AffectedSOPInstanceUID)] += 1
        return 0x0000


class Scanners:
    """Send pairs of series until all are acknowledged; what happens on the way is counted."""

    def __init__(self, port: int, pairs: list[list[Any]], seed: int, resend: str) -> None:
        self.port, self.pairs, self.resend, self.lock = port, pairs, resend, threading.Lock()
        self.acknowledged: dict[str, bytes] = {}
        self.counts: Counter[str] = Counter()
        self.threads = [threading.Thread(target=self.work, args=(random.Random(seed + n),)) for n in range(2)]

    def work(self, dice: random.Random) -> None:
        """What one scanner does."""
        while True:
            with self.lock:
                if not self.pairs:
                    return
                waiting = self.pairs.pop()
            everything = list(waiting)
            resends_all = self.resend == "all" or (self.resend == "both" and dice.random() < 0.5)
            cut_before = len(waiting) if dice.random() > CUT else dice.randrange(1, len(waiting))
            while not self.send(waiting, cut_before, dice):
                waiting = everything if resends_all else [each for each in waiting if not self.has(each)]
                cut_before = len(everything)
                if not waiting:  # the last answer came, and then the connection went
                    break
                time.sleep(0.5)

    def has(self, image: Any) -> bool:
        """Whether an image was acknowledged."""
        with self.lock:
            return str(image.SOPInstanceUID) in self.acknowledged

    def send(self, waiting: list[Any], cut_before: int, dice: random.Random) -> bool:
        """One connection; gives whether all was sent and the connection was ended properly."""
        association = associate(self.port)
        if not association.is_established:
            return False
        for sent, image in enumerate(waiting):
            if sent == cut_before:
                self.counts["connections cut"] += 1
                association.dul.socket.socket.shutdown(socket.SHUT_RDWR)
                association.abort()
                return False
            if not self.store(association, image):
                self.counts["connections lost"] += 1
                association.abort()
                return False
            if dice.random() < TWICE and self.store(association, image):
                self.counts["images sent twice"] += 1
        association.release()
        return bool(association.is_released)

    def store(self, association: Any, image: Any) -> bool:
        """Send an image; gives whether it was acknowledged."""
        try:
            status = association.send_c_store(image)
        except (RuntimeError, ValueError):
            return False
        if status.get("Status") != 0x0000:
            return False
        with self.lock:
            self.acknowledged[str(image.SOPInstanceUID)] = image.PixelData
        return True


def associate(port: int) -> Any:
    from pynetdicom import AE

    entity = AE(ae_title="SCANNER")
    entity.add_requested_context(MR, "1.2.840.10008.1.2.1")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 20
    entity.connection_timeout = 5
    return entity.associate(HERE, port, ae_title="ITERMASK")
