"""The arguments of `explain` as people write them: read, or refused in a sentence."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from typing import Protocol, cast, overload

import numpy as np
import torch
from torch import nn

from voxplain.attribution.engine import Engine
from voxplain.errors import InputError
from voxplain.inputs import as_volume, is_volume_like, no_volume
from voxplain.volume import Volume

__all__ = [
    "read_class_names",
    "read_engine",
    "read_models",
    "read_positions",
    "read_seed",
    "read_volumes",
    "require_volume",
]

_SEEDS = 2**63


class SizedVolumes(Protocol):
    """Volumes whose number is known."""

    def __len__(self) -> int:
        """Count them."""

    def __iter__(self) -> Iterator[Volume]:
        """Go through them."""


def read_models(model: object) -> list[nn.Module]:
    """Read one network or several.

    Parameters
    ----------
    model : torch.nn.Module, or several in a list or tuple

    Returns
    -------
    list of torch.nn.Module

    Raises
    ------
    InputError
        If it is anything else.
    """
    models: list[nn.Module] = []
    for one in model if isinstance(model, list | tuple) else [model]:
        if not isinstance(one, nn.Module) or isinstance(one, nn.ModuleList | nn.ModuleDict):
            raise InputError(
                f"model must be a torch.nn.Module, or several in a list; {_kind(one)} was given"
                f"{_way_to_a_network(one)}."
            )
        models.append(one)
    if not models:
        raise InputError("model must be a torch.nn.Module, or several; an empty list was given.")
    return models


def _way_to_a_network(given: object) -> str:
    if isinstance(given, type) and issubclass(given, nn.Module):
        return f": make a network of it first, {given.__name__}(...)"
    if isinstance(given, Mapping):
        return ": weights need their network; build it and give them to its load_state_dict"
    if isinstance(given, str | os.PathLike):
        return ": build the network and load its weights from the file first"
    if isinstance(given, nn.ModuleList):
        return ": give the networks as list(model)"
    return ""


def read_volumes(given: object) -> SizedVolumes:
    """Read one volume or several.

    Parameters
    ----------
    given : Volume, path or nibabel image, or iterable of them
        Files are read when their turn comes.

    Returns
    -------
    sized iterable of Volume

    Raises
    ------
    InputError
        If it is anything else; what an iterable holds that cannot be looked at without loading it
        is found out on the way.
    """
    if is_volume_like(given):
        return [as_volume(given)]
    if isinstance(given, list | tuple):
        for one in given:
            if not is_volume_like(one):
                raise no_volume(one)
        return given if all(isinstance(one, Volume) for one in given) else _Scans(given)
    single = isinstance(given, Mapping | np.ndarray | torch.Tensor)
    if single or not isinstance(given, Iterable):
        raise no_volume(given)
    if isinstance(given, Sized) and isinstance(given, Iterable):
        return given
    return read_volumes(list(cast("Iterable[object]", given)))


class _Scans(Sequence[Volume]):
    """Volumes that are read from their files each time they are asked for."""

    def __init__(self, given: Sequence[object]) -> None:
        self.given = given

    def __len__(self) -> int:
        return len(self.given)

    @overload
    def __getitem__(self, index: int) -> Volume: ...
    @overload
    def __getitem__(self, index: slice) -> _Scans: ...
    def __getitem__(self, index: int | slice) -> Volume | _Scans:
        if isinstance(index, slice):
            return _Scans(self.given[index])
        return as_volume(self.given[index])


def require_volume(given: object) -> None:
    """Raise InputError, with the way to a Volume, where something is none."""
    if not isinstance(given, Volume):
        raise no_volume(given)


def read_class_names(given: object) -> tuple[str, ...]:
    """Read the names of the classes.

    Parameters
    ----------
    given : sequence of str, array, pandas Index or Series, mapping, or None
        In the order of the network's outputs; a mapping goes from the index to the name, or from
        the name to the index.

    Returns
    -------
    tuple of str
        Empty where there are none.

    Raises
    ------
    InputError
        If it is anything else, or a name is there twice.
    """
    if given is None:
        return ()
    if isinstance(given, str | bytes):
        parts = [part.strip() for part in str(given).split(",")]
        raise InputError(
            f"class_names must be a list of names; one text {given!r} was given: "
            f"did you mean {parts!r}?"
        )
    if isinstance(given, Mapping):
        names = _in_order(given)
    elif isinstance(given, set | frozenset) or not isinstance(given, Iterable):
        raise InputError(
            "class_names must be a list of names in the order of the network's outputs; "
            f"{_kind(given)} was given."
        )
    else:
        names = list(given)
    for name in names:
        if not isinstance(name, str):
            raise InputError(f"class_names must be texts; {name!r} is {_kind(name)}.")
    if len(set(names)) < len(names):
        raise InputError(f"class_names must differ from each other; {names!r} was given.")
    return tuple(str(name) for name in names)


def _in_order(given: Mapping[object, object]) -> list[object]:
    whole = list(range(len(given)))
    by_index = {_whole_number(key): value for key, value in given.items()}
    if None not in by_index and sorted(by_index) == whole:  # type: ignore[type-var]
        return [by_index[i] for i in whole]
    by_name = {_whole_number(value): key for key, value in given.items()}
    if None not in by_name and sorted(by_name) == whole:  # type: ignore[type-var]
        return [by_name[i] for i in whole]
    raise InputError(
        "class_names as a mapping must number the classes from 0 on, such as {0: 'female', "
        f"1: 'male'}}; {dict(given)!r} was given."
    )


def _whole_number(value: object) -> int | None:
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return int(value)
    return None


def read_engine(given: object) -> Engine:
    """Read the engine; None is the default one.

    Parameters
    ----------
    given : Engine or None

    Returns
    -------
    Engine

    Raises
    ------
    InputError
        If it is anything else.
    """
    if given is None:
        return Engine()
    if not isinstance(given, Engine):
        raise InputError(
            "engine must be an Engine of voxplain.attribution, such as Engine(device='cpu', "
            f"batch_size=4); {_kind(given)} was given."
        )
    return given


def read_seed(given: object) -> int:
    """Read the seed, a whole number from 0 on.

    Parameters
    ----------
    given : int

    Returns
    -------
    int

    Raises
    ------
    InputError
        If it is anything else.
    """
    seed = _whole_number(given)
    if seed is None or not 0 <= seed < _SEEDS:
        raise InputError(f"seed must be a whole number from 0 on; {given!r} was given.")
    return seed


def read_positions(given: Sequence[int], total: int) -> tuple[int, ...]:
    """Read which of `total` volumes are wanted, ascending and each once.

    Raises
    ------
    InputError
        If one is no position of a volume.
    """
    found = [_whole_number(position) for position in given]
    for position, asked in zip(found, given, strict=True):
        if position is None or not 0 <= position < total:
            raise InputError(
                f"only must hold positions of the {total} volumes, from 0 on; {asked!r} was given."
            )
    return tuple(sorted({position for position in found if position is not None}))


def _kind(given: object) -> str:
    if isinstance(given, type):
        return f"the class {given.__name__}"
    return type(given).__name__
