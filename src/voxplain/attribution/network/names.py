"""The dotted paths of a network's layers."""

from __future__ import annotations

from torch import nn

from voxplain.errors import InputError, unknown_name

__all__ = ["layer_name"]


def layer_name(model: nn.Module, layer: str | nn.Module, auto: bool = False) -> str:
    """Find the dotted path of a layer.

    Parameters
    ----------
    model : torch.nn.Module
    layer : str or torch.nn.Module
        A dotted path, or the module itself.
    auto : bool, default=False
        Whether ``"auto"`` may stand for a layer that is still to be found.

    Returns
    -------
    str

    Raises
    ------
    InputError
        If the network has no such layer.
    """
    names: dict[str, nn.Module] = {n: module for n, module in model.named_modules() if n}
    given: object = layer
    if isinstance(layer, nn.Module):
        for name, module in names.items():
            if module is layer:
                return name
        raise InputError(
            f"The given {type(layer).__name__} is not a layer of this {type(model).__name__}."
        )
    if not isinstance(given, str):
        words = "'auto', a dotted path" if auto else "a dotted path"
        raise InputError(
            f"layer must be {words} or a module of the network; {type(given).__name__} was given."
        )
    if auto and layer == "auto":
        return layer
    if layer not in names:
        raise unknown_name("layer", layer, names)
    return layer
