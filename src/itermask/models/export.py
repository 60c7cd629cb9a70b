"""A model for other runtimes: the network as ONNX and OpenVINO, and the loop around it in one file.

    python -m itermask.models.export t1w-2mm OUT

writes `network.onnx` (extra `export`), `network.xml` and `network.bin` (extra `openvino`), `card.json`
and `loop.py`, which needs NumPy, SciPy and one runtime, and not this package. The network is in float32 and takes the
card's box; `itermask.prepare.prepare` says how a scan comes to that grid. Healthy ranges stay with this package.
"""

import ast
import importlib.util
import inspect
import json
import os
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from itermask.core import error_maps, guidance, refinement, stop_rules, threshold_curve
from itermask.errors import InputError, MissingExtraError
from itermask.methods import build_method
from itermask.models import export_loop
from itermask.models.card import CARD
from itermask.models.folder import find_model, load_networks, read_card

if TYPE_CHECKING:
    from torch import Tensor, nn

ONNX, OPENVINO, LOOP = "network.onnx", "network.xml", "loop.py"
PLAIN = {"crop": False, "start": "brain", "smoothing": 0.0, "smallest": 0.0, "iterate": True, "stop": "own"}


def export_model(name: str | Path, out: Path, formats: tuple[str, ...] | None = None) -> list[Path]:
    """Write a model for other runtimes.

    Args:
        name: a model folder, or a bundled model's name; of the method `itermask3d`.
        out: folder; made if needed.
        formats: some of `onnx` and `openvino`; those whose package is installed if None.

    Returns:
        what was written.

    Raises:
        InputError: a model of another method, or with settings that the loop does not know; nothing is written.
        MissingExtraError: neither package is installed, or one that is asked for is not.

    Example:
        >>> from itermask.models.folder import save_model
        >>> weights = model.runtime.networks["reconstruction"].state_dict()
        >>> state = {f"reconstruction.{key}": value for key, value in weights.items()}
        >>> save_model(folder / "small", state, model.card)
        >>> [path.name for path in export_model(folder / "small", folder / "out", ("openvino",))]
        ['network.xml', 'network.bin', 'card.json', 'loop.py']
    """
    folder = find_model(name, None)
    card = read_card(folder)
    settings = build_method(card["method"], card["method_settings"]).settings()
    other = [key for key, value in PLAIN.items() if settings.get(key) != value]
    if card["method"] != "itermask3d" or other:
        why = f"its {other[0]} is {settings[other[0]]!r}" if card["method"] == "itermask3d" else "of another method"
        raise InputError(f"{folder}: cannot be exported ({why}); the loop is that of itermask3d with plain settings")
    chosen = formats or tuple(one for one in ("onnx", "openvino") if importlib.util.find_spec(one))
    unknown = set(chosen) - {"onnx", "openvino"}
    if unknown:
        raise InputError(f"{', '.join(sorted(unknown))}: no format; there are onnx and openvino")
    if not chosen:
        raise MissingExtraError(
            "neither onnx nor openvino is installed; pip install 'itermask[export]' or 'itermask[openvino]'"
        )
    for one in chosen:
        if importlib.util.find_spec(one) is None:
            extra = {"onnx": "export", "openvino": "openvino"}[one]
            raise MissingExtraError(f"{one} is not installed; pip install 'itermask[{extra}]'")
    network = load_networks(folder, card)["reconstruction"].eval()
    shape = (1, 3 if settings["mask_channel"] else 2, *card["box"])
    point = (card.get("calibration") or {}).get("operating_point") or {"gamma": 0.01}
    kept = ("method", "version", "sequence", "spacing", "box", "intensity_scale", "license")
    about = {key: card.get(key) for key in kept}
    about |= {"model": folder.name, "method_settings": settings, "operating_point": point}
    out.mkdir(parents=True, exist_ok=True)
    written = []
    if "onnx" in chosen:
        written.append(_write_onnx(network, shape, out / ONNX))
    if "openvino" in chosen:
        written += _write_openvino(network, shape, out / OPENVINO)
    for file, text in ((CARD, json.dumps(about, indent=1) + "\n"), (LOOP, loop_text())):
        partial = out / f".{file}.part"
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, out / file)
        written.append(out / file)
    return written


def _write_onnx(network: "nn.Module", shape: tuple[int, ...], path: Path) -> Path:
    """Write a network for inputs of one shape as ONNX."""
    import torch

    partial = path.with_name(f".part-{path.name}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sizes become constants, which is meant
        names: dict[str, Any] = {"input_names": ["shown"], "output_names": ["reconstruction"]}
        torch.onnx.export(network, (torch.zeros(shape),), str(partial), dynamo=False, opset_version=17, **names)
    os.replace(partial, path)
    return path


def _write_openvino(network: "nn.Module", shape: tuple[int, ...], path: Path) -> list[Path]:
    """Write a network for inputs of one shape as OpenVINO has it: an `.xml` and a `.bin` file."""
    import torch

    from itermask.runtime.openvino_runtime import import_openvino

    openvino = import_openvino()
    example: Tensor = torch.zeros(shape)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(network, example, check_trace=False)
    model = openvino.convert_model(traced, input=[list(shape)])
    openvino.save_model(model, path, compress_to_fp16=False)
    return [path, path.with_suffix(".bin")]


def loop_text() -> str:
    """Return `loop.py`: the guidance, the refinement and the loop, the sources of this package in one file.

    Example:
        >>> "def refine" in loop_text(), "import itermask" in loop_text()
        (True, False)
    """
    head = [
        '"""IterMask3D around an exported network, in one file: python loop.py network.onnx box.npz found.npz',
        "",
        "box.npz holds `image` (float32, the model's box, scaled intensities), `brain` and `spacing` (mm). Written by",
        "itermask, Apache-2.0; the weights have the licence in card.json. For research use only; not a medical device",
        'and not a diagnosis."""',
    ]
    imports: dict[str, None] = {}
    bodies = []
    for module in (guidance, error_maps, threshold_curve, stop_rules, refinement, export_loop):
        body, needed = _parts(module)
        imports |= dict.fromkeys(needed)
        bodies.append(body)
    return "\n".join([*head, "", *sorted(imports), "", "", "\n\n".join(bodies), ""])


def _parts(module: ModuleType) -> tuple[str, list[str]]:
    """Return a module's source without docstring and imports, and those of its imports that are not of this package."""
    source = inspect.getsource(module)
    lines = source.splitlines()
    needed, dropped = [], set()
    for node in ast.parse(source).body:
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        own = isinstance(node, ast.ImportFrom) and str(node.module).startswith("itermask")
        if not (docstring or isinstance(node, (ast.Import, ast.ImportFrom))):
            continue
        if not docstring and not own:
            needed.append(ast.unparse(node))
        dropped |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    kept = [line for number, line in enumerate(lines, 1) if number not in dropped]
    return "\n".join(kept).strip("\n") + "\n", needed


def main(arguments: list[str]) -> int:
    """Export a model: name or folder, and the folder to write to; exit code 2 and a line where that cannot be.

    Example:
        >>> main([])
        2
    """
    if len(arguments) != 2:
        print("python -m itermask.models.export MODEL OUT", file=sys.stderr)
        return 2
    try:
        for path in export_model(arguments[0], Path(arguments[1])):
            print(path)
    except InputError as error:
        print(f"itermask: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
