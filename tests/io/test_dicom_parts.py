"""The mask by regions: every voxel in one part, the largest first, numbers no finer than they mean."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_dicom import save, slices, some_finding

from itermask.io.dicom.parts import MOST, parts_of
from itermask.io.dicom.read import read_dicom


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), share=st.sampled_from([0.0, 0.02, 0.1, 0.3]))
def test_every_voxel_has_one_part(tmp_path_factory, seed, share):
    image = np.random.default_rng(seed).integers(1, 200, (14, 12, 10)).astype(np.int16)
    folder = tmp_path_factory.mktemp("series")
    save(folder, slices(image))
    scan = read_dicom(folder)[0].scan
    mask = np.random.default_rng(seed).random(scan.image.shape) < share
    finding = some_finding(scan, mask)
    numbers, parts = parts_of(finding)
    assert np.array_equal(numbers > 0, mask)
    assert [part.number for part in parts] == list(range(1, numbers.max() + 1))
    volumes = [int((numbers == part.number).sum()) for part in parts]
    own = volumes[:MOST]
    assert own == sorted(own, reverse=True)
    voxel = abs(np.linalg.det(scan.affine[:3, :3])) / 1000
    for part, voxels in zip(parts, volumes, strict=True):
        assert abs(part.volume_ml - voxels * voxel) <= 0.005 + 1e-9
    assert len({part.name for part in parts}) == len(parts)
