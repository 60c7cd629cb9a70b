"""The command: six files for a good scan; one line, exit code 2 and nothing written for a bad one."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from tiny_model import tiny_card, tiny_model, tiny_scan, write_nifti
from tiny_slices import write_stacks

import itermask
from itermask.cli.show import print_finding
from itermask.io.outputs import OUTPUTS, PASSES
from itermask.io.result_folder import MARK
from itermask.models import choice
from itermask.results.report import pictures
from itermask.run_scans import run as run_scan


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_model(folder)
    return folder


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch):
    """Large pictures take long to draw."""
    monkeypatch.setattr(pictures, "ROW_WIDTH", 300)


@pytest.fixture
def files(tmp_path):
    """A stripped scan, the same with its skull, its mask, and others, each in its own file."""
    stripped, whole = tiny_scan(given=False, blob=60.0), tiny_scan(skull=True)
    mask = replace(whole, image=whole.brain_mask.astype(np.float32))
    away = replace(mask, affine=np.diag([2.0, 2.5, 3.0, 1.0]))
    broken = write_nifti(tmp_path / "cut_T1w.nii.gz", whole).read_bytes()
    nan = stripped.image.copy()
    nan[5, 5, 5] = np.nan
    made = {
        "good": write_nifti(tmp_path / "sub-1_T1w.nii.gz", stripped),
        "skull": write_nifti(tmp_path / "skull_T1w.nii", whole),
        "flair": write_nifti(tmp_path / "sub-1_FLAIR.nii.gz", stripped),
        "nameless": write_nifti(tmp_path / "scan.nii.gz", stripped),
        "nan": write_nifti(tmp_path / "nan_T1w.nii.gz", replace(stripped, image=nan)),
        "zeros": write_nifti(tmp_path / "zeros_T1w.nii", replace(stripped, image=0 * stripped.image)),
        "mask": write_nifti(tmp_path / "mask.nii.gz", mask),
        "mask_away": write_nifti(tmp_path / "away.nii.gz", away),
        "mask_small": write_nifti(tmp_path / "small.nii.gz", replace(away, image=mask.image[1:], brain_mask=None)),
        "mask_empty": write_nifti(tmp_path / "empty.nii.gz", replace(mask, image=0 * mask.image)),
        "noise": tmp_path / "noise_T1w.nii.gz",
        "cut": tmp_path / "cut_T1w.nii.gz",
        "text": tmp_path / "notes.txt",
        "4d": tmp_path / "4d_T1w.nii.gz",
        "missing": tmp_path / "missing_T1w.nii.gz",
        "folder": tmp_path,
    }
    made["noise"].write_bytes(np.random.default_rng(0).bytes(3000))
    made["cut"].write_bytes(broken[: len(broken) // 2])
    made["text"].write_text("no scan")
    nib.save(nib.Nifti1Image(np.random.default_rng(0).random((5, 5, 5, 2)), np.eye(4)), made["4d"])
    return made


# --- what works ----------------------------------------------------------------------------------------------


def test_a_good_scan_gives_six_files_and_three_lines(command, files, model, tmp_path):
    out = tmp_path / "new" / "out"
    code, output, errors = command("run", files["good"], out, "--model", model)
    assert (code, errors) == (0, "")
    assert {path.name for path in out.iterdir()} == {*OUTPUTS, PASSES, MARK}
    finding = json.loads((out / "finding.json").read_text())
    lines = output.splitlines()
    assert lines[0] == f"{files['good'].name}: {finding['verdict']}"
    assert f"anomaly {100 * finding['anomaly_fraction']:.2f} % of the brain" in " ".join(lines)
    assert lines[-1].strip() == str(out / "report.html")
    anomaly, brain = (nib.load(out / f"{name}.nii.gz") for name in ("anomaly", "brain"))
    assert np.array_equal(anomaly.affine, nib.load(files["good"]).affine)
    share = np.asanyarray(anomaly.dataobj).sum() / np.asanyarray(brain.dataobj).sum()
    assert finding["anomaly_fraction"] == pytest.approx(share)
    page = (out / "report.html").read_text()
    assert page.rstrip().endswith("</html>")
    assert "research use only" in page


def test_options_reach_the_finding(command, files, model, tmp_path):
    arguments = ["--model", model, "--sequence", "t1w", "--brain-mask", files["mask"], "--seed", 7, "--device", "cpu"]
    code, _, errors = command("run", files["skull"], tmp_path / "out", *arguments, "--gamma", 0.03)
    assert (code, errors) == (0, "")
    used = json.loads((tmp_path / "out" / "finding.json").read_text())["settings"]
    assert (used["seed"], used["brain_mask"], used["sequence"]) == (7, "given", "T1w")
    assert used["operating_point"]["gamma"] == 0.03
    assert "cpu" in used["computed_with"]


def test_the_command_and_the_function_find_the_same(command, files, model, tmp_path):
    out = tmp_path / "out"
    arguments = ["--model", model, "--sensitivity", 2, "--device", "cpu"]
    assert command("run", files["good"], out, *arguments)[0] == 0
    written = json.loads((out / "finding.json").read_text())
    finding = run_scan(files["good"], itermask.load_model(model, device="cpu"), itermask.RunSettings(sensitivity=2.0))
    assert written["scores"] == json.loads(json.dumps(finding.scores))
    assert np.array_equal(np.asanyarray(nib.load(out / "error.nii.gz").dataobj), finding.error)


def test_names_with_brackets_are_printed_as_they_are(files, model, tmp_path, capsys):
    finding = run_scan(files["good"], itermask.load_model(model, device="cpu"))
    print_finding("sub[bold]_T1w.nii", finding, tmp_path / "[red]" / "[")
    output = capsys.readouterr().out
    assert "sub[bold]_T1w.nii: " in output
    assert f"{tmp_path}/[red]/[/report.html" in output


def test_the_model_that_was_chosen_is_named_with_its_reason(command, files, model, tmp_path, monkeypatch):
    monkeypatch.setattr(choice, "BUNDLED", model.parent)
    reason = "the bundled model for T1w volumes"
    thick = write_nifti(tmp_path / "thick_T1w.nii.gz", tiny_scan((36, 40, 24), (2.0, 2.0, 3.0), given=False))
    code, output, errors = command("run", thick, tmp_path / "out", "--device", "cpu")
    assert (code, errors) == (0, "")
    assert output.splitlines()[0] == f"model tiny: {reason}"
    used = json.loads((tmp_path / "out" / "finding.json").read_text())["settings"]
    assert used["model_choice"] == reason
    command("run", thick, tmp_path / "named", "--device", "cpu", "--model", model)
    used = json.loads((tmp_path / "named" / "finding.json").read_text())["settings"]
    assert used["model_choice"] == "asked for"


def test_the_models_are_listed_and_a_card_is_shown(command, model, tmp_path, monkeypatch):
    monkeypatch.setattr(choice, "BUNDLED", tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    for name, changes in (("tiny", {}), ("slices", {"spacing": [1.5, 1.5, 0], "sequence": "FLAIR"})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "card.json").write_text(json.dumps(tiny_card(**changes)))
    code, output, errors = command("models")
    assert (code, errors) == (0, "")
    lines = [re.split(" {2,}", line.strip()) for line in output.splitlines()]
    assert lines[1:] == [
        ["slices", "FLAIR", "itermask3d", "slices, 1.5×1.5 mm", "made", "CC0-1.0"],
        ["tiny", "T1w", "itermask3d", "volumes, 6×6×6 mm", "made", "CC0-1.0"],
    ]
    code, output, _ = command("models", model)
    card = json.loads(output)
    assert code == 0
    assert card["networks"] == tiny_card()["networks"]
    assert "calibration" not in card
    assert command("models", "nothing")[0] == 2


def test_train_names_what_it_leaves_out_on_standard_error(command, tmp_path):
    data = write_stacks(tmp_path / "data", 3, 4, {0: range(10)})
    settings = tmp_path / "tiny.toml"
    settings.write_text(
        'method = "intensity"\nspacing = [3.0, 3.0, 0.0]\nbox = [24, 32, 1]\ndivisor = 4\nslice_area = 5.0\n'
    )
    arguments = ["--sequence", "flair", "--config", settings, "--device", "cpu"]
    code, output, errors = command("train", data, "--out", tmp_path / "model", *arguments)
    assert (code, output) == (0, f"model written to {tmp_path / 'model'}\n")
    told = [line for line in errors.splitlines() if line.startswith("itermask: ")]
    assert told == ["itermask: 1 of 7 scans are left out: they have no healthy slice"]
    assert "model: preparing scans: done in 0 min" in errors.splitlines()
    code, _, errors = command("train", data, "--out", tmp_path / "other", *arguments, "--target", "T1w")
    assert code == 2
    assert "intensity learns from one sequence" in errors


def test_version_and_help(command):
    assert command("--version") == (0, f"itermask {itermask.__version__}\n", "")
    code, output, errors = command("--help")
    assert (code, errors) == (0, "")
    for word in ("run", "demo", "train", "models", "research"):
        assert word in output
    for option in ("--sequence", "--brain-mask", "--model", "--sensitivity", "--seed"):
        assert option in command("run", "--help")[1]


# --- what is refused -----------------------------------------------------------------------------------------

BAD_SCANS = {
    "missing": "no such file",
    "folder": "not a NIfTI file",
    "text": "not a NIfTI file",
    "noise": "not a readable NIfTI|truncated or damaged",
    "cut": "truncated or damaged",
    "4d": "4D image",
    "nan": "1 voxels are NaN",
    "zeros": "every voxel is 0",
    "flair": "takes T1w",
    "nameless": "--sequence",
}
BAD_OPTIONS = {
    "gamma and sensitivity": (["--gamma", "1", "--sensitivity", "1"], "gamma or sensitivity"),
    "negative gamma": (["--gamma", "-1"], "gamma must be a positive number"),
    "gamma that is no number": (["--gamma", "nan"], "gamma must be"),
    "no sensitivity": (["--sensitivity", "0"], "sensitivity must be"),
    "negative seed": (["--seed", "-1"], "seed must not be negative"),
    "other sequence": (["--sequence", "T2w"], "takes T1w"),
    "unknown device": (["--device", "abacus"], "--device abacus"),
    "absent device": (["--device", "cuda:99"], "--device cuda:99"),
}


def refused(result, out):
    """The one line of a refusal; nothing else was printed and nothing written."""
    code, output, errors = result
    assert code == 2
    assert output == ""
    assert len(errors.splitlines()) == 1, errors
    assert errors.startswith("itermask: ")
    assert not out.exists()
    return errors


@pytest.mark.parametrize("name", BAD_SCANS)
def test_a_bad_scan(command, files, model, tmp_path, name):
    line = refused(command("run", files[name], tmp_path / "out", "--model", model), tmp_path / "out")
    assert files[name].name in line
    assert re.search(BAD_SCANS[name], line), line


@pytest.mark.parametrize("name", ["mask_away", "mask_small", "mask_empty", "noise", "missing"])
def test_a_bad_mask(command, files, model, tmp_path, name):
    arguments = ["--model", model, "--brain-mask", files[name]]
    line = refused(command("run", files["good"], tmp_path / "out", *arguments), tmp_path / "out")
    assert line.startswith(f"itermask: {files[name]}: ")


@pytest.mark.parametrize("name", BAD_OPTIONS)
def test_a_bad_option(command, files, model, tmp_path, name):
    arguments, says = BAD_OPTIONS[name]
    line = refused(command("run", files["good"], tmp_path / "out", "--model", model, *arguments), tmp_path / "out")
    assert says in line


def no_card(folder):
    (folder / "card.json").unlink()


def broken_card(folder):
    (folder / "card.json").write_text('{"format_version": 1,')


def card_of_a_later_format(folder):
    (folder / "card.json").write_text(json.dumps(tiny_card(format_version=99)))


def incomplete_card(folder):
    card = tiny_card()
    del card["box"]
    (folder / "card.json").write_text(json.dumps(card))


def unknown_method(folder):
    (folder / "card.json").write_text(json.dumps(tiny_card(method="magic")))


def unknown_setting(folder):
    (folder / "card.json").write_text(json.dumps(tiny_card(method_settings={"magic": 1})))


def other_network(folder):
    network = {"name": "block-unet", "arguments": {"dims": 3, "in_channels": 3, "widths": [4, 16], "group_size": 4}}
    (folder / "card.json").write_text(json.dumps(tiny_card(networks={"reconstruction": network})))


def misshapen_network(folder):
    (folder / "card.json").write_text(json.dumps(tiny_card(networks={"reconstruction": "block-unet"})))


def no_weights(folder):
    (folder / "model.safetensors").unlink()


def cut_weights(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:500])


@pytest.mark.parametrize(
    "corrupted",
    [
        no_card,
        broken_card,
        card_of_a_later_format,
        incomplete_card,
        unknown_method,
        unknown_setting,
        other_network,
        misshapen_network,
        no_weights,
        cut_weights,
    ],
)
def test_a_bad_model_folder(command, files, model, tmp_path, corrupted):
    folder = tmp_path / "model"
    folder.mkdir()
    for path in model.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    corrupted(folder)
    line = refused(command("run", files["good"], tmp_path / "out", "--model", folder), tmp_path / "out")
    assert line.startswith(f"itermask: {folder}/")


def test_a_model_that_is_not_there(command, files, tmp_path):
    line = refused(command("run", files["good"], tmp_path / "out", "--model", "nobodys"), tmp_path / "out")
    assert line.startswith("itermask: nobodys: no such model")


def test_an_output_folder_that_is_a_file_is_refused_before_any_work(command, files, tmp_path):
    out = tmp_path / "results"
    out.write_text("mine")
    code, output, errors = command("run", files["missing"], out)
    assert (code, output) == (2, "")
    assert errors == f"itermask: {out}: is a file, so it cannot be used as output folder; choose another\n"
    assert out.read_text() == "mine"


def test_a_refusal_leaves_an_earlier_finding_alone(command, files, model, tmp_path):
    out = tmp_path / "out"
    assert command("run", files["good"], out, "--model", model)[0] == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert command("run", files["nan"], out, "--model", model)[0] == 2
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


@pytest.mark.parametrize(
    "arguments", [["run"], ["run", "a.nii", "out", "--seed", "x"], ["walk"], ["run", "a", "b", "--no"]]
)
def test_what_is_no_command_ends_with_2_and_names_the_help(command, arguments):
    code, output, errors = command(*arguments)
    assert (code, output) == (2, "")
    assert "--help" in errors


# --- how quickly it starts -----------------------------------------------------------------------------------

START = """
import json, sys, time
started = time.process_time()
import itermask
imported, modules = time.process_time() - started, set(sys.modules)
from itermask.cli.main import main
sys.argv = ["itermask", "--help"]
try:
    main()
except SystemExit as exit_:
    code = exit_.code
seconds = {"import": imported, "help": time.process_time() - started}
heavy = ("torch", "scipy", "matplotlib", "nibabel", "safetensors", "jinja2")
print(json.dumps({
    "code": code or 0,
    "seconds": seconds,
    "import": [name for name in (*heavy, "numpy", "rich", "typer") if name in modules],
    "help": [name for name in heavy if name in sys.modules],
}))
"""


def test_import_and_help_load_nothing_heavy_and_are_quick():
    done = subprocess.run([sys.executable, "-c", START], capture_output=True, text=True, check=True, timeout=60)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["code"] == 0
    assert found["import"] == []
    assert found["help"] == []
    assert found["seconds"]["import"] < 0.5  # of processor time; 0.01 is usual
    assert found["seconds"]["help"] < 2.0  # 0.2 is usual


def test_as_a_program_a_refusal_is_one_line_and_code_2(tmp_path):
    arguments = [sys.executable, "-m", "itermask", "run", str(tmp_path / "no_T1w.nii"), str(tmp_path / "out")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == f"itermask: {tmp_path}/no_T1w.nii: no such file\n"
    assert not (tmp_path / "out").exists()
