"""Whose weights these are: the names of tensors in a file, and those in a network."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile

from torch import Tensor

from voxplain.errors import NetworkError

__all__ = ["Match", "common_prefixes", "match_names", "published_layout", "unwrapped"]

_WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
_OF_TOOLS = ("total_ops", "total_params", "n_averaged")
_OF_TRAINING = re.compile(
    r"(^|_)(loss(es|fn)?|criterion|criteri[ao]|metrics?|ce|bce|nll|focal|crossentropy|entropy)(_|$)"
    r"|^(train|val|valid|test)_|^(pos|class|label)_weights?$",
    re.IGNORECASE,
)
_COUNTER = "num_batches_tracked"

_KAN2020_LAYOUTS = (
    {
        f"hidden{block}.{index}.": f"features.{name}{block}."
        for block in (1, 2, 3)
        for index, name in ((0, "conv"), (1, "norm"))
    }
    | {"linear.": "classifier."},
    {
        f"features.{4 * (block - 1) + index}.": f"features.{name}{block}."
        for block in (1, 2, 3)
        for index, name in ((0, "conv"), (1, "norm"))
    }
    | {"classifier.3.": "classifier."},
)
"""The two layouts published with Kan et al. 2020: prefixes there, and in `MRINet`."""


@dataclass(frozen=True)
class Match:
    """Which tensor of a file fills which of a network.

    Parameters
    ----------
    names : mapping of str to str
        From the network's name of a tensor to the file's.
    left_over : tuple of str
        Tensors of the file that fill nothing.
    prefix : str
        What stands before every name in the file alone.
    """

    names: Mapping[str, str]
    left_over: tuple[str, ...]
    prefix: str

    @property
    def clean(self) -> bool:
        """Whether all that is left over belongs to the training: a loss, a metric."""
        inside = {name.partition(".")[0] for name in self.names.values()}
        return all(
            _OF_TRAINING.search(first) and first not in inside
            for first in (name.partition(".")[0] for name in self.left_over)
        )


def match_names(
    wanted: Mapping[str, Tensor], state: Mapping[str, Tensor], network: str
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Find the one way in which the tensors of a file fill all of a network's.

    What data parallel training, compilation, training frameworks and profilers put before or
    beside the names is seen through, on either side, as long as names and shapes then agree one to
    one.

    Parameters
    ----------
    wanted : mapping of str to torch.Tensor
        The network's own state dict.
    state : mapping of str to torch.Tensor
        The file's.
    network : str
        Name of the network's class, for errors.

    Returns
    -------
    names : dict of str to str
        From the network's name of a tensor to the file's. Counters of batches may be missing.
    notes : tuple of str
        What was left out of the names, or left unused.

    Raises
    ------
    NetworkError
        If no way or more than one fits; tensors that are missing, left over or of another shape
        are named.
    """
    needed = {k: v for k, v in wanted.items() if not k.endswith(_COUNTER)}
    if needed.keys() <= state.keys() <= wanted.keys():
        tried = [Match({k: k for k in state}, (), "")]
    else:
        tried = list(_tried(wanted, state))
    fits: dict[tuple[str, ...], Match] = {}
    for one in tried:
        if all(k in one.names and _same(needed[k], state[one.names[k]]) for k in needed):
            fits.setdefault(tuple(one.names[k] for k in needed), one)
    if len(fits) > 1:
        places = " and ".join(repr(one.prefix) for one in fits.values())
        raise NetworkError(
            f"The weights hold {network} more than once, under {places}; save the tensors of one "
            "of them alone."
        )
    found = next(iter(fits.values()), None)
    if found is None or not found.clean:
        best = found or max(tried, key=lambda one: len(one.names), default=Match({}, (), ""))
        raise NetworkError(_mismatch(best, needed, state, network))
    tools = sorted({k.rpartition(".")[2] for k in state if k not in wanted and _of_tool(k)})
    said = (f"the weights also hold {', '.join(tools)}, which were not used",) if tools else ()
    return dict(found.names), (*_notes(found), *said)


