"""SmoothGrad: the mean map of noisy copies of the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch

from voxplain.attribution.method import Attribution, Method, MethodInfo, Note
from voxplain.attribution.methods.passes import each_gradient
from voxplain.attribution.network.needs import Needs
from voxplain.attribution.network.target import SCORE_WORDS
from voxplain.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxplain.attribution.network.probe import Probe
    from voxplain.attribution.network.target import Chosen, Target

__all__ = ["SmoothGrad"]

Notes = tuple[tuple[Note, ...], ...]


@dataclass(frozen=True, eq=False)
class SmoothGrad(Method):
    """SmoothGrad (Smilkov et al., 2017), of the gradient or of any other method.

    Gaussian noise is added to the image several times, and the maps are averaged. The target is
    settled once, on the image without noise. All volumes get the same noise patterns, each scaled
    to the volume's own range of intensities.

    Parameters
    ----------
    of : Method, optional
        The method whose maps are averaged; its name will do where methods are made by name. None
        is the gradient of the logit margin.
    samples : int, default=16
        Noisy copies.
    noise : float, default=0.15
        Standard deviation of the noise, as a share of the image's largest less its smallest
        intensity.
    squared : bool, default=False
        Average the squares of the maps (SmoothGrad-squared; Hooker et al., 2019). They tell how
        strong the effect of a voxel is, and no longer in which direction.

    Raises
    ------
    InputError
        If an option is not allowed.

    Notes
    -----
    A wrapped method gets another seed for every noisy copy. Of its remarks, those that are the
    same for every copy are kept.
    """

    of: Method | None = None
    samples: int = 16
    noise: float = 0.15
    squared: bool = False

    info: ClassVar[MethodInfo] = MethodInfo(
        name="smoothgrad",
        label="SmoothGrad",
        citation="Smilkov et al. 2017, arXiv:1706.03825",
        unit="logit per unit of intensity",
        sign="positive: a brighter voxel speaks for the target; negative: against it",
        complete=False,
        passes="17 forward and 16 backward; of another method, 1 forward and 16 times its cost",
        additive=True,
    )

    def __post_init__(self) -> None:
        if isinstance(self.of, SmoothGrad):
            raise InputError("smoothgrad cannot wrap smoothgrad; raise its samples instead.")
        if self.of is not None and not isinstance(self.of, Method):
            raise InputError(
                f"of must be a method, or None for the gradient; {self.of!r} was given."
            )
        if self.samples < 1:
            raise InputError(f"samples must be 1 or more; {self.samples} was given.")
        if self.noise < 0:
            raise InputError(f"noise must not be negative; {self.noise} was given.")

    @property
    def score_words(self) -> str:
        """Name of the quantity that is explained."""
        return SCORE_WORDS["margin"] if self.of is None else self.of.score_words

    @property
    def unit(self) -> str:
        """Unit of the maps."""
        unit = self.info.unit if self.of is None else self.of.unit
        return f"({unit})²" if self.squared else unit

    @property
    def sign(self) -> str:
        """What a positive and a negative value say."""
        if self.squared:
            return "the larger, the stronger the effect of the voxel, for or against the target"
        return self.info.sign if self.of is None else self.of.sign

    @property
    def additive(self) -> bool:
        """Whether values are shares of their voxels; squares are not."""
        return not self.squared and (self.of is None or self.of.additive)

    @property
    def requires(self) -> Needs:
        """What the wrapped method needs."""
        return self.needs if self.of is None else self.of.requires

    def attribute(self, probe: Probe, x: torch.Tensor, target: Target, seed: int) -> Attribution:
        """Explain one batch; see `Method.attribute`."""
        with torch.no_grad():
            chosen = target.choose(probe.logits(x))
        total = torch.zeros_like(x[:, 0])
        remarks: list[Notes] = []
        for values, notes in self._maps(probe, x, chosen, seed):
            total += values.square() if self.squared else values
            remarks.append(notes)
        return Attribution(total / self.samples, chosen, _in_every(remarks))

    def _maps(
        self, probe: Probe, x: torch.Tensor, chosen: Chosen, seed: int
    ) -> Iterator[tuple[torch.Tensor, Notes]]:
        scale = self.noise * (x.amax((2, 3, 4), True) - x.amin((2, 3, 4), True))

        def noisy(number: int) -> torch.Tensor:
            # Drawn anew from its number, so that no copy waits in memory for its turn.
            draw = np.random.default_rng([seed, number])
            pattern = draw.standard_normal(x.shape[2:], dtype=np.float32)
            return x + scale * torch.as_tensor(pattern).to(x)

        if self.of is None:
            for _, gradient, _ in each_gradient(probe, noisy, self.samples, chosen, "margin"):
                yield gradient.sum(1), ()
            return
        settled = chosen.settled
        for number in range(self.samples):
            with probe.part(number, self.samples):
                made = self.of.attribute(probe, noisy(number), settled, seed + number)
            probe.report((number + 1) / self.samples)
            yield made.values, made.notes


def _in_every(remarks: list[Notes]) -> Notes:
    """Keep the remarks on each sample that every copy has."""
    if not all(remarks):
        return ()
    first, *others = remarks
    return tuple(
        tuple(note for note in own if all(note in other[row] for other in others))
        for row, own in enumerate(first)
    )
