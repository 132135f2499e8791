"""One place for device, precision, batch size and memory."""

from __future__ import annotations

import copy
import hashlib
import re
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
import torch
from scipy.special import softmax
from torch import nn

from voxplain.attribution.examine.layers import auto_layer
from voxplain.attribution.examine.trace import trace
from voxplain.attribution.fast.lowering import as_given, lower
from voxplain.attribution.network.batches import TOO_LARGE, Batcher
from voxplain.attribution.network.failures import out_of_memory
from voxplain.attribution.network.insides import require_ready, shares_itself
from voxplain.attribution.network.needs import Needs
from voxplain.attribution.network.placed import Placed, full_precision
from voxplain.errors import InputError, NetworkError, VoxplainWarning
from voxplain.volume import Volume

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from voxplain.attribution.examine.checks import Scalar

__all__ = ["Engine", "probabilities", "weights_sha256"]

Item = TypeVar("Item")


@dataclass(frozen=True)
class Engine:
    """How networks are run.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda", "mps"} or such as "cuda:1", default="auto"
        ``auto`` stays on the accelerator where the network already is, else takes the first
        there is, else the processor. A network that cannot be copied stays where it is.
    precision : {"auto", "exact"}, default="auto"
        ``auto`` may run a faster copy of the network that gives the same up to rounding; see
        `voxplain.attribution.fast.lowering.lower`. ``exact`` runs it as given.
    batch_size : int, default=8
        Volumes in a batch; halved whenever memory runs out.

    Raises
    ------
    InputError
        If an option is not allowed.
    """

    device: str = "auto"
    precision: Literal["auto", "exact"] = "auto"
    batch_size: int = 8

    def __post_init__(self) -> None:
        if not isinstance(self.precision, str) or self.precision not in ("auto", "exact"):
            raise InputError(f"precision must be 'auto' or 'exact'; {self.precision!r} was given.")
        size = self.batch_size
        if not isinstance(size, int | np.integer) or isinstance(size, bool) or size < 1:
            raise InputError(f"batch_size must be a whole number from 1 on; {size!r} was given.")
        object.__setattr__(self, "batch_size", int(size))
        device: object = self.device
        if isinstance(device, torch.device):
            object.__setattr__(self, "device", str(device))
        found = re.fullmatch(r"(auto)|(cpu|cuda|mps)(?::(\d+))?", str(self.device))
        if found is None:
            raise InputError(
                "device must be 'auto', 'cpu', 'cuda' or 'mps', or one of several, such as "
                f"'cuda:1'; {self.device!r} was given."
            )
        kind, number = found[2] or "auto", int(found[3] or 0)
        there = {"cuda": torch.cuda.device_count, "mps": torch.mps.device_count}
        if kind in there and number >= there[kind]():
            raise InputError(f"Device {self.device!r} is not there; use 'auto' or 'cpu'.")

    def place(
        self,
        model: nn.Module,
        example: Volume | NDArray[np.float32],
        layer: str | None = None,
        needs: Needs | None = None,
        score: Scalar | None = None,
    ) -> Placed:
        """Put a network on its device, and make it faster where that is allowed.

        Parameters
        ----------
        model : torch.nn.Module
            Never touched; a copy is made where something must change.
        example : Volume or array (X, Y, Z)
            A volume on which the faster copy is compared with the network.
        layer : str, optional
            Dotted path of a layer whose activation must stay the same too; ``"auto"`` finds the
            last one that all evidence passes through; see `auto_layer`.
        needs : Needs, optional
            What the method asks of the network.
        score : callable, optional
            From logits (N, K) to the scalars (N,) that will be explained in this volume.

        Returns
        -------
        Placed
        """
        require_ready(model)
        model, first, before = self._moved(model)
        dtype = str(first.dtype).removeprefix("torch.") + before
        placed = Placed(model, first.device, first.dtype, dtype, Batcher(self.batch_size), layer)
        x = placed.tensor([example])
        beside = self.batch_size > 1
        try:
            with full_precision(first.device):
                calls = trace(model, x)
                doubt = ""
                if layer == "auto":
                    chosen = auto_layer(model, x)
                    layer, doubt = chosen.name, chosen.doubt
                if self.precision == "exact":
                    found = as_given(model, x, calls, needs or Needs(), beside)
                else:
                    found = lower(model, x, layer, needs or Needs(), calls, beside, score)
        except (RuntimeError, MemoryError) as error:
            if out_of_memory(error):
                raise NetworkError(TOO_LARGE) from error
            raise
        placed = replace(
            placed,
            model=found.model,
            precision=", ".join(filter(None, [dtype, found.words])),
            layer=layer,
            head=found.head,
            alone=found.alone,
            batcher=Batcher(1 if found.alone else self.batch_size),
            notes=tuple(filter(None, (*found.notes(type(model).__name__), doubt.rstrip(".")))),
        )
        for note in placed.notes:
            warnings.warn(f"{note}.", VoxplainWarning, stacklevel=2)
        return placed

    def _moved(self, model: nn.Module) -> tuple[nn.Module, torch.Tensor, str]:
        """Bring a network to its device, and out of a precision in which gradients vanish."""
        floating = (p for p in model.parameters() if p.is_floating_point())
        first = next(floating, torch.empty(0))
        device = self.resolve_device(first.device)
        narrow = first.dtype if first.dtype in (torch.float16, torch.bfloat16) else None
        if device != first.device or narrow is not None:
            try:
                if shares_itself(model):
                    raise TypeError("A copy would run the network itself.")
                model = copy.deepcopy(model).to(device)
                if narrow is not None:
                    model = model.float()
            except Exception as error:
                if self.device != "auto" or narrow is not None:
                    raise NetworkError(
                        f"{type(model).__name__} cannot be copied to {device} in float32 "
                        f"({type(error).__name__}); bring it there yourself."
                    ) from error
                device = first.device
        before = "" if narrow is None else f" from {str(narrow).removeprefix('torch.')} weights"
        kind = torch.float32 if narrow is not None else first.dtype
        return model, torch.empty(0, dtype=kind, device=device), before

    def logits(
        self,
        model: nn.Module,
        volumes: Iterable[Volume | NDArray[np.float32]],
        numbers: bool = False,
    ) -> NDArray[np.float32]:
        """Run the network on volumes, batch by batch, to score them.

        Parameters
        ----------
        model : torch.nn.Module
            From (N, 1, X, Y, Z) to logits.
        volumes : iterable of Volume, or array (N, X, Y, Z)
            All on grids of one shape. Loaded a batch at a time.
        numbers : bool, default=False
            Whether outputs are numbers, such as ages, and are read as they are; else those of a
            network that ends in a softmax or a sigmoid are turned into logits.

        Returns
        -------
        array (N, K), logit

        Raises
        ------
        NetworkError
            If the network cannot take the volumes, or gives no logits.
        InputError
            If a voxel or a logit is not finite.
        """
        stream = iter(volumes)
        first = next(stream, None)
        if first is None:
            return np.empty((0, 0), dtype=np.float32)
        needs = Needs(gradient=False, numbers=numbers)
        return self.place(model, first, needs=needs).logits(_chain(first, stream))

    def resolve_device(self, current: torch.device | None = None) -> torch.device:
        """Settle where networks run.

        Parameters
        ----------
        current : torch.device, optional
            Where the network already is; the processor by default.

        Returns
        -------
        torch.device
        """
        current = current or torch.device("cpu")
        if self.device != "auto":
            return torch.empty(0, device=self.device).device
        if current.type != "cpu":
            return current
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        if torch.backends.mps.is_available():
            return torch.device("mps", 0)
        return current


def _chain(first: Item, rest: Iterable[Item]) -> Iterator[Item]:
    yield first
    yield from rest


def probabilities(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Turn logits into probabilities.

    Parameters
    ----------
    logits : array (N, K), logit

    Returns
    -------
    array (N, K), probability
        Softmax over K >= 2 classes; for a single logit (N, 1) its sigmoid, the probability of
        class 1.
    """
    z = np.asarray(logits, dtype=np.float64)
    if z.shape[1] == 1:
        return np.asarray(np.exp(-np.logaddexp(0, -z)))
    return np.asarray(softmax(z, axis=1))


def weights_sha256(model: nn.Module) -> str:
    """Hash the names and values of all parameters and buffers.

    Parameters
    ----------
    model : torch.nn.Module

    Returns
    -------
    str
        64 hexadecimal digits, the same on every device.

    Raises
    ------
    NetworkError
        If a parameter has no values yet.
    """
    digest = hashlib.sha256()
    require_ready(model)
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous().reshape(-1)
        digest.update(f"{name} {tuple(tensors[name].shape)} {value.dtype}\n".encode())
        digest.update(value.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
