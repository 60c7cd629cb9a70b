"""Other people's programs at both ends of a node: DCMTK's senders, and Orthanc as scanner and as archive."""

import io
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pydicom
import pytest
from tiny_dicom import SECONDARY, base, save, uid
from tiny_looks import light_look
from tiny_node import HERE, finished, send, series, some_config, until

from itermask.apps.node.config import Complete, Destination, Keep, Sender
from itermask.apps.node.serve import Node
from itermask.apps.node.store import GIB
from itermask.types import VERDICTS

pytestmark = pytest.mark.servers
SENDERS = (Sender("STORESCU", (HERE,)), Sender("ECHOSCU", (HERE,)))
SLOW = 1500.0  # seconds


def program(name, package):
    """A program of the system; pynetdicom's scripts have some of the same names, in this environment or another."""
    for place in [*os.environ["PATH"].split(os.pathsep), "/usr/sbin"]:
        found = shutil.which(name, path=place)
        if found is not None and Path(found).read_bytes()[:2] != b"#!":
            return found
    pytest.skip(f"{name} is not installed: apt-get install {package}")


def call(name, node, *words, called="ITERMASK"):
    """Run one of DCMTK's programs; gives its exit code and what it says."""
    command = [program(name, "dcmtk"), "-v", "-aec", called, *words[:-1], HERE, str(node.receiver.port), *words[-1]]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=600)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def node(tmp_path):
    with Node(some_config(tmp_path / "node", senders=SENDERS), light_look, None) as started:
        yield started


def test_dcmtk_is_let_in_and_strangers_are_not(node):
    assert call("echoscu", node, [])[0] == 0
    code, said = call("echoscu", node, [], called="OTHER")
    assert code != 0
    assert "Called AE Title Not Recognized" in said
    code, said = call("echoscu", node, "-aet", "STRANGER", [])
    assert code != 0
    assert "Calling AE Title Not Recognized" in said


def test_dcmtk_sends_a_series(node, tmp_path):
    paths = save(tmp_path / "study", series(1, 5))
    code, said = call("storescu", node, paths)
    assert (code, said.count("Received Store Response (Success)")) == (0, 5)
    (row,) = finished(node)
    assert (row["sender"], row["images"]) == ("STORESCU", 5)


def test_dcmtk_sends_compressed_images(node, tmp_path):
    (path,) = save(tmp_path, series(1, 1))
    squeezed = tmp_path / "squeezed.dcm"
    subprocess.run([program("dcmcrle", "dcmtk"), path, squeezed], check=True, timeout=600)
    assert call("storescu", node, "-xr", [squeezed])[0] == 0
    assert finished(node)[0]["images"] == 1


def test_dcmtk_is_told_what_is_not_taken(node, tmp_path):
    picture = base(SECONDARY, 9, SOPInstanceUID=uid("picture"), Rows=2, Columns=2, PixelData=bytes(8))
    code, said = call("storescu", node, save(tmp_path / "picture", picture))
    assert code != 0
    assert "No presentation context for" in said or "No Acceptable Presentation Contexts" in said
    node.store.keep = Keep(quota_gb=1 / GIB, free_gb=0.0)
    code, said = call("storescu", node, save(tmp_path / "study", series(1, 2)))
    assert "Refused: OutOfResources" in said
    assert node.state()["rows"] == []


def free_port():
    with socket.socket() as trial:
        trial.bind((HERE, 0))
        return trial.getsockname()[1]


class Orthanc:
    """A real archive on free ports."""

    def __init__(self, folder):
        self.folder, self.web, self.dicom = folder, free_port(), free_port()

    def start(self, node_port):
        settings = {
            "Name": "test", "StorageDirectory": str(self.folder / "db"), "IndexDirectory": str(self.folder / "db"),
            "Plugins": [], "HttpPort": self.web, "RemoteAccessAllowed": False, "AuthenticationEnabled": False,
            "DicomPort": self.dicom, "DicomAet": "ORTHANC", "DicomScpTimeout": 600, "DicomScuTimeout": 600,
            "DicomModalities": {"node": ["ITERMASK", HERE, node_port]}, "OverwriteInstances": False,
        }  # fmt: skip
        self.folder.mkdir(exist_ok=True)
        (self.folder / "orthanc.json").write_text(json.dumps(settings))
        with (self.folder / "log.txt").open("wb") as log:
            command = [program("Orthanc", "orthanc"), str(self.folder / "orthanc.json")]
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        until(self.is_up)

    def is_up(self):
        try:
            return self.get("/system")
        except OSError:
            return None

    def get(self, path, content=None):
        """Ask its REST API; with content, POST it."""
        request = urllib.request.Request(f"http://{HERE}:{self.web}{path}", content)
        with urllib.request.urlopen(request, timeout=SLOW) as answer:
            return json.loads(answer.read())

    def read(self, instance):
        """An instance as a dataset."""
        with urllib.request.urlopen(f"http://{HERE}:{self.web}/instances/{instance}/file", timeout=SLOW) as answer:
            return pydicom.dcmread(io.BytesIO(answer.read()))

    def series_of(self, study):
        """Modality and number of instances of each series of a study."""
        listed = self.get(f"/studies/{study}/series")
        return {each["MainDicomTags"]["Modality"]: len(each["Instances"]) for each in listed}

    def end(self):
        self.process.terminate()
        self.process.wait(120)


