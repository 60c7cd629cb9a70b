"""OpenVINO on a CPU: `pip install 'itermask[openvino]'`."""

import sys
import warnings
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from itermask.errors import MissingExtraError
from itermask.runtime.device import NO_OPENVINO, fast_dtype
from itermask.runtime.parts import in_parts, part_size

if TYPE_CHECKING:
    from types import ModuleType

FORMATS = {torch.bfloat16: "bf16", torch.float32: "f32"}
KEPT = 8  # compiled networks; the slices of a scan may have another size than those before

Key = tuple[str, tuple[tuple[str, tuple[int, ...], str], ...]]


class OpenVINORuntime:
    """Networks in evaluation mode on the CPU.

    A network is traced and compiled when it first meets inputs of a shape, which takes about as long as a few passes,
    and kept for more of them. The same input gives the same bits.

    Networks that take more than images, such as the time of a diffusion step, compute in float32 whatever the number
    format: OpenVINO would round the time itself, and 997 and 1000 are the same number in bfloat16.

    Args:
        networks: role → network; they stay in float32 on the CPU.
        dtype: `torch.bfloat16` or `torch.float32`; bfloat16 where the CPU computes it natively if None.
        threads: that compute; as many as PyTorch uses in this process if None.

    Raises:
        MissingExtraError: OpenVINO is not installed.
        ValueError: another number format, or less than one thread.
    """

    def __init__(
        self, networks: dict[str, nn.Module], dtype: torch.dtype | None = None, threads: int | None = None
    ) -> None:
        self.openvino, self.core = import_openvino(), shared_core()
        self.dtype = dtype or fast_dtype(torch.device("cpu"))
        if self.dtype not in FORMATS:
            raise ValueError(f"the number format must be bfloat16 or float32, not {self.dtype}")
        self.threads = torch.get_num_threads() if threads is None else threads
        if self.threads < 1:
            raise ValueError(f"at least one thread is needed, not {self.threads}")
        self.networks = {role: network.eval().float().cpu() for role, network in networks.items()}
        self.compiled: dict[Key, Any] = {}
        version, number_format = self.openvino.__version__.split("-")[0], str(self.dtype).removeprefix("torch.")
        self.description = f"openvino {version} on cpu, {number_format}"

    def __call__(self, role: str, inputs: np.ndarray) -> np.ndarray:
        """Run the network `role` on (channels, X, Y[, Z]) float32; returns (outputs, X, Y[, Z]) float32."""
        return self.batch(role, inputs[None])[0]

    def batch(self, role: str, inputs: np.ndarray, **extra: np.ndarray) -> np.ndarray:
        """Run the network `role` on (batch, channels, X, Y[, Z]) float32; returns (batch, outputs, …) float32.

        What is in `extra` goes to the network under its name, one entry for each input. The batch is computed in
        parts, see `itermask.runtime.parts`.
        """

        def compute(part: np.ndarray, beside: Mapping[str, np.ndarray]) -> np.ndarray:
            given = {name: np.ascontiguousarray(one) for name, one in ({"": part} | dict(beside)).items()}
            outputs = self._request(role, given).infer(list(given.values()))
            return np.asarray(outputs[0], np.float32)

        return in_parts(compute, inputs, extra, part_size(inputs.ndim - 2, "cpu"))

    def _request(self, role: str, given: dict[str, np.ndarray]) -> Any:
        """Return the network `role`, compiled for inputs of these shapes and number formats."""
        key = (role, tuple((name, one.shape, one.dtype.str) for name, one in given.items()))
        found = self.compiled.pop(key, None)
        if found is None:
            if len(self.compiled) >= KEPT:
                del self.compiled[next(iter(self.compiled))]  # the one that was not used for longest
            found = self._compile(self.networks[role], given)
        self.compiled[key] = found
        return found

    def _compile(self, network: nn.Module, given: dict[str, np.ndarray]) -> Any:
        """Return a network for inputs as `given`: by "" what comes first, then what else it takes by name."""
        examples = tuple(torch.from_numpy(one) for one in given.values())
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # sizes become constants, which is meant: every shape has its own
            traced = torch.jit.trace(_InOrder(network, list(given)[1:]), examples, check_trace=False)
        shapes = [(list(one.shape), one.dtype.type) for one in given.values()]
        model = self.openvino.convert_model(traced, input=shapes)
        dtype = self.dtype if len(given) == 1 else torch.float32
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": self.threads,
            "ENABLE_CPU_PINNING": False,  # several processes would all take the first cores
            "INFERENCE_PRECISION_HINT": FORMATS[dtype],
        }
        return self.core.compile_model(model, "CPU", settings).create_infer_request()


class _InOrder(nn.Module):
    """A network whose inputs by name come one after the other."""

    def __init__(self, network: nn.Module, names: list[str]) -> None:
        super().__init__()
        self.network, self.names = network, names

    def forward(self, inputs: Tensor, *extra: Tensor) -> Tensor:
        """Return the network's output."""
        return self.network(inputs, **dict(zip(self.names, extra, strict=True)))


@cache
def shared_core() -> Any:
    """Return OpenVINO's core, one for the process and kept to its end.

    Its CPU plugin gives signal handlers of the thread that loads it a stack of their own, and takes that memory away
    when it goes. If the garbage collector lets it go in another thread, the first thread is left without, and the next
    signal with a handler, such as that of a child that has ended, kills the process.
    """
    return import_openvino().Core()


def import_openvino() -> "ModuleType":
    """Return OpenVINO, but for its part that tells its makers over the network that it is used.

    Raises:
        MissingExtraError: it is not installed.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # so that importing it fails
    try:
        import openvino
    except ImportError as error:
        raise MissingExtraError(NO_OPENVINO) from error
    return openvino  # type: ignore[no-any-return]
