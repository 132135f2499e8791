"""Which layer a method looks at where the user names none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from voxplain.attribution.examine.paths import Handed, Ways, follow
from voxplain.attribution.network.layouts import Layout, Surroundings, layout_of
from voxplain.attribution.network.probe import probe
from voxplain.errors import NetworkError

if TYPE_CHECKING:
    from voxplain.attribution.examine.trace import Trace

__all__ = ["AutoLayer", "auto_layer", "first_features"]

# Modules that only coarsen the feature maps of the layer before them.
_POOLS = (
    nn.AvgPool3d,
    nn.MaxPool3d,
    nn.AdaptiveAvgPool3d,
    nn.AdaptiveMaxPool3d,
    nn.LPPool3d,
)
# Operations that make features of what they are given.
_LEARNED = ("Convolution", "Addmm", "Mm", "Bmm", "Baddbmm", "ScaledDotProduct")
_ATTENTION = ("ScaledDotProduct", "BmmBackward", "BaddbmmBackward")
_NAMED = 3


@dataclass(frozen=True)
class AutoLayer:
    """The layer that was chosen.

    Parameters
    ----------
    name : str
        Dotted path.
    doubt : str
        Why a map made there means less than it seems to, in a sentence; empty where it does not.
    """

    name: str
    doubt: str = ""


@dataclass(frozen=True, eq=False)
class _Spot:
    """The last call of a module that gives feature maps with spatial extent."""

    call: Handed
    layout: Layout
    pooled: bool

    @property
    def name(self) -> str:
        return self.call.name


def auto_layer(model: nn.Module, x: torch.Tensor) -> AutoLayer:
    """Find the last feature maps with spatial extent that all evidence passes through.

    Every way from the input to the output leads through them: the output of a block with a
    shortcut, not that of its last convolution. Feature maps that were only pooled stand back for
    those before them. Of a transformer, the last tokens are taken of which the patches still
    speak to the output. Where no layer is on every way, the one with the most ways through it is
    taken, and this is said.

    Parameters
    ----------
    model : torch.nn.Module
        It is left as it was.
    x : tensor (N, 1, X, Y, Z)
        An example, whose numbers are only looked at where the network has tokens, or cannot be
        followed on shapes alone.

    Returns
    -------
    AutoLayer

    Raises
    ------
    NetworkError
        If no layer module gives feature maps.
    """
    ways = follow(model, x)
    spots, unread = _spots(model, x, ways)
    if not spots:
        raise NetworkError(
            f"{type(model).__name__} has no layer module that gives feature maps (N, C, X, Y, Z); "
            "name a layer."
        )
    if not ways.total:
        # Without a gradient there is no way to see; the method says so on the real volume.
        return AutoLayer(next((s for s in reversed(spots) if not s.pooled), spots[-1]).name)
    whole = [s for s in spots if ways.through(s.call) == ways.total]
    spoken = _tokens_that_speak(model, x, [s for s in whole if s.layout.of_tokens])
    whole = [
        s for s in whole if (not s.layout.of_tokens or s.name in spoken) and _learned(ways, s.call)
    ]
    if not whole:
        return _of_branches(model, ways, spots)
    chosen = _before_pooling(ways, whole)
    return AutoLayer(chosen.name, _doubt(model, ways, chosen, unread))


def _spots(model: nn.Module, x: torch.Tensor, ways: Ways) -> tuple[list[_Spot], list[Handed]]:
    """Find where there are feature maps, and the tokens of which nobody knows the places."""
    last = {call.name: call for call in ways.calls}
    makers: dict[Any, nn.Module] = {}
    around = Surroundings(model, len(x), (x.shape[2], x.shape[3], x.shape[4]))
    spots: list[_Spot] = []
    unread: list[Handed] = []
    for call in ways.calls:
        maker = makers.setdefault(ways.origin(call), call.module)
        if isinstance(call.module, nn.Conv3d) and len(call.shape) == 5:
            around.grids.append((call.shape[2], call.shape[3], call.shape[4]))
        layout = layout_of(call.module, call.shape, around)
        if call is last[call.name] and layout is not None and max(layout.grid) > 1:
            spots.append(_Spot(call, layout, isinstance(maker, _POOLS)))
        elif layout is None and len(call.shape) == 3 and min(call.shape[1:]) > 1:
            unread.append(call)
    return spots, unread


def _learned(ways: Ways, call: Handed) -> bool:
    return any(name.startswith(_LEARNED) for name in ways.operations_before(call))


def _before_pooling(ways: Ways, whole: Sequence[_Spot]) -> _Spot:
    """Take the last spot, or one that is only pooled on the way to it; the innermost module's."""
    chosen = whole[-1]
    for spot in reversed(whole[:-1]):
        if ways.origin(spot.call) == ways.origin(chosen.call):
            chosen = spot
            continue
        between = ways.single_way(chosen.call, spot.call) if chosen.pooled else None
        if between is None or any(name.startswith(_LEARNED) for name in between):
            break
        chosen = spot
    return chosen


