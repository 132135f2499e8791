"""The network that a process has at hand, loaded and examined once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from torch import nn

from voxplain.attribution import Engine
from voxplain.pipeline.explain.study.parts import StudyRun
from voxplain.pipeline.fit.fitted import Fitted

__all__ = ["NetworkInHand"]


class NetworkInHand:
    """The network of one fold, kept until that of another fold or run is asked for."""

    def __init__(self) -> None:
        self._key: tuple[object, ...] = ()
        self._held: tuple[list[nn.Module], Engine] | None = None
        self._open = ExitStack()

    @contextmanager
    def of(
        self, run: StudyRun, number: int, fold: Fitted, engine: Engine
    ) -> Iterator[tuple[list[nn.Module], Engine]]:
        """Give a fold's networks, and an engine that remembers what it found out about them.

        Parameters
        ----------
        run : StudyRun
        number : int
            Of the fold, from 1 on.
        fold : Fitted
        engine : Engine

        Yields
        ------
        networks : list of torch.nn.Module
            One of each repeat.
        shared : Engine
            See `voxplain.attribution.Engine.run`.

        Raises
        ------
        StudyError
            If a network is not the one that the run was fixed with.
        """
        key = run.study.folder, run.manifest.name, number, engine, engine.resolve_device()
        if self._held is None or self._key != key:
            self.drop()
            networks = run.load(number, fold)
            self._held = networks, self._open.enter_context(engine.run())
            self._key = key
        try:
            yield self._held
        except BaseException:
            self.drop()
            raise

    def drop(self) -> None:
        """Let go of the network and of all that was found out about it."""
        self._held = None
        self._open.close()
