"""Names of a network's layers, and how many of its classes have one."""

from __future__ import annotations

from torch import nn

from voxplain.errors import InputError, unknown_name

__all__ = ["layer_name", "require_class", "require_names"]


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


def require_class(index: int, outputs: int) -> None:
    """Refuse a class that a network does not tell apart from others.

    Parameters
    ----------
    index : int
    outputs : int
        Of the network; one output tells two classes apart.

    Raises
    ------
    InputError
        If it is none of them.
    """
    classes = max(outputs, 2)
    if not 0 <= index < classes:
        raise InputError(
            f"Target class {index} is out of range: the network tells {classes} classes apart, "
            f"numbered 0 to {classes - 1}."
        )


def require_names(names: int, outputs: int) -> None:
    """Refuse names of classes that a network does not tell apart.

    Parameters
    ----------
    names : int
        How many were given; 0 is always right.
    outputs : int
        Of the network; one output tells two classes apart.

    Raises
    ------
    InputError
        If they are too many or too few.
    """
    if names and names != max(outputs, 2):
        needs = "one for each" if outputs > 1 else "two, that of class 0 first"
        raise InputError(
            f"{names} class name{'s were' if names > 1 else ' was'} given, and the network has "
            f"{outputs} output{'s' if outputs > 1 else ''}; give {needs}."
        )