def _tried(wanted: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> Iterator[Match]:
    """Every way to read the names of a file as those of a network."""
    own = {name: name for name in wanted}
    for layout in (None, *_KAN2020_LAYOUTS):
        for plain in (str, unwrapped):
            theirs = {plain(k): k for k in state if k in wanted or not _of_tool(k)}
            ours = {plain(k): k for k in own}
            if len(ours) < len(wanted) or len(theirs) < sum(not _of_tool(k) for k in state):
                continue
            if layout is not None:
                theirs = _translated(theirs, layout)
            if theirs:
                yield from _prefixed(ours, theirs)


def _prefixed(ours: Mapping[str, str], theirs: Mapping[str, str]) -> Iterator[Match]:
    """Names that agree but for what stands before all of them, on either side."""
    needed = [name for name in ours if not name.endswith(_COUNTER)]
    for own in common_prefixes(needed):
        ends = {name.removeprefix(own) for name in (needed[:1] + needed[-1:])}
        starts = sorted(k[: -len(e)] for e in ends for k in theirs if f".{k}".endswith(f".{e}"))
        for prefix in dict.fromkeys(starts or [""]):
            names = {
                ours[own + rest]: theirs[prefix + rest]
                for rest in (name.removeprefix(own) for name in ours)
                if prefix + rest in theirs
            }
            used = set(names.values())
            yield Match(names, tuple(k for k in theirs.values() if k not in used), prefix)


def common_prefixes(names: list[str]) -> list[str]:
    """Return what stands before every name, ended by a dot, the empty one first."""
    parts = [name.split(".")[:-1] for name in names]
    shared = [
        level[0]
        for level in takewhile(lambda level: len(set(level)) == 1, zip(*parts, strict=False))
    ]
    return ["", *(".".join(shared[: n + 1]) + "." for n in range(len(shared)))]


def unwrapped(name: str) -> str:
    """Leave out of a tensor's name what wrappers of networks put in."""
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def published_layout(state: Mapping[str, Tensor]) -> bool:
    """Tell whether a file has the names of the weights published with Kan et al. 2020."""
    names = {unwrapped(name): name for name in state}
    return any(_translated(names, layout) for layout in _KAN2020_LAYOUTS)


def _translated(names: Mapping[str, str], layout: Mapping[str, str]) -> dict[str, str]:
    """Read names in one of the published layouts as `MRINet`'s; nothing where they are others."""
    for before in common_prefixes([*names]):
        found = {}
        for name, key in names.items():
            rest = name.removeprefix(before)
            start = next((prefix for prefix in layout if rest.startswith(prefix)), None)
            if start is not None:
                found[layout[start] + rest.removeprefix(start)] = key
        if len(found) == len(names):
            return found
    return {}


def _of_tool(name: str) -> bool:
    return name.rpartition(".")[2] in _OF_TOOLS


def _same(own: Tensor, given: Tensor) -> bool:
    return own.shape == given.shape


def _notes(found: Match) -> tuple[str, ...]:
    notes = []
    dropped = {
        part
        for own, given in found.names.items()
        for part in given.split(".")
        if part in _WRAPPERS and part not in own.split(".")
    }
    if prefix := found.prefix or ".".join(sorted(dropped)):
        notes.append(f"{prefix.rstrip('.')!r} was left out of the names of the weights")
    if found.left_over:
        notes.append(f"the weights also hold {_listed(found.left_over)}, which was not used")
    return tuple(notes)


def _mismatch(
    best: Match, needed: Mapping[str, Tensor], state: Mapping[str, Tensor], network: str
) -> str:
    missing = [f"{k!r} {_shape(needed[k])}" for k in needed if k not in best.names]
    extra = [f"{k!r} {_shape(state[k])}" for k in best.left_over]
    other = [k for k in needed if k in best.names and not _same(needed[k], state[best.names[k]])]
    if missing:
        spare = f", and hold {_listed(extra)} that it does not have" if extra else ""
        return (
            f"The weights have no tensor {_listed(missing)}, which {network} needs{spare}; they "
            "belong to another network."
        )
    if other:
        name = best.names[other[0]]
        more = f", and {len(other) - 1} more differ" if len(other) > 1 else ""
        return (
            f"Tensor {name!r} is {_shape(state[name])} in the weights and "
            f"{_shape(needed[other[0]])} in {network}{more}; they belong to another network or "
            "grid."
        )
    return (
        f"The weights hold a tensor {_listed(extra)} that {network} does not have; they belong to "
        "another network."
    )


def _listed(names: list[str] | tuple[str, ...]) -> str:
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def _shape(tensor: Tensor) -> str:
    return "(" + ", ".join(str(n) for n in tensor.shape) + ")"
