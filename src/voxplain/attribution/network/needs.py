"""What a method asks of the network that the engine prepares for it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Needs"]


@dataclass(frozen=True)
class Needs:
    """What a kernel needs of the network that the engine prepares for it.

    Parameters
    ----------
    layer : bool, default=False
        The activation of one layer.
    modules : bool, default=False
        Every module runs as itself, so that its hooks see its own input and output; the engine
        must not fuse modules.
    float32 : bool, default=False
        Outputs are compared with each other, so that rounding to bfloat16 would drown the map.
    gradient : bool, default=True
        The gradient with respect to the input, or as much as it; False where outputs, or the
        layer and its gradient, are all that is used.
    far : bool, default=False
        Images far from the scan are run too, such as those on the way to a reference.
    numbers : bool, default=False
        Outputs are read as they are, also where they look like probabilities.
    """

    layer: bool = False
    modules: bool = False
    float32: bool = False
    gradient: bool = True
    far: bool = False
    numbers: bool = False
