"""Scores of images of which some part is replaced by a reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from voxplain.attribution.method import Method, Note
from voxplain.attribution.methods.passes import logits_of_passes
from voxplain.attribution.methods.reference import ReferenceLike, make_reference
from voxplain.attribution.network.needs import Needs
from voxplain.attribution.network.target import SCORE_WORDS, check_score
from voxplain.errors import InputError

if TYPE_CHECKING:
    from voxplain.attribution.network.probe import Probe
    from voxplain.attribution.network.target import Chosen, Score, Target

__all__ = ["ReplacementMethod", "Replacing", "nothing_changes"]


@dataclass(frozen=True, eq=False)
class Replacing:
    """A batch, what may take its place, and what is asked of the network.

    Parameters
    ----------
    probe : Probe
    x, reference : tensor (N, 1, X, Y, Z)
    chosen : Chosen
    kind : {"logit", "margin"}
    full : tensor (N,)
        Score of the whole image.
    """

    probe: Probe
    x: torch.Tensor
    reference: torch.Tensor
    chosen: Chosen
    kind: Score
    full: torch.Tensor

    @property
    def differs(self) -> torch.Tensor:
        """Where image and reference differ, tensor (N, X, Y, Z), bool."""
        return (self.x != self.reference)[:, 0]

    def touched(self, labels: torch.Tensor, count: int) -> torch.Tensor:
        """Tell in which regions image and reference differ.

        Parameters
        ----------
        labels : tensor (X, Y, Z), int64
        count : int
            Number of labels, 0 included.

        Returns
        -------
        tensor (N, count), bool
            On the processor.
        """
        rows = [labels[where].bincount(minlength=count) > 0 for where in self.differs]
        return torch.stack(rows).cpu()

    def scores(
        self, samples: Sequence[int], replaced: Callable[[int], torch.Tensor]
    ) -> torch.Tensor:
        """Score images of which a part is replaced.

        Parameters
        ----------
        samples : sequence of int
            Position in the batch of the image of each pass.
        replaced : callable
            Takes the number of the pass and tells which voxels are replaced, tensor (X, Y, Z),
            bool.

        Returns
        -------
        tensor (passes,), float64
            On the processor.
        """
        if not samples:
            return torch.empty(0, dtype=torch.float64)

        def change(number: int) -> torch.Tensor:
            row = slice(samples[number], samples[number] + 1)
            return torch.where(replaced(number), self.reference[row], self.x[row])

        logits = logits_of_passes(self.probe, change, len(samples), 1)[:, 0]
        rows = torch.tensor(samples, device=logits.device)
        return self.chosen.take(rows).score(logits, self.kind).cpu().double()


@dataclass(frozen=True, eq=False)
class ReplacementMethod(Method):
    """A method that asks what the network makes of an image with parts replaced.

    Parameters
    ----------
    reference : {"mean", "blur", "zero"}, array (X, Y, Z), or dict of int to array, default="mean"
        What is put in place of the image; see `make_reference`. The mean
        flattens a part without a new edge at the border of the brain.
    blur : float, mm, default=10.0
        Standard deviation of the reference's blur.
    score : {"margin", "logit"}, default="margin"
        The margin is the target's log-odds against all other classes.

    Raises
    ------
    InputError
        If an option is not allowed.
    """

    reference: ReferenceLike = "mean"
    blur: float = 10.0
    score: Score = "margin"

    needs: ClassVar[Needs] = Needs(float32=True)

    def __post_init__(self) -> None:
        check_score(self.score)
        if not self.blur >= 0:
            raise InputError(f"blur must not be negative; {self.blur} was given.")

    @property
    def score_words(self) -> str:
        """Name of the quantity that is explained."""
        return SCORE_WORDS[self.score]

    def start(self, probe: Probe, x: torch.Tensor, target: Target) -> Replacing:
        """Score the whole images and make their references.

        Parameters
        ----------
        probe : Probe
        x : tensor (N, 1, X, Y, Z)
        target : Target

        Returns
        -------
        Replacing
        """
        with torch.no_grad():
            logits = probe.logits(x)
            chosen = target.choose(logits)
            widths = [self.blur / size for size in probe.voxel_size]
            reference = make_reference(x, self.reference, widths, None, chosen)
            full = chosen.score(logits, self.score)
        return Replacing(probe, x, reference, chosen, self.score, full.cpu().double())


def nothing_changes(values: torch.Tensor) -> list[tuple[Note, ...]]:
    """Warn of each map of a batch, tensor (N, X, Y, Z), that is zero everywhere."""
    text = "no replacement changes the score, so the map is zero everywhere"
    return [
        (Note(text, warn=True),) if empty else ()
        for empty in (values.flatten(1) == 0).all(1).tolist()
    ]
