"""Which device and which number format to compute with."""

from importlib.util import find_spec

import torch

from itermask.errors import InputError, MissingExtraError

NO_OPENVINO = "--device openvino needs OpenVINO; install it with pip install 'itermask[openvino]', or use --device cpu"


def pick_device(name: str = "auto") -> torch.device:
    """Return where PyTorch computes: `auto` takes CUDA, then Apple's MPS, then the CPU.

    With `openvino` that is the CPU too; what PyTorch then computes is the training and whatever else OpenVINO cannot.

    Raises:
        InputError: an unknown device, or one that this machine does not have.
        MissingExtraError: OpenVINO is not installed.

    Example:
        >>> pick_device("cpu")
        device(type='cpu')
    """
    if name == "openvino":
        if find_spec("openvino") is None:
            raise MissingExtraError(NO_OPENVINO)
        return torch.device("cpu")
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"--device {name}: unknown device; use auto, cpu, cuda, mps or openvino") from error
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(device.type, False):
        raise InputError(f"--device {name}: this machine or this PyTorch has none; use --device cpu")
    return device


def fast_dtype(device: torch.device) -> torch.dtype:
    """Return bfloat16 where the device computes it natively, float32 elsewhere.

    Example:
        >>> import torch
        >>> fast_dtype(torch.device("cpu")) in (torch.float32, torch.bfloat16)
        True
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    if device.type == "cpu":
        native = torch.cpu.get_capabilities()
        fast = any(native.get(name, False) for name in ("avx512_bf16", "amx_bf16"))
        return torch.bfloat16 if fast else torch.float32
    return torch.float32


def training_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Return the number format to train in.

    Args:
        precision: `bf16`, `fp16`, `fp32`, or `auto`: the device's fast format, and float16 on a CUDA device that has no
            fast bfloat16; with float16 the gradients must be scaled.
        device: where the networks are.

    Raises:
        InputError: `fp16` elsewhere than on CUDA, where nothing is gained by it.

    Example:
        >>> import torch
        >>> training_dtype("float32", torch.device("cpu"))
        torch.bfloat16
    """
    if precision == "fp16" and device.type != "cuda":
        raise InputError(f"training settings: precision fp16 is for CUDA devices, not {device.type}; take auto")
    named = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
    if precision in named:
        return named[precision]
    fast = fast_dtype(device)
    return torch.float16 if device.type == "cuda" and fast == torch.float32 else fast
