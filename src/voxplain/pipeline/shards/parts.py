"""Parts of a run: which is whose, and what is told of each."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeVar

from voxplain.errors import InputError, StoppedError, StudyError, VoxplainError
from voxplain.study import Study

__all__ = ["Part", "PartRecord", "Workers", "part_named", "read_part"]

Unit = TypeVar("Unit")
_PARTS, _MANY = 8, 32
"""Parts for each worker, and workers that a cluster may have."""


@dataclass(frozen=True)
class Part:
    """One of several parts of a run; part 0 fixes the run and does nothing of it.

    Parameters
    ----------
    number, of : int
    """

    number: int
    of: int

    def cut(self, units: Sequence[Unit]) -> Sequence[Unit]:
        """Take the units of this part: consecutive ones, as many as each other part, or one more.

        Parameters
        ----------
        units : sequence
            Of the whole run, in its order.
        """
        if self.number == 0:
            return units[:0]
        count = len(units)
        return units[count * (self.number - 1) // self.of : count * self.number // self.of]

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


@dataclass(frozen=True)
class Workers:
    """Who makes parts: so many processes of this machine, or the workers of a Dask scheduler.

    Parameters
    ----------
    count : int
    address : str
    """

    count: int = 0
    address: str = ""

    def parts(self, units: int) -> int:
        """Return in how many parts so many units are cut, so that none is waited for long."""
        return min(units, _PARTS * (self.count or _MANY))

    def __str__(self) -> str:
        return self.address or f"{self.count} worker{'s' * (self.count > 1)}"


def read_part(text: str) -> Part:
    """Read ``3/10``, the third of ten parts.

    Raises
    ------
    InputError
        If it is written otherwise, or there is no such part.
    """
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    number, of = (int(found[1]), int(found[2])) if found else (-1, 0)
    if not 0 <= number <= of or of == 0:
        raise InputError(
            f"--shard must be a part and the number of parts, such as 3/10, or 0/10 to fix the run "
            f"and do no part; {text!r} was given."
        )
    return Part(number, of)


def part_named(run: str, part: Part) -> str:
    """Name the file, in the study, that tells how far a part is."""
    return f"runs/{run}/part-{part.number:04d}-of-{part.of:04d}.json"


@dataclass
class PartRecord:
    """How far a part is, written where others can read it.

    Parameters
    ----------
    study : Study
    run : str
        Name of the run.
    part : Part
    total : int
        Maps of the part.
    """

    study: Study
    run: str
    part: Part
    total: int
    done: int = 0
    began: float = field(default_factory=time.time)

    def tell(self, state: str, why: str = "") -> None:
        """Write the state, and when, where and by whom it was told."""
        job = "_".join(
            filter(None, (os.environ.get(name) for name in ("SLURM_ARRAY_JOB_ID", _TASK)))
        )
        content = {
            "state": state,
            "why": why,
            "done": self.done,
            "total": self.total,
            "began": self.began,
            "told": time.time(),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "job": job,
        }
        self.study.write_json(part_named(self.run, self.part), content)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Tell that the part runs, and at the end that it is done, or why it is not."""
        self.tell("running")
        try:
            yield
        except BaseException as error:
            # On a full disk the record cannot be written either; the first error is what matters.
            with suppress(StudyError):
                self.tell(*_ended(error))
            raise
        self.tell("done")


def _ended(error: BaseException) -> tuple[str, str]:
    """Say how a part ended, and why."""
    if isinstance(error, StoppedError):
        return "stopped", str(error)
    if isinstance(error, VoxplainError):
        return "failed", str(error)
    if isinstance(error, Exception):
        return "failed", f"unexpected {type(error).__name__}: {error}"
    return "stopped", "interrupted"


_TASK = "SLURM_ARRAY_TASK_ID"
