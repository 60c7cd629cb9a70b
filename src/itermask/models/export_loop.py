"""IterMask3D's loop around a network that any runtime executes; `itermask.models.export` writes it as one file.

`find_anomalies` takes a brain on the model's grid and returns what PyTorch's path returns for it, up to the rounding
of the runtime. NumPy and SciPy are all that it needs.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from itermask.core.error_maps import error_map
from itermask.core.guidance import high_frequency
from itermask.core.refinement import refine
from itermask.core.stop_rules import stop_threshold
from itermask.core.threshold_curve import focused_percents, resample_curve, threshold_curve

BULK = 80.0  # percent of the brain that is taken to be normal in any scan

Network = Callable[[np.ndarray], np.ndarray]  # float32 (1, channels, X, Y, Z) → (1, 1, X, Y, Z)


def find_anomalies(
    image: np.ndarray,
    brain: np.ndarray,
    spacing: tuple[float, float, float],
    network: Network,
    settings: Mapping[str, Any],
    point: Mapping[str, float],
    seed: int = 0,
) -> dict[str, Any]:
    """Find anomalies in one brain.

    1. The guidance: the image's high frequencies, which the network always sees.
    2. The threshold curve: starting with the whole brain hidden, a smaller share is hidden in every pass; what is
       hidden is noise for the network. The error that each share of the brain exceeds makes the curve.
    3. The stop threshold: where the curve's slope exceeds `gamma`; at most `threshold_limit` times its level at 80 %.
    4. Refinement: hide what exceeds the threshold, reconstruct, and again, until the mask settles.

    Args:
        image: float32 box on the model's grid (RAS), scaled intensities, background outside the brain.
        brain: boolean, of that shape.
        spacing: voxel size in mm.
        network: executes the network.
        settings: `method_settings` of the model's card.
        point: its operating point: `gamma`, and perhaps `threshold_limit`.
        seed: of the noise.

    Returns:
        `mask` (boolean), `error` and `reconstruction` (float32) on the grid; `threshold`, `mask_size` (share of the
        brain), `mean_error` (over the brain), and `passes`.

    Raises:
        ValueError: an empty brain, NaN, or a constant image.

    Example:
        >>> image = np.random.default_rng(0).random((8, 8, 8), dtype=np.float32)
        >>> settings = {"cutoff": 0.08, "guidance": True, "mask_channel": False, "focused": False, "steps": 5}
        >>> settings |= {"fit_limit": 10.0, "window": 1.25, "tangent_alone": False, "min_shrink": 0.2}
        >>> seen = image > 0.2
        >>> reconstruct, spacing = (lambda given: given[:, :1]), (2.0, 2.0, 2.0)
        >>> found = find_anomalies(image * seen, seen, spacing, reconstruct, settings, {"gamma": 0.5})
        >>> found["error"].shape
        (8, 8, 8)
    """
    rng = np.random.default_rng(seed)
    fine = high_frequency(image, spacing, settings["cutoff"])
    fine = fine if settings["guidance"] else np.zeros_like(fine)

    def reconstruct(shown: np.ndarray, hidden: np.ndarray) -> np.ndarray:
        noise = rng.standard_normal(shown.shape, dtype=np.float32)
        channels = [np.where(hidden, noise, shown), fine]
        channels += [hidden.astype(np.float32)] if settings["mask_channel"] else []
        return np.asarray(network(np.stack(channels).astype(np.float32)[None]), np.float32)[0, 0]

    count = settings["steps"]
    percents = focused_percents() if settings["focused"] else 100 * np.arange(1, count + 1) / count
    curve = threshold_curve(image, brain, reconstruct, percents=percents)
    curve = resample_curve(percents, curve, count) if settings["focused"] else curve
    reconstruct(image, np.zeros_like(brain))  # the model's profile takes this pass; it moves the noise on
    stop = stop_threshold(
        curve,
        point["gamma"],
        settings["fit_limit"],
        window=settings["window"],
        tangent_alone=settings["tangent_alone"],
    )
    bulk = float(np.interp(BULK, 100 * np.arange(1, count + 1) / count, curve))
    threshold = min(stop.value, point.get("threshold_limit", np.inf) * bulk)
    found = refine(image, brain, reconstruct, threshold, min_shrink=settings["min_shrink"], measure=error_map)
    return {
        "mask": found.mask,
        "error": found.error,
        "reconstruction": found.reconstruction,
        "threshold": float(threshold),
        "mask_size": float(found.mask.sum() / brain.sum()),
        "mean_error": float(found.error[brain].mean()),
        "passes": found.passes,
    }


def load_network(path: str) -> Network:
    """Return a network from `network.onnx` or `network.xml`, by OpenVINO or, for ONNX, by ONNX Runtime.

    Args:
        path: of the file; `network.bin` lies beside an `.xml` file.

    Example:
        >>> from itermask.models.export import export_model
        >>> from itermask.models.folder import save_model
        >>> weights = model.runtime.networks["reconstruction"].state_dict()
        >>> state = {f"reconstruction.{key}": value for key, value in weights.items()}
        >>> save_model(folder / "small", state, model.card)
        >>> written = export_model(folder / "small", folder, ("openvino",))
        >>> network = load_network(str(folder / "network.xml"))
        >>> network(np.zeros((1, 3, 16, 16, 16), np.float32)).shape
        (1, 1, 16, 16, 16)
    """
    try:
        import openvino
    except ImportError:
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return lambda given: session.run(None, {name: given})[0]
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda given: compiled([given])[0]


def main(arguments: list[str]) -> int:
    """Find anomalies in the brain of an `.npz` file with `image`, `brain` and `spacing`, and write what is found.

    Example:
        >>> main([])
        python loop.py NETWORK (network.onnx or network.xml) BOX.npz FOUND.npz
        2
    """
    import json
    from pathlib import Path

    if len(arguments) != 3:
        print("python loop.py NETWORK (network.onnx or network.xml) BOX.npz FOUND.npz")
        return 2
    card = json.loads((Path(arguments[0]).parent / "card.json").read_text())
    with np.load(arguments[1], allow_pickle=False) as box:
        image, brain, spacing = box["image"], box["brain"] > 0, tuple(box["spacing"].tolist())
    network = load_network(arguments[0])
    found = find_anomalies(image, brain, spacing, network, card["method_settings"], card["operating_point"])
    np.savez_compressed(arguments[2], **found)
    print(", ".join(f"{name} {found[name]:.6g}" for name in ("threshold", "mask_size", "mean_error", "passes")))
    return 0


if __name__ == "__main__":
    import sys

    sys.exit(main(sys.argv[1:]))
