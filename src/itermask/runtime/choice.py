"""Which runtime executes a model's networks."""

from typing import TYPE_CHECKING

from itermask.errors import InputError

if TYPE_CHECKING:
    from torch import nn

    from itermask.runtime.base import Runtime


def open_runtime(networks: "dict[str, nn.Module]", device: str = "auto", threads: int | None = None) -> "Runtime":
    """Return a runtime for some networks.

    `auto` takes CUDA, then Apple's MPS, then PyTorch on the CPU, also where OpenVINO is installed: whichever number
    format the CPU has, one pass takes about the same in both, and OpenVINO first needs a second to compile the network;
    `docs/runtimes.md` has the figures. So what else is installed never changes a result.

    Args:
        networks: role → network; the runtime takes them over.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`, or `openvino`, which computes on the CPU.
        threads: on the CPU, for all of this process; as many as PyTorch uses already if None.

    Raises:
        InputError: an unknown device, one that this machine does not have, or less than one thread.
        MissingExtraError: OpenVINO is asked for and not installed.

    Example:
        >>> runtime = open_runtime({}, device="cpu")
        >>> type(runtime).__name__
        'TorchRuntime'
    """
    import torch

    if threads is not None:
        if threads < 1:
            raise InputError(f"--threads {threads}: at least 1 is needed")
        torch.set_num_threads(threads)
    if device == "openvino":
        from itermask.runtime.openvino_runtime import OpenVINORuntime

        return OpenVINORuntime(networks)
    from itermask.runtime.torch_runtime import TorchRuntime

    return TorchRuntime(networks, device)
