"""Try a BIDS App's entry point as its users do: a tree with one bundled scan, participant level, then group level.

    python packaging/try_app.py itermask-bids @DATA @OUT
    python packaging/try_app.py docker run --rm --network none -v @DATA:/data:ro -v @OUT:/out itermask /data /out

`@DATA` and `@OUT` stand for the tree and the folder of results. Ends with exit code 0 if both levels did, and left what
they promise.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np

DEMO = Path(__file__).parents[1] / "src" / "itermask" / "demo_data"
PROMISED = (
    "dataset_description.json", "group_T1w.tsv", "group_T1w.html", "methods.md", "sub-01_T1w.html",
    "sub-01/anat/sub-01_space-T1w_desc-anomaly_mask.nii.gz", "sub-01/anat/sub-01_space-T1w_desc-anomaly_mask.json",
)  # fmt: skip


def make_tree(tree: Path) -> None:
    """Write a BIDS tree with one stripped scan."""
    (tree / "sub-01" / "anat").mkdir(parents=True)
    scan, brain = nib.load(DEMO / "healthy_T1w.nii.gz"), nib.load(DEMO / "healthy_brain.nii.gz")
    stripped = np.where(np.asanyarray(brain.dataobj) > 0, scan.get_fdata(dtype=np.float32), 0).astype(np.float32)
    nib.save(nib.Nifti1Image(stripped, scan.affine), tree / "sub-01" / "anat" / "sub-01_T1w.nii.gz")
    (tree / "dataset_description.json").write_text(json.dumps({"Name": "one scan", "BIDSVersion": "1.10.0"}))


def main(command: list[str]) -> int:
    """Run both levels; the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        tree, out = Path(folder, "data"), Path(folder, "out")
        make_tree(tree)
        out.mkdir()
        out.chmod(0o777)  # the app's user may be another
        arguments = [word.replace("@DATA", str(tree)).replace("@OUT", str(out)) for word in command]
        for level in ("participant", "group"):
            done = subprocess.run(
                [*arguments, level, "--participant-label", "01", "--skip-bids-validation"], check=False
            )
            if done.returncode:
                print(f"{level}: exit code {done.returncode}", file=sys.stderr)
                return done.returncode
        missing = [name for name in PROMISED if not (out / name).is_file()]
        print(f"missing: {', '.join(missing)}" if missing else f"both levels ended well: {', '.join(PROMISED)}")
        return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
