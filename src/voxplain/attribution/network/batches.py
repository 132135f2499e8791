"""Work in batches that shrink when memory runs out."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import torch

from voxplain.attribution.network.failures import out_of_memory
from voxplain.errors import NetworkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["TOO_LARGE", "Batcher"]

TOO_LARGE = (
    "Memory ran out with a batch of one volume; use a device with more of it, or a coarser grid."
)

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher:
    """Work through items in batches, with smaller ones once memory has run out.

    Parameters
    ----------
    size : int
        Items in a batch at first.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def run(
        self, items: Sequence[Item], work: Callable[[Sequence[Item], int], Result]
    ) -> Iterator[Result]:
        """Do the work batch by batch.

        Parameters
        ----------
        items : sequence
        work : callable
            Takes some consecutive items and the position of the first.

        Yields
        ------
        object
            What `work` gave for each batch, in order.

        Raises
        ------
        NetworkError
            If memory runs out with a single item.
        """
        start = 0
        while start < len(items):
            part = items[start : start + self.size]
            try:
                result = work(part, start)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                if len(part) == 1:
                    raise NetworkError(TOO_LARGE) from error
                self.size = len(part) // 2
            else:
                yield result
                start += len(part)
                continue
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
