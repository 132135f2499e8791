"""Layer-wise relevance propagation: the target's logit, handed back layer by layer to voxels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import torch

from voxplain.attribution.method import Attribution, Method, MethodInfo, Note
from voxplain.attribution.methods.relevance.graph import require_known, traced_modules
from voxplain.attribution.methods.relevance.rules import (
    RULED,
    FirstName,
    Rule,
    RuleName,
    Tracer,
    spare_last_layer,
)
from voxplain.attribution.network.needs import Needs
from voxplain.errors import InputError, NetworkError

if TYPE_CHECKING:
    from voxplain.attribution.network.probe import Probe
    from voxplain.attribution.network.target import Score, Target

__all__ = ["LayerwiseRelevance"]

_RULES = ("composite", "epsilon", "alpha-beta")
_FIRST = ("w2", "flat", "same")


@dataclass(frozen=True, eq=False)
class LayerwiseRelevance(Method):
    """Layer-wise relevance propagation (Bach et al., 2015).

    Each unit hands its relevance to its inputs in proportion to what each contributed to it, from
    the logits down to the voxels. Batch norm counts as part of the layer before it. ReLUs pass
    relevance unchanged, a maximum gives it to the winner, and sums, averages and a batch norm on
    its own share it in proportion, without a stabiliser. What the network detaches is a constant
    and takes its share, as biases do.

    Parameters
    ----------
    rule : {"composite", "epsilon", "alpha-beta"}, default="composite"
        The epsilon rule (Bach, eq. 58) gives an input its contribution to a unit divided by
        z + epsilon sign z, where z is the unit's value before the ReLU. The alpha-beta rule
        (eq. 60) divides contributions for and against the unit apart, each by their own sum with
        the bias; where a unit has contributions of one sign alone, they share all its relevance.
        ``composite`` takes the epsilon rule at linear layers and alpha-beta at convolutions
        (Kohlbrenner et al. 2020). Alpha-beta maps are quiet, but hardly depend on the weights of
        late layers (Sixt et al. 2020): hold them against a randomised network, or take
        ``epsilon``.
    first : {"w2", "flat", "same"}, default="w2"
        Rule of the layers that take the volume itself. ``w2`` shares by squared weights (Montavon
        et al. 2017), ``flat`` evenly among the voxels that a unit sees (Lapuschkin et al. 2019);
        both pay no attention to intensity and biases. ``same`` makes no exception (Böhle et al.
        2019, for MRI): relevance is then in proportion to intensity, and tissue that gave way to
        dark fluid has next to none.
    epsilon : float, default=0.01
        Stabiliser, as a share of the root mean square of a layer's outputs in the volume, so that
        rescaling a layer changes nothing; Montavon et al. 2019 take 0.25 in middle layers. It is
        left out of the layer that gives the logits, where it would only scale the map.
    beta : float, default=1
        Weight of contributions against a unit; that of those for it is alpha = 1 + beta. With
        0 only contributions for it count.
    score : {"logit", "margin"}, default="logit"
        With ``margin``, or a callable target, each logit starts with its value times the
        derivative of the score.

    Raises
    ------
    InputError
        If an option is not allowed.
    """

    rule: Literal["composite", "epsilon", "alpha-beta"] = "composite"
    first: FirstName = "w2"
    epsilon: float = 0.01
    beta: float = 1.0
    score: Score = "logit"

    info: ClassVar[MethodInfo] = MethodInfo(
        name="lrp",
        label="Layer-wise relevance propagation",
        citation="Bach et al. 2015, doi:10.1371/journal.pone.0130140",
        unit="logit",
        sign="positive: the voxel speaks for the target; negative: against it",
        complete=False,
        passes="the work of 3 forward and 2 backward",
        additive=True,
    )
    needs: ClassVar[Needs] = Needs(modules=True)

    def __post_init__(self) -> None:
        if self.rule not in _RULES:
            raise InputError(
                f"rule must be 'composite', 'epsilon' or 'alpha-beta'; {self.rule!r} was given."
            )
        if self.first not in _FIRST:
            raise InputError(f"first must be 'w2', 'flat' or 'same'; {self.first!r} was given.")
        for name in ("epsilon", "beta"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(
                    f"{name} must be 0 or more, and finite; {getattr(self, name)} was given."
                )
        if self.score not in ("margin", "logit"):
            raise InputError(f"score must be 'margin' or 'logit'; {self.score!r} was given.")

    @property
    def score_words(self) -> str:
        """Name of the quantity that is explained."""
        return "logit margin" if self.score == "margin" else "logit"

    def attribute(self, probe: Probe, x: torch.Tensor, target: Target, seed: int) -> Attribution:
        """Explain one batch; see `Method.attribute`.

        Raises
        ------
        NetworkError
            If the network runs an operation that relevance cannot pass, or no layer takes the
            volume itself and `first` is "flat" or "w2".
        """
        name = type(probe.model).__name__
        # The derivative of the second is relevance that needs no intensity to stand on.
        pair = torch.stack([x, torch.zeros_like(x)]).requires_grad_()
        volume, taken = pair.unbind(0)
        tracer = Tracer(self._rule(), volume, taken)
        with traced_modules(probe.model) as owners, tracer:
            logits = probe.logits(volume)
        require_known(logits, RULED, owners, name)
        spare_last_layer(logits)
        chosen = target.choose(logits)
        derivative = probe.gradient(chosen.score(logits, self.score), logits)
        if self.first != "same" and not tracer.firsts:
            raise NetworkError(
                f"first={self.first!r} needs a convolution or linear layer that takes the volume "
                f"itself, and {name} has none; use first='same'."
            )
        given = (logits * derivative).sum(1)
        gradient, direct = probe.gradient(given, pair)
        values = (x * gradient + direct).sum(1)
        return Attribution(values, chosen, _notes(values, given.detach()))

    def _rule(self) -> Rule:
        convolution: RuleName = "epsilon" if self.rule == "epsilon" else "alpha-beta"
        linear: RuleName = "alpha-beta" if self.rule == "alpha-beta" else "epsilon"
        return Rule(convolution, linear, self.first, self.epsilon, self.beta)


def _notes(values: torch.Tensor, given: torch.Tensor) -> tuple[tuple[Note, ...], ...]:
    rows = []
    for start, map_ in zip(given.tolist(), values, strict=True):
        total = float(map_.sum())
        notes = [
            Note(
                f"sum of the map {total:.4g}, relevance at the logits {start:.4g}, absorbed by "
                f"biases and the stabiliser {start - total:.4g}"
            )
        ]
        if not map_.any():
            notes.append(Note("the relevance is zero everywhere", warn=True))
        rows.append(tuple(notes))
    return tuple(rows)
