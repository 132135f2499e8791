"""Options of methods: their types, groups of them, and names that they had before."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, replace
from typing import Any

import numpy as np

from voxplain.errors import InputError, VoxplainWarning

__all__ = ["OptionGroup", "flattened", "grouped", "option_fields", "require_type"]


@dataclass(frozen=True)
class OptionGroup:
    """Options of a method that belong together; a frozen dataclass, as the method is one.

    One of them is named ``group.option``: on the command line ``--option
    method:group.option=value``, in Python ``group={"option": value}``.
    """

    def require_above_zero(self, *names: str) -> None:
        """Raise InputError if one of the named options is not above 0."""
        for name in names:
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be above 0; {getattr(self, name)} was given.")

    def require_not_negative(self, *names: str) -> None:
        """Raise InputError if one of the named options is below 0."""
        for name in names:
            if getattr(self, name) < 0:
                raise InputError(f"{name} must not be negative; {getattr(self, name)} was given.")


def option_fields(kind: type[Any]) -> Iterator[tuple[str, Field[Any]]]:
    """Go through the options of a method, those of its groups one by one.

    Parameters
    ----------
    kind : type
        The method's dataclass.

    Yields
    ------
    name : str
        ``"reference"``, ``"optimiser.iterations"``.
    field : dataclasses.Field
    """
    for option in fields(kind):
        default = _default(option)
        if isinstance(default, OptionGroup):
            yield from ((f"{option.name}.{inner.name}", inner) for inner in fields(default))
        else:
            yield option.name, option


def _default(option: Field[Any]) -> Any:
    return option.default if option.default_factory is MISSING else option.default_factory()


def _groups(kind: type[Any]) -> dict[str, OptionGroup]:
    found = {option.name: _default(option) for option in fields(kind)}
    return {name: value for name, value in found.items() if isinstance(value, OptionGroup)}


def flattened(
    kind: type[Any], options: Mapping[str, Any], renamed: Mapping[str, str], method: str
) -> dict[str, Any]:
    """Name each option by itself, as `option_fields` does.

    Parameters
    ----------
    kind : type
        The method's dataclass.
    options : mapping of str to object
        By name; a group as a mapping, or as the group itself.
    renamed : mapping of str to str
        From names that options had before to those that they have.
    method : str
        Its name, for messages.

    Returns
    -------
    dict of str to object

    Raises
    ------
    InputError
        If a group is given as something else, or an option by both of its names.

    Warns
    -----
    VoxplainWarning
        If an option is given by the name that it had before.
    """
    groups, flat, old = _groups(kind), dict[str, Any](), []
    for name, value in options.items():
        if name in groups and isinstance(value, Mapping):
            flat |= {f"{name}.{key}": inner for key, inner in value.items()}
        elif name in groups and isinstance(value, type(groups[name])):
            flat |= {f"{name}.{one.name}": getattr(value, one.name) for one in fields(value)}
        elif name in renamed:
            old.append(name)
        elif name in groups:
            example = fields(groups[name])[0]
            raise InputError(
                f"{name} is a group of options, such as {name}={{{example.name!r}: "
                f"{example.default!r}}}; {value!r} was given."
            )
        else:
            flat[name] = value
    for name in old:
        if renamed[name] in flat:
            raise InputError(f"Options {name!r} and {renamed[name]!r} are one; give the second.")
        flat[renamed[name]] = options[name]
    if old:
        now = ", ".join(f"{name} is {renamed[name]}" for name in old)
        warnings.warn(
            f"Options of {method} have other names now, and the old ones go with the next "
            f"version: {now}.",
            VoxplainWarning,
            stacklevel=2,
        )
    return flat


def grouped(kind: type[Any], flat: Mapping[str, Any]) -> dict[str, Any]:
    """Gather options that `flattened` named one by one into their groups."""
    made = {name: value for name, value in flat.items() if "." not in name}
    for name, group in _groups(kind).items():
        start = f"{name}."
        inner = {key.removeprefix(start): v for key, v in flat.items() if key.startswith(start)}
        if inner:
            made[name] = replace(group, **inner)
    return made


# Of each type that an option may be declared to have: what may be given, and its name.
_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "int": ((int, np.integer), "a whole number"),
    "float": ((int, float, np.integer, np.floating), "a number"),
    "bool": ((bool, np.bool_), "True or False"),
}


def require_type(name: str, declared: str, value: object) -> None:
    """Raise InputError if an option that is a number or a flag is given as something else."""
    kind = declared.removesuffix(" | None")
    if kind not in _TYPES or (value is None and kind != declared):
        return
    allowed, words = _TYPES[kind]
    mixed_up = isinstance(value, bool) and kind != "bool"
    is_nan = isinstance(value, float | np.floating) and np.isnan(value)
    if not isinstance(value, allowed) or mixed_up or is_nan:
        raise InputError(f"{name} must be {words}; {value!r} was given.")
