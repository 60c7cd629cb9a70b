"""Any method end to end on tiny scans, a scan with a lesion, and runtimes that know what is normal."""

import json
from dataclasses import replace

import numpy as np
from tiny import tiny_brain, tiny_config, tiny_grid, write_scan

import itermask
from itermask.io.outputs import write_finding
from itermask.models.folder import Model, load_model
from itermask.prepare.prepare import prepare
from itermask.training.calibration import HealthyScan
from itermask.training.train import train_model
from itermask.types import VERDICTS, Scan

SHAPE = (20, 22, 18)


class KnowsNormal:
    """A runtime that knows the normal image where voxels are hidden, and repeats what it sees elsewhere."""

    description = "knows what is normal"

    def __init__(self, normal, spread=0.1):
        self.normal, self.spread, self.seen = normal, spread, []

    def __call__(self, role, inputs):
        assert role == "reconstruction"
        self.seen.append(inputs)
        image, _fine, hidden = inputs
        noise = image - self.normal  # standard normal where hidden
        return np.where(hidden > 0, self.normal + self.spread * noise, image + 0.01 * self.normal)[None]


class RemembersNormal:
    """A runtime that answers with the normal volume, or with the normal slice that is most like what it sees."""

    description = "remembers what is normal"

    def __init__(self, normal, offset=0.0):
        self.normal, self.offset, self.batches = normal, offset, []

    def __call__(self, role, inputs):
        assert role == "reconstruction"
        assert inputs.shape == (1, *self.normal.shape)
        return self.normal[None] + self.offset

    def batch(self, role, inputs):
        assert role == "reconstruction"
        self.batches.append(inputs)
        known = np.moveaxis(self.normal, -1, 0)
        nearest = [int(np.argmin(np.abs(known - one[0]).mean(axis=(1, 2)))) for one in inputs]
        return known[nearest][:, None] + self.offset


def healthy_scan(seed):
    """A prepared healthy scan of its own subject."""
    image, brain = tiny_brain(SHAPE, seed)
    scan = Scan(np.where(brain, image + 3, 0), np.diag([4.0, 4.0, 4.0, 1.0]), "T1w", brain)
    return HealthyScan(prepare(scan, tiny_grid()), str(seed))


def with_ball(contrast=-4.0):
    """A prepared scan with a ball that is darker (or brighter), the ball, and the scan without it."""
    normal = healthy_scan(2).prepared
    axes = np.meshgrid(*[np.arange(n) - 0.4 * n for n in normal.image.shape], indexing="ij")
    ball = (sum(axis**2 for axis in axes) < 2.6**2) & normal.brain
    image = np.where(ball, normal.image + contrast, normal.image).astype(np.float32)
    return replace(normal, image=image), ball, normal


def bare_model(method, runtime=None):
    """A model that was never written: a method and a runtime, for calibration."""
    return Model("bare", {}, method, runtime, tiny_grid())


def dice(mask, wanted):
    """Overlap of two masks, 0 to 1."""
    return 2 * (mask & wanted).sum() / (mask.sum() + wanted.sum())


def write_table(folder, training=2, validating=4):
    """A table of tiny scans, and the scans."""
    rows = ["participant_id\tpath\tbrain_mask\tsplit"]
    for seed in range(training + validating):
        path, mask = write_scan(folder / "scans", f"s{seed}", seed)
        rows.append(f"p{seed}\t{path}\t{mask}\t{'train' if seed < training else 'val'}")
    table = folder / "table.tsv"
    table.write_text("\n".join(rows) + "\n")
    return table


def train_tiny(folder, method, settings=None, networks=None, **changes):
    """Train a tiny model for three steps, calibrate it, and give the model folder."""
    config = tiny_config(method=method, method_settings=settings or {}, networks=networks or {}, steps=3, **changes)
    return train_model(write_table(folder), "T1w", folder / "model", config, "cpu", {"name": "made"})


def check_run(folder, out):
    """Load the model in `folder`, run it on a scan with a report in `out`; give model and finding."""
    model = load_model(folder, device="cpu")
    path, mask = write_scan(out, "sub-01", 9)
    scan = itermask.read_scan(path, "T1w", mask)
    finding = itermask.run(scan, model)
    write_finding(scan, finding, out / "found")
    written = json.loads((out / "found" / "finding.json").read_text())
    point = model.calibration["operating_point"]
    assert finding.settings["operating_point"] == point
    assert finding.verdict in VERDICTS
    assert set(finding.scores) == {"mask_size", "mean_error", "profile_distance", "focal"}
    assert 0 <= finding.percentile <= 100
    assert np.isfinite([entry["z"] for entry in finding.profile.values()]).all()
    assert finding.anomaly.shape == finding.error.shape == finding.reconstruction.shape == scan.image.shape
    assert not (finding.anomaly & ~finding.brain).any()
    assert written["threshold"] == finding.threshold
    assert written["search"]["threshold"] == finding.threshold
    page = (out / "found" / "report.html").read_text()
    assert "Reconstruction" in page
    assert ("Threshold curve" in page) == ("curve" in written["search"])
    return model, finding


def same_finding(one, other):
    """Whether two findings have the same maps and numbers, to the bit."""
    maps = ("anomaly", "error", "reconstruction", "brain")
    summaries = [json.dumps(replace(finding, timings={}, settings={}).summary()) for finding in (one, other)]
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in maps) and len(set(summaries)) == 1
