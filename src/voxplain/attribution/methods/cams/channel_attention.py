"""Channel attention: what in the image excites one channel of a layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from voxplain.attribution.method import Attribution, Method, MethodInfo, Note
from voxplain.attribution.network.needs import Needs
from voxplain.errors import InputError

if TYPE_CHECKING:
    from voxplain.attribution.network.probe import Probe
    from voxplain.attribution.network.target import Target

__all__ = ["ChannelAttention"]


@dataclass(frozen=True, eq=False)
class ChannelAttention(Method):
    """Gradient of a channel's summed activation with respect to the input (Kan et al., 2020).

    The map answers "what in the image excites this channel". The target does not enter it; it
    only picks the channel, where `channel` does not name one.

    Parameters
    ----------
    channel : int, optional
        Number of the channel, from 0. None takes, for each volume, the channel that speaks
        strongest for the target: the one of the largest Grad-CAM weight times mean activation. A
        volume for whose target no channel speaks gets zeros and a warning.

    Raises
    ------
    InputError
        If the number is negative, or the layer has fewer channels.
    """

    channel: int | None = None

    info: ClassVar[MethodInfo] = MethodInfo(
        name="channel-attention",
        label="Channel attention",
        citation="Kan et al. 2020, arXiv:2006.15969, its published code",
        unit="summed activation of the channel per unit of intensity",
        sign="positive: a brighter voxel excites the channel; negative: inhibits it",
        complete=False,
        passes="1 forward and 1 backward",
        additive=True,
    )
    needs: ClassVar[Needs] = Needs(layer=True)

    def __post_init__(self) -> None:
        if self.channel is not None and self.channel < 0:
            raise InputError(f"channel must not be negative; {self.channel} was given.")

    @property
    def score_words(self) -> str:
        """Name of the quantity that is explained."""
        if self.channel is None:
            return "strongest channel for the logit"
        return f"activation of channel {self.channel}, whatever the logit"

    def attribute(self, probe: Probe, x: torch.Tensor, target: Target, seed: int) -> Attribution:
        """Explain one batch; see `Method.attribute`."""
        leaf = x.detach().clone().requires_grad_()
        with probe.attached():
            logits = probe.logits(leaf)
        chosen = target.choose(logits)
        activation = probe.activation
        if self.channel is None:
            # This walks back no further than the layer, so the graph before it is still whole.
            weights = probe.gradient(chosen.score(logits), activation).mean((2, 3, 4))
            evidence, channels = (weights * activation.detach().mean((2, 3, 4))).max(1)
            speaks = evidence > 0
            notes = _picked(probe, channels.tolist(), evidence.tolist())
        else:
            channels, speaks = self._given(probe, activation)
            notes = ((Note(f"channel {self.channel} of layer {probe.layer!r}"),),) * len(x)
        summed = activation.sum((2, 3, 4)).gather(1, channels[:, None])[:, 0]
        values = probe.gradient(summed, leaf).sum(1)
        return Attribution(values * speaks[:, None, None, None], chosen, notes)

    def _given(self, probe: Probe, activation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        size, count = activation.shape[:2]
        channel = self.channel or 0
        if channel >= count:
            raise InputError(
                f"Layer {probe.layer!r} has {count} channels, numbered 0 to {count - 1}; channel "
                f"{channel} was given."
            )
        channels = torch.full((size,), channel, dtype=torch.int64, device=activation.device)
        return channels, torch.ones_like(channels, dtype=torch.bool)


def _picked(
    probe: Probe, channels: list[int], evidence: list[float]
) -> tuple[tuple[Note, ...], ...]:
    return tuple(
        (
            Note(
                f"channel {channel} of layer {probe.layer!r}, Grad-CAM weight times mean "
                f"activation {amount:.3g}"
                if amount > 0
                else f"no channel of layer {probe.layer!r} speaks for the target, so the map is "
                "zero",
                warn=amount <= 0,
            ),
        )
        for channel, amount in zip(channels, evidence, strict=True)
    )
