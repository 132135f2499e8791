"""One place for device, precision, batch size and memory."""

from __future__ import annotations

import copy
import re
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

import numpy as np
import torch
from torch import nn

from voxplain.attribution.fast.known import Known
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

__all__ = ["Engine"]

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
        placed, known = self._examined(model, example)
        placed, needs, beside = replace(placed, layer=layer), needs or Needs(), self.batch_size > 1
        try:
            with full_precision(placed.device):
                doubt = ""
                if layer == "auto":
                    layer, doubt = known.auto_layer.name, known.auto_layer.doubt
                if self.precision == "exact":
                    found = as_given(known, known.x, needs, beside)
                else:
                    found = lower(known.model, known.x, layer, needs, known, beside, score)
        except (RuntimeError, MemoryError) as error:
            if out_of_memory(error):
                raise NetworkError(TOO_LARGE) from error
            raise
        placed = replace(
            placed,
            model=found.model,
            precision=", ".join(filter(None, [placed.precision, found.words])),
            layer=layer,
            head=found.head,
            alone=found.alone,
            batcher=Batcher(1 if found.alone else self.batch_size),
            notes=tuple(filter(None, (*found.notes(type(model).__name__), doubt.rstrip(".")))),
        )
        for note in placed.notes:
            warnings.warn(f"{note}.", VoxplainWarning, stacklevel=2)
        return placed

    def _examined(self, model: nn.Module, example: Volume | NDArray[np.float32]) -> _Examined:
        moved, first, before = self._moved(model)
        dtype = str(first.dtype).removeprefix("torch.") + before
        placed = Placed(moved, first.device, first.dtype, dtype, Batcher(self.batch_size))
        return _Examined(placed, Known(moved, placed.tensor([example])))

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

    @contextmanager
    def run(self) -> Iterator[Engine]:
        """Remember what is found out about networks, for all that they are asked in one run.

        Within it, scoring and all methods share the examination of a network and its faster copies,
        as far as they need the same; a plain engine finds all of it out at every call. What was
        found on the first scan of a run holds for the rest of it. A network whose weights are
        changed meanwhile is examined anew; otherwise it must not be changed.

        Yields
        ------
        Engine
            With the same options. It holds each network, and its copies, until the end of the run.
        """
        run = _Run(self.device, self.precision, self.batch_size)
        try:
            yield run
        finally:
            run.found.clear()

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


class _Examined(NamedTuple):
    """A network on its device, and what is known of it."""

    placed: Placed
    known: Known


class _Found(NamedTuple):
    """What a run remembers, and of which network."""

    model: nn.Module
    state: list[tuple[int, int]]
    examined: _Examined


@dataclass(frozen=True)
class _Run(Engine):
    """An engine that remembers."""

    found: dict[tuple[int, tuple[int, ...]], _Found] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def _examined(self, model: nn.Module, example: Volume | NDArray[np.float32]) -> _Examined:
        values = example.values if isinstance(example, Volume) else np.asarray(example)
        key, state = (id(model), values.shape), _state(model)
        known = self.found.get(key)
        if known is None or known.state != state:
            known = _Found(model, state, super()._examined(model, example))
            self.found[key] = known
        return known.examined

    @contextmanager
    def run(self) -> Iterator[Engine]:
        """Go on with the same run."""
        yield self


def _state(model: nn.Module) -> list[tuple[int, int]]:
    """Tell the weights of a network from what they were before they were changed in place."""
    tensors = [*model.parameters(), *model.buffers()]
    return [(id(t), 0 if t.is_inference() else t._version) for t in tensors]


def _chain(first: Item, rest: Iterable[Item]) -> Iterator[Item]:
    yield first
    yield from rest
