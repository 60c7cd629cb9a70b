"""Configurations (TOML) and tables (TSV): no scan comes of them, so only how they are refused is counted."""

from pathlib import Path

import numpy as np

from damage_parts.common import Kind, Seen, damage_text, once

TOML = {
    "training.toml": """steps = 12
box = [32, 48, 32]
batch = 2
[method_settings]
steps = 20
[augmentation]
flip = 0.5
[networks.reconstruction]
name = "reference-unet-3d"
arguments = { in_channels = 3 }
""",
    "plan.toml": """[[methods]]
name = "one"
model = "t1w-2mm"
[[data]]
name = "own"
root = "scans"
sequence = "T1w"
[[protocols]]
kind = "detection"
data = ["own"]
artifacts = ["noise", "spike"]
severity = 5
""",
}
ROWS = 4


def _make_toml(folder: Path) -> None:
    from itermask.apps.node.config import example

    (folder / "scans").mkdir()
    for name, text in (TOML | {"node.toml": example()}).items():
        (folder / name).write_text(text, encoding="utf-8")


def _read_toml(folder: Path) -> Seen:
    from itermask.apps.node.config import read_config as read_node
    from itermask.errors import InputError
    from itermask.evaluation.benchmark.plan import read_plan
    from itermask.training.config import read_config as read_training

    refused: list[InputError] = []
    for read, name in ((read_training, "training.toml"), (read_plan, "plan.toml"), (read_node, "node.toml")):
        try:
            read(folder / name)
        except InputError as error:
            refused.append(error)
    if refused:
        raise refused[0]
    return Seen(checked=False)


def _make_tables(folder: Path) -> None:
    for number in range(ROWS):
        (folder / f"{number}_T1w.nii.gz").touch()
        (folder / f"{number}_mask.nii.gz").touch()
    rows = [f"{n}_T1w.nii.gz\ttrain\t{n}_mask.nii.gz\tp{n}\t{20 + n}\tF" for n in range(ROWS)]
    head = "path\tsplit\tbrain_mask\tparticipant_id\tage\tsex"
    (folder / "table.tsv").write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")


def _read_tables(folder: Path) -> Seen:
    from itermask.apps.cohort.lists import list_jobs
    from itermask.errors import InputError
    from itermask.training.table import read_table

    refused: list[InputError] = []
    for read in (
        lambda: read_table(folder / "table.tsv", "T1w"),
        lambda: list_jobs([folder / "table.tsv"], ["T1w"], folder.parent / "out"),
    ):
        try:
            read()
        except InputError as error:
            refused.append(error)
    if refused:
        raise refused[0]
    return Seen(checked=False)


def _damage(folder: Path, rng: np.random.Generator) -> str:
    files = sorted(path for path in folder.iterdir() if path.suffix in (".toml", ".tsv"))
    path = files[int(rng.integers(len(files)))]
    content, how = damage_text(path.read_bytes(), rng)
    path.write_bytes(content)
    return f"{path.name}: {how}"


def kinds() -> list[Kind]:
    """Return the kinds of damaged texts."""
    return [
        Kind("TOML", once(_make_toml), _damage, _read_toml),
        Kind("TSV", once(_make_tables), _damage, _read_tables),
    ]
