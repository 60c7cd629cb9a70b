"""What the scanner says of an examination: taken in the order that the standard asks for, and nothing of patients."""

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE
from tiny_dicom import MR
from tiny_looks import light_look
from tiny_node import HERE, some_config

from itermask.apps.node.complete import IN_PROGRESS
from itermask.apps.node.database import Database
from itermask.apps.node.serve import Node
from itermask.apps.node.steps import COMPLETED, DISCONTINUED, PERFORMED_STEP, Said, Steps

STUDY = "1.2.3"


def begin(study=STUDY, state=IN_PROGRESS):
    """The attributes of an N-CREATE."""
    told = Dataset()
    told.PerformedProcedureStepStatus, told.PatientName = state, "Doe^Jane"
    item = Dataset()
    item.StudyInstanceUID = study
    told.ScheduledStepAttributesSequence = [item]
    return told


def goes_on(state=COMPLETED, **series):
    """The modifications of an N-SET; series by UID, with the class of their images."""
    told = Dataset()
    if state:
        told.PerformedProcedureStepStatus = state
    told.PerformedSeriesSequence = []
    for uid, kind in series.items():
        item, image = Dataset(), Dataset()
        item.SeriesInstanceUID = uid.replace("_", ".").strip("s")
        image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = kind, "1.9"
        item.ReferencedImageSequence = [image]
        told.PerformedSeriesSequence.append(item)
    return told


@pytest.fixture
def steps(tmp_path):
    opened = Database(tmp_path / "node")
    yield Steps(opened)
    opened.close()


def test_a_step_begins_goes_on_and_ends(steps):
    assert steps.of(STUDY) == Said()
    assert steps.create("1.1", begin()) == 0
    assert steps.of(STUDY).states == (IN_PROGRESS,)
    assert steps.change("1.1", goes_on("")) == 0
    assert steps.change("1.1", goes_on(s1_5=MR, s1_6="1.2.840.10008.5.1.4.1.1.7")) == 0
    said = steps.of(STUDY)
    assert (said.states, said.series) == ((COMPLETED,), ("1.5",)), "only series with MR images come here"
    assert said.changed > 0


def test_what_does_not_fit_is_refused(steps):
    assert steps.create("1.1", begin(state=COMPLETED)) == 0x0106
    assert steps.create("", begin()) == steps.create("1.1", Dataset()) == 0x0106
    assert steps.change("1.1", goes_on()) == 0x0112
    assert steps.create("1.1", begin()) == 0
    assert steps.create("1.1", begin()) == 0x0111
    assert steps.change("1.1", goes_on("DONE")) == 0x0106
    assert steps.change("1.1", goes_on(DISCONTINUED)) == 0
    assert steps.change("1.1", goes_on()) == 0x0110, "what has ended stays so"


def test_nothing_of_the_patient_is_kept(steps):
    steps.create("1.1", begin())
    assert "Doe" not in str([tuple(row) for row in steps.database.rows("SELECT * FROM step")])


def test_the_node_answers_a_scanner(tmp_path):
    with Node(some_config(tmp_path / "node"), light_look, None) as node:
        entity = AE(ae_title="SCANNER")
        entity.add_requested_context(PERFORMED_STEP)
        association = entity.associate(HERE, node.receiver.port, ae_title="ITERMASK")
        assert association.is_established
        status, _ = association.send_n_create(begin(), PERFORMED_STEP, "1.1")
        assert status.Status == 0
        assert node.steps.of(STUDY).states == (IN_PROGRESS,)
        assert association.send_n_create(begin(), PERFORMED_STEP, "1.1")[0].Status == 0x0111
        assert association.send_n_set(goes_on(), PERFORMED_STEP, "1.1")[0].Status == 0
        assert association.send_n_set(goes_on(), PERFORMED_STEP, "1.7")[0].Status == 0x0112
        association.release()
        assert node.steps.of(STUDY).states == (COMPLETED,)
