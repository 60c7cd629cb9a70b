"""The comparison of two checkouts: equal results give equal hashes, and any change of a bit is named."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

import same_results  # isort: skip


@pytest.fixture
def finding():
    rng = np.random.default_rng(0)
    error = rng.random((4, 5, 6)).astype(np.float32)
    return SimpleNamespace(anomaly=error > 0.9, error=error, brain=error > 0.1, score=0.25)


def test_equal_maps_have_equal_hashes_whatever_their_memory_layout(finding):
    turned = np.asfortranarray(finding.error)
    assert same_results.digest(turned) == same_results.digest(finding.error)
    assert same_results.digest(finding.error.astype(np.float64)) != same_results.digest(finding.error)


def test_one_bit_of_one_map_is_named(finding):
    before = same_results.hashes(finding)
    finding.error[1, 2, 3] = np.nextafter(finding.error[1, 2, 3], np.float32(2))
    finding.score = np.nextafter(0.25, 1)
    after = same_results.hashes(finding)
    assert same_results.differences({"a": before}, {"a": before}) == []
    assert same_results.differences({"a": before}, {"a": after}) == ["a: error map differs", "a: score differs"]
    assert same_results.differences({"a": before}, {}) == ["a: analysed by one side only"]


@pytest.mark.parametrize(("other", "code"), [("one", 0), ("two", 1)])
def test_files_of_hashes_stand_for_checkouts(other, code, tmp_path, capsys):
    for name, score in (("one", "0x1"), ("two", "0x2")):
        (tmp_path / name).write_text(json.dumps({"a": {"score": score}}))
    with pytest.raises(SystemExit) as ended:
        same_results.main([str(tmp_path / "one"), str(tmp_path / other)])
    assert ended.value.code == code
    assert ("score differs" in capsys.readouterr().out) == bool(code)