def of_an_adult(path):
    """The bytes of an image whose patient is said to be an adult: the real one is said to be three years old."""
    image = pydicom.dcmread(path)
    image.PatientAge, image.PatientBirthDate = "033Y", ""
    written = io.BytesIO()
    image.save_as(written)
    return written.getvalue()


@pytest.mark.shared
def test_orthanc_sends_a_real_series_gets_the_results_and_its_commitment(shared_data, tmp_path):
    program("Orthanc", "orthanc")
    orthanc = Orthanc(tmp_path / "orthanc")
    config = some_config(
        tmp_path / "node",
        senders=(Sender("ORTHANC", (HERE,), orthanc.dicom),),
        destinations=(Destination("ORTHANC", HERE, orthanc.dicom),),
        complete=Complete(quiet=300.0, released=1.0, patience=300.0),
    )
    with Node(config) as node:
        orthanc.start(node.receiver.port)
        try:
            for path in sorted((shared_data / "dicom" / "mprage-siemens").glob("*.dcm")):
                stored = orthanc.get("/instances", of_an_adult(path))
            study, source = stored["ParentStudy"], stored["ParentSeries"]
            assert orthanc.series_of(study) == {"MR": 192}
            assert orthanc.get("/modalities/node/store", source.encode())["FailedInstancesCount"] == 0

            asked = json.dumps({"Resources": [source]}).encode()
            path = orthanc.get("/modalities/node/storage-commitment", asked)["Path"]
            report = until(lambda: (found := orthanc.get(path))["Status"] != "Pending" and found)
            assert (report["Status"], len(report["Success"])) == ("Success", 192)

            row = until(lambda: next((row for row in node.state()["rows"] if row["verdict"]), None), SLOW)
            assert row["verdict"] in VERDICTS
            print(f"\nverdict {row['verdict']!r} {row['seconds']} s after the last image")
            until(lambda: any(each["state"] == "sent" for each in node.state()["rows"][0]["deliveries"]), SLOW)
            (row,) = node.state()["rows"]
            assert row["images"] == 192

            found = orthanc.series_of(study)
            assert found.keys() == {"MR", "SEG", "SR", "OT"}
            assert (found["MR"], found["SEG"], found["SR"]) == (192, 1, 1)
            assert 0 < found["OT"] < 192  # only slices with something to see
            time.sleep(0.5)
            assert orthanc.series_of(study) == found
        finally:
            orthanc.end()


def test_what_orthanc_missed_while_it_was_down_comes_once(tmp_path):
    """Down before the first result, and again before the summary of the study; in the end each object is there once."""
    program("Orthanc", "orthanc")
    orthanc = Orthanc(tmp_path / "orthanc")
    config = some_config(
        tmp_path / "node",
        destinations=(Destination("ORTHANC", HERE, orthanc.dicom, ("segmentation", "report", "summary page")),),
        complete=Complete(quiet=300.0, released=0.05, patience=1.0, study=8.0),
    )
    with Node(config, light_look, None) as node:
        send(node.receiver.port, series(1))
        finished(node)
        until(lambda: "not taken yet" in node.state()["rows"][0]["deliveries"][0]["words"])
        orthanc.start(node.receiver.port)
        try:
            until(lambda: node.state()["rows"][0]["deliveries"][0]["state"] == "sent")
            orthanc.end()
            until(lambda: any("not taken yet" in one["words"] for one in node.state()["studies"][0]["deliveries"]))
            orthanc.start(node.receiver.port)
            until(lambda: [one["state"] for one in node.state()["studies"][0]["deliveries"]] == ["sent"])
            got = [str(orthanc.read(each).SOPInstanceUID) for each in orthanc.get("/instances")]
            made = [
                str(pydicom.dcmread(path).SOPInstanceUID)
                for name in ("segmentation.dcm", "scores.dcm", "summary-page.dcm")
                for path in node.store.results.rglob(name)
            ]
            assert sorted(got) == sorted(made)
            assert len(made) == 3
        finally:
            orthanc.end()
