"""Weights from files, without ever running code from one."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from voxplain.errors import InputError, NetworkError
from voxplain.pointers import require_content

__all__ = ["load_into", "read_weights", "serialise"]

_NESTS = ("state_dict", "model_state_dict", "model", "net")

_KAN2020_LAYOUTS = (
    {
        f"hidden{block}.{index}.": f"features.{name}{block}."
        for block in (1, 2, 3)
        for index, name in ((0, "conv"), (1, "norm"))
    }
    | {"linear.": "classifier."},
    {
        f"features.{4 * (block - 1) + index}.": f"features.{name}{block}."
        for block in (1, 2, 3)
        for index, name in ((0, "conv"), (1, "norm"))
    }
    | {"classifier.3.": "classifier."},
)
"""The two layouts published with Kan et al. 2020: prefixes there, and in `MRINet`."""


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict from safetensors or from a PyTorch file of any age.

    Parameters
    ----------
    path : path
        ``.safetensors``, or what ``torch.save`` wrote: a state dict, or a training checkpoint
        that holds one. A prefix ``module.`` left by data parallel training is dropped.

    Returns
    -------
    dict of str to torch.Tensor, on the CPU

    Raises
    ------
    InputError
        If there is no such file, or it is not a file of weights.
    NetworkError
        If loading the file would run code from it, or it holds no state dict.
    """
    path = Path(path)
    require_content(path)
    if not path.is_file():
        raise InputError(f"There is no file of weights at {path}; give the path of one.")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    for nest in _NESTS:
        if isinstance(content, Mapping) and isinstance(content.get(nest), Mapping):
            content = content[nest]
            break
    if not isinstance(content, Mapping) or not content:
        raise NetworkError(
            f"{path} holds no state dict; save one with torch.save(net.state_dict())."
        )
    state = {str(k).removeprefix("module."): v for k, v in content.items()}
    others = [name for name, value in state.items() if not isinstance(value, Tensor)]
    if others:
        raise NetworkError(
            f"{path} holds {others[0]!r}, which is not a tensor; save net.state_dict() alone."
        )
    return state


def _read_safetensors(path: Path) -> object:
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(
            f"{path} is not a whole safetensors file ({_first_line(error)}); copy it again."
        ) from error


def _read_torch(path: Path) -> object:
    try:
        with warnings.catch_warnings():
            # Remarks on the pickle's protocol say nothing that the user could act on.
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if not _looks_pickled(path):
            raise InputError(
                f"{path} is not a file of weights; give a .safetensors or a torch.save file."
            ) from error
        raise NetworkError(
            f"{path} is a pickle that wants to run code, or is damaged, and was not loaded; "
            "ask its author for a state dict or a .safetensors file."
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError) as error:
        raise InputError(
            f"{path} is not a whole file of weights ({_first_line(error)}); copy it again."
        ) from error


def _looks_pickled(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(2)
    return zipfile.is_zipfile(path) or (start[:1] == b"\x80" and start[1:] <= b"\x05")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120].rstrip(". ")


def load_into(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Fill a network with weights, in its own layout or in one of the paper's two.

    Parameters
    ----------
    network : torch.nn.Module
        Changed in place, only if everything fits.
    state : mapping of str to torch.Tensor

    Raises
    ------
    NetworkError
        If a tensor is missing, left over or of another shape; the first such tensor is named,
        with both shapes.
    """
    wanted = network.state_dict()
    translated = _in_layout_of(wanted, state)
    for name, tensor in wanted.items():
        if name.endswith("num_batches_tracked") and name not in translated:
            translated[name] = tensor
        if name not in translated:
            raise NetworkError(
                f"The weights have no tensor {name!r} {_shape(tensor)}, which "
                f"{type(network).__name__} needs; they belong to another network."
            )
        if translated[name].shape != tensor.shape:
            raise NetworkError(
                f"Tensor {name!r} is {_shape(translated[name])} in the weights and "
                f"{_shape(tensor)} in {type(network).__name__}; they belong to another "
                "network or grid."
            )
    for name in translated:
        if name not in wanted:
            raise NetworkError(
                f"The weights hold a tensor {name!r} {_shape(translated[name])} that "
                f"{type(network).__name__} does not have; they belong to another network."
            )
    network.load_state_dict(translated)


def _in_layout_of(wanted: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    if not wanted.keys() & state.keys() or "features.conv1.weight" in wanted:
        for layout in _KAN2020_LAYOUTS:
            if all(any(name.startswith(prefix) for prefix in layout) for name in state):
                return {_renamed(name, layout): tensor for name, tensor in state.items()}
    return dict(state)


def _renamed(name: str, layout: Mapping[str, str]) -> str:
    prefix = next(prefix for prefix in layout if name.startswith(prefix))
    return layout[prefix] + name.removeprefix(prefix)


def _shape(tensor: Tensor) -> str:
    return "(" + ", ".join(str(n) for n in tensor.shape) + ")"


def serialise(network: nn.Module) -> bytes:
    """Return a network's weights as the bytes of a safetensors file."""
    return save({k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()})
