"""Weights from files, without ever running code from one."""

from __future__ import annotations

import io
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from voxplain.errors import InputError, NetworkError, VoxplainWarning
from voxplain.files.pointers import require_content
from voxplain.nets.matching import match_names

__all__ = ["load_into", "pack", "read_weights", "serialise", "unpack"]

_NESTS = (
    *("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params"),
    *("ema", "model_ema", "ema_state_dict", "state_dict_ema", "ema_model", "teacher", "student"),
)
"""Where checkpoints keep the tensors of a network; the first that is there counts."""

_DAMAGED = (RuntimeError, EOFError, ValueError, KeyError, IndexError)
"""What PyTorch raises, beside its own error, of files that are not whole or something else."""


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict from safetensors or from a PyTorch file of any age.

    Parameters
    ----------
    path : path
        ``.safetensors``, or what ``torch.save`` wrote: a state dict, or a training checkpoint
        that holds one. Of a network and its running average, the network is taken, with a warning.

    Returns
    -------
    dict of str to torch.Tensor, on the CPU
        By the names in the file; `load_into` knows what may stand before those of a network.

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
    content = _state_in(content, path)
    if not isinstance(content, Mapping) or not content:
        raise NetworkError(
            f"{path} holds no state dict; save one with torch.save(net.state_dict())."
        )
    state = {str(k): v for k, v in content.items()}
    others = [name for name, value in state.items() if not isinstance(value, Tensor)]
    if others:
        raise NetworkError(
            f"{path} holds {others[0]!r}, which is not a tensor; save net.state_dict() alone."
        )
    return state


def _state_in(content: object, path: Path) -> object:
    """Find the state dict in a training checkpoint."""
    while isinstance(content, Mapping) and not _is_state(content):
        inside = {k: v for k, v in content.items() if isinstance(v, Mapping) and v}
        named = [k for k in _NESTS if k in inside]
        states = [k for k in named if _is_state(inside[k])]
        if not named:
            whole = [k for k in inside if _is_state(inside[k])]
            if len(whole) != 1:
                return content
            named = whole
        if len(states) > 1:
            warnings.warn(
                f"{path} holds the tensors of a network under {' and '.join(map(repr, states))}; "
                f"those under {states[0]!r} are taken: to have others, save them alone.",
                VoxplainWarning,
                stacklevel=3,
            )
        content = inside[(states or named)[0]]
    return content


def _is_state(value: Mapping[object, object]) -> bool:
    return all(isinstance(v, Tensor) for v in value.values())


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
    except OSError as error:
        raise _not_whole(path, error) from error
    except (pickle.UnpicklingError, *_DAMAGED) as error:
        if not _looks_saved(path):
            raise InputError(
                f"{path} is not a file of weights; give a .safetensors or a torch.save file."
            ) from error
        if not isinstance(error, pickle.UnpicklingError):
            raise _not_whole(path, error) from error
        raise NetworkError(
            f"{path} is a pickle that wants to run code, or is damaged, and was not loaded; "
            "ask its author for a state dict or a .safetensors file."
        ) from error


def _looks_saved(path: Path) -> bool:
    """Tell whether a file begins as an archive or a pickle does."""
    with path.open("rb") as file:
        start = file.read(2)
    return start == b"PK" or (start[:1] == b"\x80" and start[1:] <= b"\x05")


def _not_whole(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path} is not a whole file of weights ({_first_line(error)}); copy it again."
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120].rstrip(". ")


def load_into(network: nn.Module, state: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Fill a network with weights, in its own layout or in one of the paper's two.

    What data parallel training, compilation or a training framework put before the names, in the
    network or in the file, is seen through; see `voxplain.nets.matching.match_names`.

    Parameters
    ----------
    network : torch.nn.Module
        Changed in place, only if everything fits.
    state : mapping of str to torch.Tensor

    Returns
    -------
    tuple of str
        What was left out of the names, or not used, each in a few words.

    Raises
    ------
    NetworkError
        If a tensor is missing, left over or of another shape, or holds numbers of another kind.
    """
    wanted, name = network.state_dict(), type(network).__name__
    names, notes = match_names(wanted, state, name)
    for own, given in names.items():
        _require_kind(given, state[given], wanted[own], name)
    filled = {own: state[names[own]] if own in names else wanted[own] for own in wanted}
    network.load_state_dict(filled)
    return notes


def _require_kind(name: str, given: Tensor, wanted: Tensor, network: str) -> None:
    """Refuse tensors that would be changed without a word when they are copied."""
    real = given.is_floating_point()
    if given.is_complex() or real != wanted.is_floating_point():
        counts = not (given.is_complex() or given.dtype == torch.bool)
        if counts and name.endswith("num_batches_tracked"):
            return
        raise NetworkError(
            f"Tensor {name!r} of the weights is of type {_kind(given)}, and {network} computes "
            f"with {_kind(wanted)}; save the weights as real floating-point numbers."
        )


def _kind(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def serialise(network: nn.Module) -> bytes:
    """Return a network's weights as the bytes of a safetensors file, tied ones twice."""
    state = network.state_dict()
    return save({name: value.detach().cpu().contiguous().clone() for name, value in state.items()})


def pack(content: Mapping[str, Any]) -> bytes:
    """Return tensors and plain values, such as the state of a training, as bytes."""
    stream = io.BytesIO()
    torch.save(dict(content), stream)
    return stream.getvalue()


def unpack(packed: bytes, device: str) -> dict[str, Any] | None:
    """Return what `pack` was given, tensors on a device; None where the bytes are damaged."""
    try:
        content = torch.load(io.BytesIO(packed), map_location=device, weights_only=True)
    except Exception:
        # Whatever a damaged file gives.
        return None
    return content if isinstance(content, dict) else None
