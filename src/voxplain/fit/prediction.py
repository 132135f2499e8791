"""Running a network on scans of a cohort, and what training shares with it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from voxplain.volume import Cohort

__all__ = ["as_tensor", "autocast", "has_bfloat16", "predict"]


def predict(
    network: nn.Module,
    cohort: Cohort,
    indices: Sequence[int] | NDArray[np.int64],
    *,
    device: str = "cpu",
    batch_size: int = 4,
) -> NDArray[np.float32]:
    """Return the outputs for some subjects.

    Parameters
    ----------
    network : torch.nn.Module
        It is brought to the device, and left in eval mode.
    cohort : Cohort
    indices : sequence of int
        Positions in the cohort.
    device : str, default="cpu"
    batch_size : int, default=4

    Returns
    -------
    array (N, K), float32
    """
    network.to(device).eval()
    out = []
    with torch.inference_mode():
        for start in range(0, len(indices), batch_size):
            x = as_tensor(cohort.stack(indices[start : start + batch_size]), device)
            output = network(x).float().cpu().numpy()
            out.append(output.reshape(len(output), -1))
    return np.concatenate(out)


def as_tensor(values: NDArray[np.float32], device: str) -> torch.Tensor:
    """Put images (N, X, Y, Z) on a device, channels last, tensor (N, 1, X, Y, Z)."""
    x = torch.from_numpy(values).unsqueeze(1).to(device)
    return x.contiguous(memory_format=torch.channels_last_3d)


def autocast(device: str) -> torch.autocast:
    """Compute in bfloat16 for the time being, where the device does so natively."""
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=has_bfloat16(device))


def has_bfloat16(device: str) -> bool:
    """Tell whether a device computes in bfloat16 natively."""
    kind = torch.device(device).type
    if kind == "cpu":
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return kind == "cuda" and torch.cuda.is_bf16_supported()
