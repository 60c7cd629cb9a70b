"""The examples in docstrings: pytest runs them all; here, which functions must have one."""

import re
from pathlib import Path

import pytest

import itermask

from anchors import OWN, lacking, modules_of  # isort: skip

REFERENCE = Path(__file__).parents[1] / "docs" / "reference" / "python.md"
COMPLETE = ("itermask.core.", "itermask.evaluation.metrics.", "itermask.networks.")
NEEDS_MORE = {  # what takes a folder of DICOM files, a trained model or a data set; the how-tos show it
    "itermask.apps.cohort.run.run_cohort",
    "itermask.io.dicom.read.read_dicom",
    "itermask.io.dicom.series.find_series",
    "itermask.io.dicom.write.write_dicom",
    "itermask.models.folder.load_model",
    "itermask.training.train.calibrate_model",
    "itermask.training.train.train_model",
}


@pytest.fixture(scope="module")
def without():
    return {f"{module}.{name}" for module, names in lacking(modules_of(OWN)).items() for name in names}


def test_examples_are_complete_in_the_mathematics_and_the_metrics(without):
    assert [name for name in sorted(without) if name.startswith(COMPLETE)] == []


def test_examples_are_complete_in_the_reference(without):
    named = set(re.findall(r"autofunction:: (\S+)", REFERENCE.read_text()))
    aliases = {f"{itermask._PUBLIC[name]}.{name}" for name in itermask._PUBLIC}
    assert sorted((named | aliases) & without - NEEDS_MORE) == []
