"""Arguments of a method, as Captum takes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from voxplain.errors import InputError

__all__ = ["as_captum"]


def as_captum(key: str, value: Any, x: torch.Tensor) -> Any:
    """Write an argument as Captum takes it.

    Parameters
    ----------
    key : str
        Its name.
    value : object
        A list becomes a tuple, and an array (X, Y, Z) a tensor (1, 1, X, Y, Z).
    x : tensor (N, 1, X, Y, Z)
        The batch.

    Raises
    ------
    InputError
        If an array has another shape than the volume.
    """
    if isinstance(value, list | tuple):
        # Captum counts the channel as an axis.
        return (1, *value) if len(value) == 3 else tuple(value)
    if not isinstance(value, np.ndarray):
        return value
    if value.shape != tuple(x.shape[2:]):
        raise InputError(
            f"{key} has shape {value.shape}, the volume {tuple(x.shape[2:])}; resample it to the "
            "volume's grid."
        )
    tensor = torch.from_numpy(np.ascontiguousarray(value))[None, None].to(x.device)
    return tensor.long() if key == "feature_mask" else tensor.to(x)
