"""What can compute here: PyTorch, what it knows of the processor, and each runtime tried with a small network."""

from dataclasses import dataclass
from importlib.util import find_spec

from itermask.errors import InputError

FEATURES = ("avx2", "avx512_f", "avx512_bf16", "amx_bf16", "sve", "bf16", "neon", "asimd")
CLOSE = 0.02  # of the largest value; bfloat16 keeps eight bits


@dataclass(frozen=True)
class Torch:
    """PyTorch.

    Attributes:
        version: None where it cannot be imported.
        threads: that it takes on the CPU by itself.
        features: of the processor that matter to it, such as `avx512_bf16`.
        number_format: of convolutions on the CPU, `bfloat16` or `float32`.
        cuda: version of CUDA that it was built for; None for none.
        problem: why it cannot be used; None if it can.
    """

    version: str | None = None
    threads: int = 0
    features: tuple[str, ...] = ()
    number_format: str = ""
    cuda: str | None = None
    problem: str | None = None


@dataclass(frozen=True)
class RuntimeState:
    """One runtime.

    Attributes:
        name: as `--device` takes it.
        works: whether a small network gave the right result.
        description: what it computes with, or why it does not.
        install: the command that adds it; "" where none would.
    """

    name: str
    works: bool
    description: str
    install: str = ""


def find_torch() -> Torch:
    """Return PyTorch and the processor.

    Example:
        >>> find_torch().problem is None
        True
    """
    try:
        import torch

        from itermask.runtime.device import fast_dtype
    except (ImportError, OSError) as error:  # a library that it needs is missing
        return Torch(problem=" ".join(str(error).split()))
    native = torch.cpu.get_capabilities()
    return Torch(
        version=torch.__version__,
        threads=torch.get_num_threads(),
        features=tuple(name for name in FEATURES if native.get(name)),
        number_format=str(fast_dtype(torch.device("cpu"))).removeprefix("torch."),
        cuda=torch.version.cuda,
    )


def try_runtimes() -> list[RuntimeState]:
    """Return CPU, CUDA, MPS and OpenVINO; needs PyTorch."""
    import torch

    found = [_tried("cpu")]
    if torch.cuda.is_available():
        state = _tried("cuda")
        cards = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
        names = ", ".join(f"{card.name}, {card.total_memory / 2**30:.0f} GiB" for card in cards)
        found.append(RuntimeState("cuda", state.works, f"{state.description}; {names}"))
    else:
        why = "no graphics card that it can use" if torch.version.cuda else "this PyTorch was built without it"
        found.append(RuntimeState("cuda", False, why))
    if torch.backends.mps.is_available():
        found.append(_tried("mps"))
    else:
        found.append(RuntimeState("mps", False, "only on Apple chips"))
    if find_spec("openvino") is None:
        found.append(RuntimeState("openvino", False, "not installed", "pip install 'itermask[openvino]'"))
    else:
        found.append(_tried("openvino"))
    return found


def _tried(device: str) -> RuntimeState:
    """Return a runtime, after a convolution whose result is known: a sum over 27 voxels, all 1."""
    import numpy as np
    from torch import nn

    from itermask.runtime.choice import open_runtime

    network = nn.Conv3d(1, 1, 3, bias=False)
    nn.init.ones_(network.weight)
    try:
        runtime = open_runtime({"check": network}, device)
        result = runtime("check", np.ones((1, 5, 5, 5), np.float32))
    except (InputError, ImportError, OSError, RuntimeError) as error:
        return RuntimeState(device, False, " ".join(str(error).split())[:200])
    if result.shape != (1, 3, 3, 3) or not np.allclose(result, 27, rtol=CLOSE):
        return RuntimeState(device, False, f"computes wrongly ({runtime.description})")
    return RuntimeState(device, True, runtime.description)
