"""What is explained: a class, one per sample, the predicted class, or any scalar of the output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeGuard

import numpy as np
import torch

from voxplain.attribution.network.names import require_class, require_names
from voxplain.errors import InputError, VoxplainError, unknown_name

__all__ = [
    "SCORE_WORDS",
    "Chosen",
    "Score",
    "Target",
    "TargetLike",
    "check_score",
    "make_target",
]

Score = Literal["logit", "margin"]
TargetLike = int | str | Sequence[int | str] | Callable[[torch.Tensor], torch.Tensor]

SCORE_WORDS: dict[Score, str] = {"logit": "logit", "margin": "logit margin"}
"""Names of the two scores in a map's provenance."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """What is explained in each sample of a batch, after the network has been asked.

    Parameters
    ----------
    indices : tensor (N,), int64, or None
        Class of each sample; None for the output of a network with one output, and for a
        callable.
    function : callable or None
        From the output (N, K) to one scalar per sample.
    predicted : bool
        Whether the classes are those that the network predicted.
    """

    indices: torch.Tensor | None
    function: Callable[[torch.Tensor], torch.Tensor] | None = None
    predicted: bool = False

    def take(self, rows: torch.Tensor) -> Chosen:
        """Keep some samples of the batch, by position."""
        indices = None if self.indices is None else self.indices[rows]
        return Chosen(indices, self.function, self.predicted)

    def repeat(self, times: int) -> Chosen:
        """Repeat the whole batch, as `torch.cat` of so many copies of it would."""
        indices = None if self.indices is None else self.indices.repeat(times)
        return Chosen(indices, self.function, self.predicted)

    def score(self, logits: torch.Tensor, kind: Score = "logit") -> torch.Tensor:
        """Reduce the network's output to the explained scalar.

        Parameters
        ----------
        logits : tensor (N, K)
            Output of the network.
        kind : {"logit", "margin"}
            ``logit`` is the target's logit. ``margin`` is its log-odds: the logit minus the
            logsumexp of the other logits. A single logit z is z for class 1 and -z for class 0,
            in both kinds.

        Returns
        -------
        tensor (N,)
        """
        if self.function is not None:
            return self._apply(logits)
        if self.indices is None:
            return logits[:, 0]
        if logits.shape[1] == 1:
            return torch.where(self.indices == 1, logits[:, 0], -logits[:, 0])
        own = logits.gather(1, self.indices[:, None])[:, 0]
        if kind == "logit":
            return own
        mask = torch.zeros_like(logits, dtype=torch.bool).scatter_(1, self.indices[:, None], True)
        return own - logits.masked_fill(mask, -torch.inf).logsumexp(1)

    def _apply(self, logits: torch.Tensor) -> torch.Tensor:
        if self.function is None:
            raise InputError("This target has no function to apply.")
        try:
            score = self.function(logits)
        except (VoxplainError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            raise InputError(
                f"The callable target fails on an output of shape {tuple(logits.shape)}: "
                f"{type(error).__name__}: {error}."
            ) from error
        if not isinstance(score, torch.Tensor) or score.shape != logits.shape[:1]:
            given = tuple(score.shape) if isinstance(score, torch.Tensor) else type(score).__name__
            raise InputError(
                f"A callable target must turn an output of shape {tuple(logits.shape)} into one "
                f"scalar per sample, shape {tuple(logits.shape[:1])}; it gave {given}."
            )
        return score

    @property
    def settled(self) -> Target:
        """The same target for other images of the same samples, whatever these predict."""
        if self.indices is None:
            return Target(function=self.function)
        return Target(tuple(self.indices.tolist()))

    def class_of(self, sample: int) -> int | None:
        """Class index of one sample; None where there is none."""
        return None if self.indices is None else int(self.indices[sample])


@dataclass(frozen=True, eq=False)
class Target:
    """What to explain in one batch, before the network has been asked.

    Parameters
    ----------
    classes : tuple of int, or None
        One class index per sample; None for the predicted class or a callable.
    function : callable or None
        From the output (N, K) to one scalar per sample.
    names : int
        How many classes have names; 0 where none has.
    """

    classes: tuple[int, ...] | None = None
    function: Callable[[torch.Tensor], torch.Tensor] | None = None
    names: int = 0

    def choose(self, logits: torch.Tensor) -> Chosen:
        """Settle the target of each sample, given the network's output.

        Parameters
        ----------
        logits : tensor (N, K)

        Returns
        -------
        Chosen
            ``"predicted"`` becomes the class of the largest logit; of a single output with two
            names of classes, the class that its sign tells; of one without, that output itself.

        Raises
        ------
        InputError
            If a class index is out of range, or there are more or fewer names than classes.
        """
        if self.function is not None:
            return Chosen(None, self.function)
        n_outputs = logits.shape[1]
        require_names(self.names, n_outputs)
        if self.classes is None:
            if n_outputs == 1 and self.names:
                return Chosen((logits.detach()[:, 0] > 0).long(), predicted=True)
            if n_outputs == 1:
                return Chosen(None, predicted=True)
            return Chosen(logits.detach().argmax(1), predicted=True)
        for index in self.classes:
            require_class(index, n_outputs)
        return Chosen(torch.tensor(self.classes, dtype=torch.int64, device=logits.device))

    def part(self, start: int, stop: int) -> Target:
        """Keep the samples from `start` to `stop` (not included)."""
        return self.take(range(start, stop))

    def take(self, positions: Sequence[int]) -> Target:
        """Keep the samples at some positions."""
        classes = None if self.classes is None else tuple(self.classes[i] for i in positions)
        return Target(classes, self.function, self.names)


def check_score(score: Score) -> None:
    """Refuse an option ``score`` that is neither of the two.

    Parameters
    ----------
    score : {"logit", "margin"}

    Raises
    ------
    InputError
        If it is anything else.
    """
    if score not in SCORE_WORDS:
        raise InputError(f"score must be 'margin' or 'logit'; {score!r} was given.")


def make_target(target: TargetLike, count: int, class_names: Sequence[str] | None = None) -> Target:
    """Read a target as the user wrote it.

    Parameters
    ----------
    target : int, str, sequence of them, or callable
        A class index or name, one per sample, ``"predicted"``, or a callable from the output
        (N, K) to one scalar per sample.
    count : int
        Number of samples.
    class_names : sequence of str, optional
        Names in the order of the network's outputs.

    Returns
    -------
    Target

    Raises
    ------
    InputError
        If the name is unknown or the number of targets is not the number of samples.
    """
    names = len(class_names or ())
    if isinstance(target, str):
        if target == "predicted":
            return Target(names=names)
        return Target((_index(target, class_names),) * count, names=names)
    if hasattr(target, "__array__") and np.ndim(target) == 0:
        # A number from NumPy or PyTorch.
        return Target((_index(target, class_names),) * count, names=names)
    if isinstance(target, int) and not isinstance(target, bool):
        return Target((target,) * count, names=names)
    if callable(target) and not isinstance(target, type):
        return Target(function=target)
    if _is_row(target):
        if len(target) != count:
            raise InputError(
                f"{len(target)} targets were given for {count} volumes; give one per volume, or "
                "one for all."
            )
        return Target(tuple(_index(item, class_names) for item in target), names=names)
    kind = f"the class {target.__name__}" if isinstance(target, type) else type(target).__name__
    raise InputError(
        f"A target is a class index, a class name, 'predicted', one index per volume, or a "
        f"callable; {kind} was given."
    )


def _is_row(target: object) -> TypeGuard[Sequence[object]]:
    if isinstance(target, bytes):
        return False
    if hasattr(target, "__array__"):
        return np.ndim(target) == 1
    return isinstance(target, Sequence)


def _index(item: object, class_names: Sequence[str] | None) -> int:
    if isinstance(item, str):
        if class_names is None:
            raise InputError(
                f"Target {item!r} is a name, but no class_names were given; give them, or a "
                "class index, or 'predicted'."
            )
        if item not in class_names:
            raise unknown_name("target", item, [*class_names, "predicted"])
        return list(class_names).index(item)
    try:
        number = np.asarray(item)
    except (TypeError, ValueError, RuntimeError):
        number = np.asarray(None)
    if number.ndim or not np.issubdtype(number.dtype, np.integer):
        raise InputError(f"Target {item!r} is neither a class index nor a class name.")
    return int(number)
