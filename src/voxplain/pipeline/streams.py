"""Volumes that are loaded when their turn comes, and maps with their time and their remarks."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from typing import TypeVar, overload

from voxplain.errors import VoxplainWarning
from voxplain.maps import AttributionMap
from voxplain.volume import Cohort, Volume

__all__ = ["Some", "Stopwatch", "with_remarks"]

Item = TypeVar("Item")


class Some(Sequence[Volume]):
    """Some of many volumes, each loaded anew whenever it is asked for.

    Parameters
    ----------
    volumes : sequence of Volume, or Cohort
    positions : sequence of int
        Of those that are meant, in their order.
    """

    def __init__(self, volumes: Sequence[Volume] | Cohort, positions: Sequence[int]) -> None:
        self.volumes, self.positions = volumes, positions

    def __len__(self) -> int:
        return len(self.positions)

    @overload
    def __getitem__(self, index: int) -> Volume: ...
    @overload
    def __getitem__(self, index: slice) -> Some: ...
    def __getitem__(self, index: int | slice) -> Volume | Some:
        if isinstance(index, slice):
            return Some(self.volumes, self.positions[index])
        return self.volumes[self.positions[index]]


class Stopwatch:
    """Time spent waiting for items, what is done with them left out."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, items: Iterator[Item]) -> Iterator[Item]:
        """Hand on items, and add up the seconds that they took to come."""
        while True:
            began = time.perf_counter()
            item = next(items, None)
            self.seconds += time.perf_counter() - began
            if item is None:
                return
            yield item


def with_remarks(stream: Iterator[AttributionMap]) -> Iterator[tuple[AttributionMap, list[str]]]:
    """Hand on each map with the warnings that came with it.

    Parameters
    ----------
    stream : iterator of AttributionMap

    Yields
    ------
    map : AttributionMap
    remarks : list of str
        Without the subject that they begin with; warnings of others are passed on.
    """
    while True:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", VoxplainWarning)
            map_ = next(stream, None)
        said = []
        for warning in caught:
            if issubclass(warning.category, VoxplainWarning):
                said.append(str(warning.message).partition(": ")[2] or str(warning.message))
            else:
                warnings.warn_explicit(
                    warning.message, warning.category, warning.filename, warning.lineno
                )
        if map_ is None:
            return
        yield map_, said
