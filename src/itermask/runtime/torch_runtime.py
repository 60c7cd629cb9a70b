"""PyTorch on CPU, CUDA or MPS."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from itermask.runtime.device import fast_dtype, pick_device
from itermask.runtime.parts import in_parts, part_size


class TorchRuntime:
    """Networks in evaluation mode on one device, channels last, in the device's fast number format.

    Args:
        networks: role → network; they are moved to the device.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        dtype: number format of convolutions; the device's fast one if None.
    """

    def __init__(self, networks: dict[str, nn.Module], device: str = "auto", dtype: torch.dtype | None = None) -> None:
        self.device = pick_device(device)
        self.dtype = dtype or fast_dtype(self.device)
        self.networks = {role: network.eval().to(self.device) for role, network in networks.items()}
        for network in self.networks.values():
            for parameter in network.parameters():
                if parameter.ndim in (4, 5):
                    layout = torch.channels_last if parameter.ndim == 4 else torch.channels_last_3d
                    parameter.data = parameter.data.contiguous(memory_format=layout)
        self.description = f"torch {torch.__version__} on {self.device}, {str(self.dtype).removeprefix('torch.')}"

    def __call__(self, role: str, inputs: np.ndarray) -> np.ndarray:
        """Run the network `role` on (channels, X, Y[, Z]) float32; returns (outputs, X, Y[, Z]) float32."""
        return self.batch(role, inputs[None])[0]

    def batch(self, role: str, inputs: np.ndarray, **extra: np.ndarray) -> np.ndarray:
        """Run the network `role` on (batch, channels, X, Y[, Z]) float32; returns (batch, outputs, …) float32.

        What is in `extra` goes to the network under its name, one entry for each input, in its own number format. The
        batch is computed in parts, see `itermask.runtime.parts`.
        """

        def compute(part: np.ndarray, beside: Mapping[str, np.ndarray]) -> np.ndarray:
            return self._run(role, part, beside)

        return in_parts(compute, inputs, extra, part_size(inputs.ndim - 2, self.device.type))

    @torch.inference_mode()
    def _run(self, role: str, inputs: np.ndarray, extra: Mapping[str, np.ndarray]) -> np.ndarray:
        beside = {name: torch.from_numpy(one).to(self.device) for name, one in extra.items()}
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            output = self.networks[role](torch.from_numpy(inputs).to(self.device), **beside)
        return output.float().cpu().numpy()
