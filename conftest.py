"""What examples in docstrings may use without making it: `scan`, `model`, `finding`, `subject`, an empty `folder`.

They are small and made: a head of a few thousand voxels with a bright blob, a model that was never trained, and what
artifacts are drawn for.
"""

import doctest
from pathlib import Path
from typing import Any

import pytest

NAMES = ("scan", "model", "finding")


@pytest.fixture(scope="session")
def small_things(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return a scan, a model and what the model finds in the scan."""
    from tiny_model import tiny_model, tiny_scan

    from itermask.models.folder import load_model
    from itermask.pipeline import analyze

    model_folder = tmp_path_factory.mktemp("examples") / "tiny"
    tiny_model(model_folder)
    scan, model = tiny_scan(blob=60.0), load_model(model_folder)
    return {"scan": scan, "model": model, "finding": analyze(scan, model)}


@pytest.fixture(autouse=True)
def names_of_examples(request: pytest.FixtureRequest, doctest_namespace: dict[str, Any]) -> None:
    """Give an example what it names."""
    test = getattr(request.node, "dtest", None)
    if not isinstance(test, doctest.DocTest):
        return
    for name in (*NAMES, "folder", "subject"):  # of an earlier example
        doctest_namespace.pop(name, None)
    source = "".join(example.source for example in test.examples)
    if any(name in source for name in NAMES):
        doctest_namespace.update(request.getfixturevalue("small_things"))
    if "folder" in source:
        folder: Path = request.getfixturevalue("tmp_path")
        doctest_namespace["folder"] = folder
    if "subject" in source:
        doctest_namespace["subject"] = noise_subject()


def noise_subject() -> Any:
    """Return a head of noise that artifacts are drawn for: 16 voxels of 10 mm along each axis."""
    import numpy as np

    from itermask.synth.artifacts.base import Subject

    image = np.random.default_rng(0).random((16, 16, 16), dtype=np.float32)
    return Subject(image, image > 0, (10.0, 10.0, 10.0), axis=1, direction=1, reference=1.0)
