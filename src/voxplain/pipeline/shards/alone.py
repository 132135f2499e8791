"""Commands that read and write a study as a whole: one at a time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from pathlib import Path
from typing import Protocol, TypeVar

from voxplain.pipeline.shards.manifest import BUSY, STORE
from voxplain.progress import Progress
from voxplain.study.locks import at_work

__all__ = ["alone", "works_alone"]


class _OfStudy(Protocol):
    @property
    def study(self) -> Path: ...


Options = TypeVar("Options", bound=_OfStudy)
Found = TypeVar("Found")


def alone(folder: Path) -> AbstractContextManager[None]:
    """Keep all other commands out of a study; nothing is held where there is no cohort.

    Parameters
    ----------
    folder : path

    Raises
    ------
    StudyError
        On entering, if another command or a part of a run is at work there.
    """
    return at_work(folder / STORE, together=False, busy=BUSY.format(folder))


def works_alone(
    work: Callable[[Options, Progress], Found],
) -> Callable[[Options, Progress], Found]:
    """Make a command keep others out of the study that its options name."""

    @wraps(work)
    def held(options: Options, progress: Progress) -> Found:
        with alone(options.study):
            return work(options, progress)

    return held