def _of_branches(model: nn.Module, ways: Ways, spots: Sequence[_Spot]) -> AutoLayer:
    own = [s for s in spots if not s.pooled and _learned(ways, s.call)] or list(spots)
    most = max(ways.through(s.call) for s in own)
    chosen = _innermost(ways, own, [s for s in own if ways.through(s.call) == most][-1])
    past = ways.after(chosen.call)
    others = [s for s in own if s is not chosen and s.call.made and s.call.made[0] in past]
    such = f" such as {_innermost(ways, own, others[-1]).name!r}" if others else ""
    return AutoLayer(
        chosen.name,
        f"no layer of {type(model).__name__} holds all evidence: layer {chosen.name!r} is taken, "
        f"and evidence passes it by on other branches{such}; name the layer you mean.",
    )


def _innermost(ways: Ways, spots: Sequence[_Spot], spot: _Spot) -> _Spot:
    """Of a container and its last module, take the module."""
    return next(s for s in spots if ways.origin(s.call) == ways.origin(spot.call))


def _doubt(model: nn.Module, ways: Ways, chosen: _Spot, unread: Sequence[Handed]) -> str:
    name = f"layer {chosen.name!r} of {type(model).__name__}"
    if chosen.layout.of_tokens:
        if not chosen.layout.extra:
            return ""
        count = chosen.layout.extra
        return (
            f"{name} gives {count} token{'s' * (count > 1)} beside the patches', which carr"
            f"{'y' if count > 1 else 'ies'} evidence of earlier layers past the map; its map shows "
            "what the patches still add from there on."
        )
    past = ways.after(chosen.call)
    later = [
        call.name
        for call in ways.calls
        if isinstance(call.module, nn.Conv3d)
        and max(call.module.kernel_size) > 1
        and len(call.shape) == 5
        and max(call.shape[2:]) > 1
        and call.made is not None
        and call.made[0] in past
    ]
    if later:
        named = ", ".join(repr(one) for one in list(dict.fromkeys(later))[-_NAMED:])
        return (
            f"{name} is the last that all evidence passes through, but convolutions come after it "
            f"({named}) on branches that no module joins; name the layer you mean, or add the "
            "branches inside a module (an nn.Identity after the sum will do)."
        )
    if any(call.made is not None and call.made[0] in past for call in unread) and any(
        node.name().startswith(_ATTENTION) for node in past
    ):
        return (
            f"{name} comes before the network's attention layers, whose output voxplain cannot lay "
            "out as a volume: the map shows what the patches look like, not how the network joins "
            "them; name a layer, or use a method without one, such as 'gradient' or 'occlusion'."
        )
    return ""


def _tokens_that_speak(model: nn.Module, x: torch.Tensor, spots: Sequence[_Spot]) -> frozenset[str]:
    """Find the layers of tokens of which not the class token alone matters to the output.

    What the last block hands on is often read at the class token alone, so that the patches there
    have no gradient.
    """
    if not spots:
        return frozenset()
    given: dict[str, torch.Tensor] = {}
    handles = []
    with probe(model) as p:
        try:
            for spot in spots:

                def keep(
                    module: nn.Module, args: object, out: torch.Tensor, name: str = spot.name
                ) -> None:
                    given[name] = out

                handles.append(model.get_submodule(spot.name).register_forward_hook(keep))
            logits = p.logits(x[:1].detach().clone().requires_grad_())
        finally:
            for handle in handles:
                handle.remove()
        # Not a plain sum: that of probabilities is always 1.
        weights = torch.arange(1, logits.shape[1] + 1).to(logits)
        score = (logits * weights).sum()
        names = list(given)
        found = torch.autograd.grad(score, [given[n] for n in names], allow_unused=True)
    gradients = dict(zip(names, found, strict=True))
    return frozenset(
        spot.name
        for spot in spots
        if (gradient := gradients.get(spot.name)) is not None
        and bool(spot.layout.maps(gradient).any())
    )


def first_features(model: nn.Module, calls: Trace) -> str:
    """Find what the first convolution's block hands on: its ReLU, or the convolution itself.

    Parameters
    ----------
    model : torch.nn.Module
    calls : Trace
        Of the network.

    Returns
    -------
    str
        Dotted path.

    Raises
    ------
    NetworkError
        If no convolution module gives feature maps.
    """
    first = ""
    for call in calls.calls:
        module = model.get_submodule(call.name)
        if isinstance(module, nn.Conv3d):
            if first:
                break
            first = call.name
        elif first and isinstance(module, nn.ReLU) and len(call.shape) == 5:
            return call.name
    if not first:
        raise NetworkError(
            f"{type(model).__name__} has no 3D convolution module; name a layer with --layer."
        )
    return first
