"""Every command and snippet in docs/dicom.md runs."""

import re
from pathlib import Path

import numpy as np
import pytest
from tiny_dicom import save, slices
from tiny_model import affine_of, oblique, tiny_head, tiny_model

from itermask.models import choice
from itermask.results.report import pictures

PAGE = (Path(__file__).parents[2] / "docs" / "dicom.md").read_text()
BLOCKS = re.findall(r"^```(python)?\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [line for kind, text in BLOCKS if not kind for line in text.splitlines() if line.startswith("itermask ")]
SNIPPETS = [text for kind, text in BLOCKS if kind]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with `study`, and a tiny model instead of the bundled ones."""
    tiny_model(tmp_path / "models" / "tiny")
    monkeypatch.setattr(choice, "BUNDLED", tmp_path / "models")
    monkeypatch.setattr(pictures, "ROW_WIDTH", 300)
    save(tmp_path / "study", slices(np.rint(tiny_head(blob=60.0)[0]).astype(np.int16), oblique(affine_of())))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_commands(command, place):
    assert len(COMMANDS) == 3
    for line in COMMANDS:
        code, _, errors = command(*line.split()[1:])
        assert (code, errors) == (0, ""), line
    assert {path.name for path in (place / "out" / "dicom").iterdir()} >= {"segmentation.dcm", "scores.dcm", "overlay"}


def test_snippets(place, capsys):
    assert len(SNIPPETS) == 2
    for text in SNIPPETS:
        exec(compile(text, "docs/dicom.md", "exec"), {})
    assert capsys.readouterr().out.startswith("5 T1w TI 900 ms")
    assert (place / "out" / "dicom" / "segmentation.dcm").is_file()
