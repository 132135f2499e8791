"""A network where and how the engine runs it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from voxplain.attribution.network.batches import Batcher
from voxplain.attribution.network.probe import Probe, probe
from voxplain.errors import InputError
from voxplain.volume import Volume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from voxplain.attribution.network.outputs import Head

__all__ = ["Placed", "full_precision"]


@dataclass(frozen=True, eq=False)
class Placed:
    """A network where and how the engine runs it.

    Parameters
    ----------
    model : torch.nn.Module
        The given network, or a copy of it.
    device : torch.device
    dtype : torch.dtype
        Of the network's parameters.
    precision : str
        What was done to the network, for the provenance.
    batcher : Batcher
    layer : str or None
        Dotted path of the layer that the method looks at.
    head : {"logits", "softmax", "sigmoid"}
        What the network ends in; probabilities are turned into logits.
    alone : bool
        Whether scans go through the network one at a time, because it does not keep the samples
        of a batch apart.
    notes : tuple of str
        What the user must know of the network, for every map.
    """

    model: nn.Module
    device: torch.device
    dtype: torch.dtype
    precision: str
    batcher: Batcher
    layer: str | None = None
    head: Head = "logits"
    alone: bool = False
    notes: tuple[str, ...] = ()

    def open(
        self,
        layer: str | None = None,
        voxel_size: tuple[float, float, float] = (1.0, 1.0, 1.0),
        report: Callable[[float], None] | None = None,
    ) -> AbstractContextManager[Probe]:
        """Open the network as it was found to be run; see `probe`.

        Parameters
        ----------
        layer : str, optional
            Whose activation is recorded.
        voxel_size : tuple of 3 floats, mm
        report : callable, optional
            Takes the part of the work that is done, 0 to 1.
        """
        return probe(
            self.model,
            layer,
            voxel_size=voxel_size,
            report=report,
            batch_size=self.batcher.size,
            head=self.head,
            alone=self.alone,
        )

    def tensor(self, volumes: Sequence[Volume | NDArray[np.float32]]) -> torch.Tensor:
        """Stack volumes of one shape into a batch.

        Parameters
        ----------
        volumes : sequence of Volume or array (X, Y, Z)

        Returns
        -------
        tensor (N, 1, X, Y, Z)

        Raises
        ------
        InputError
            If a voxel is NaN or infinite.
        """
        arrays = [v.values if isinstance(v, Volume) else np.asarray(v) for v in volumes]
        stacked = torch.as_tensor(np.stack(arrays)[:, None]).to(self.device)
        # A sum in float64 is finite where every voxel is; MPS, which has none, may see it overflow.
        wide = torch.float32 if self.device.type == "mps" else torch.float64
        sums = stacked.flatten(1).sum(1, dtype=wide)
        for volume, array, total in zip(volumes, arrays, sums.tolist(), strict=True):
            if not (np.isfinite(total) or np.isfinite(array).all()):
                name = getattr(volume, "subject", "") or "The volume"
                raise InputError(f"{name} has voxels that are NaN or infinite; repair it first.")
        return stacked.to(self.dtype)

    def logits(self, volumes: Iterable[Volume | NDArray[np.float32]]) -> NDArray[np.float32]:
        """Score volumes; see `Engine.logits`."""

        def work(part: Sequence[Volume | NDArray[np.float32]], start: int) -> NDArray[np.float32]:
            with self.open() as p, torch.no_grad(), full_precision(self.device):
                return p.logits(self.tensor(part)).float().cpu().numpy()

        stream, rows = iter(volumes), []
        while chunk := list(islice(stream, self.batcher.size)):
            rows += list(self.batcher.run(chunk, work))
        return np.concatenate(rows) if rows else np.empty((0, 0), dtype=np.float32)


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Keep cuDNN from rounding float32 convolutions to TF32 for the time being.

    Parameters
    ----------
    device : torch.device
    """
    if device.type != "cuda":
        yield
        return
    cudnn = torch.backends.cudnn
    with cudnn.flags(
        enabled=cudnn.enabled,
        benchmark=cudnn.benchmark,
        deterministic=cudnn.deterministic,
        allow_tf32=False,
    ):
        yield
