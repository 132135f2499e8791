"""What every method declares, takes and gives back."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from voxplain.atlas import Atlas
from voxplain.attribution.network.needs import Needs
from voxplain.attribution.options import (
    OptionGroup,
    flattened,
    grouped,
    option_fields,
    require_type,
)
from voxplain.attribution.variation import Variation
from voxplain.errors import InputError

if TYPE_CHECKING:
    import torch

    from voxplain.attribution.network.probe import Probe
    from voxplain.attribution.network.target import Chosen, Target
    from voxplain.attribution.survey import Survey

__all__ = ["Attribution", "Method", "MethodInfo", "Needs", "Note", "describe_options"]


@dataclass(frozen=True)
class MethodInfo:
    """What a reader must know about a method before believing its maps.

    Parameters
    ----------
    name : str
        Name in the registry.
    label : str
        Name in tables and figures.
    citation : str
        The paper the method comes from.
    unit : str
        Unit of the values of a map.
    sign : str
        What a positive and a negative value say.
    complete : bool
        Whether the values of a map add up to a difference of the network's outputs.
    passes : str
        Cost per volume, in passes through the network.
    additive : bool, default=False
        Whether a value is the share of its own voxel, so that the values of several voxels add up
        to something: a gradient, a relevance, or a value divided among voxels. On voxels of half
        the volume such a value is half as large, and it is the sum that another grid must keep.
        Not so where a value belongs to a place whatever the size of its voxel: the effect of a
        block or a region, a share that is deleted, an activation drawn large. Complete maps are
        additive in any case.
    """

    name: str
    label: str
    citation: str
    unit: str
    sign: str
    complete: bool
    passes: str
    additive: bool = False


@dataclass(frozen=True)
class Note:
    """One remark on one map.

    Parameters
    ----------
    text : str
        One clause, such as ``"p(reference) = 0.12"``.
    warn : bool, default=False
        Whether the map means less than it seems to, so that the user must see the remark.
    """

    text: str
    warn: bool = False


@dataclass(frozen=True)
class Attribution:
    """What a kernel gives back for one batch.

    Parameters
    ----------
    values : tensor (N, X, Y, Z)
        The maps, in the unit of the method.
    chosen : Chosen
        What was explained in each sample.
    notes : tuple of tuple of Note
        The remarks on each sample; empty where there are none.
    """

    values: torch.Tensor
    chosen: Chosen
    notes: tuple[tuple[Note, ...], ...] = ()


@dataclass(frozen=True, eq=False)
class Method(ABC):
    """A way to explain a prediction: a frozen set of options and one kernel.

    A new method is one file in `voxplain.attribution.methods` and one line in its registry. The
    values of a sample must not depend on which other samples share its batch.
    """

    info: ClassVar[MethodInfo]
    needs: ClassVar[Needs] = Needs()
    prepares_for_network: ClassVar[bool] = True
    """Whether what `prepare` finds out holds for one network alone."""
    renamed: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """From names that options had in the last version to those that they have now."""

    @property
    def score_words(self) -> str:
        """Name of the quantity that is explained: ``"logit"``, ``"logit margin"``, ..."""
        return "logit"

    @property
    def unit(self) -> str:
        """Unit of this very method's maps, where options change it."""
        return self.info.unit

    @property
    def sign(self) -> str:
        """What a positive and a negative value say, where options change it."""
        return self.info.sign

    @property
    def additive(self) -> bool:
        """Whether values are shares of their voxels, whose sum another grid must keep."""
        return self.info.additive or self.info.complete

    @property
    def requires(self) -> Needs:
        """What this very method needs; more than its class's `needs` where it wraps another."""
        return self.needs

    @property
    def smooth_mm(self) -> float:
        """Width (FWHM) by which the method smooths its maps itself, mm; 0 where it does not."""
        return 0.0

    @property
    def surveys(self) -> bool:
        """Whether the method must see the volumes of a run, in `prepare`, before the first map."""
        return False

    def prepare(self, survey: Survey, seed: int) -> Method:
        """Look at the volumes of a run; called once, before the first map, where `surveys` says so.

        Parameters
        ----------
        survey : Survey
            All volumes of the run, opened a batch at a time.
        seed : int
            The only source of randomness.

        Returns
        -------
        Method
            One that knows what it has seen, and surveys no more.
        """
        return self

    @abstractmethod
    def attribute(self, probe: Probe, x: torch.Tensor, target: Target, seed: int) -> Attribution:
        """Explain one batch.

        Parameters
        ----------
        probe : Probe
            The network, in eval mode and with frozen parameters.
        x : tensor (N, 1, X, Y, Z)
            The batch; it must not be changed.
        target : Target
            What to explain in each sample.
        seed : int
            The only source of randomness.

        Returns
        -------
        Attribution
        """

    @classmethod
    def option_names(cls) -> tuple[str, ...]:
        """Names of the options that the method takes; of one in a group, ``group.option``."""
        return tuple(name for name, _ in option_fields(cls))

    @classmethod
    def option_defaults(cls) -> dict[str, str]:
        """Write each option's default as one types it.

        Returns
        -------
        dict of str to str
            ``"required"`` where there is no default, and ``"None"`` for an option beside the
            fields, such as a preset.
        """
        shown = dict.fromkeys(cls.option_names(), "None")
        for name, option in option_fields(cls):
            default: Any = option.default
            if option.default_factory is not MISSING:
                default = option.default_factory()
            if isinstance(default, Method):
                default = default.info.name
            shown[name] = "required" if default is MISSING else str(default)
        return shown

    @classmethod
    def with_options(cls, options: Mapping[str, Any]) -> Method:
        """Make the method from named options.

        Parameters
        ----------
        options : mapping of str to object
            One of a group as ``group.option``, or several as ``group``, a mapping.

        Returns
        -------
        Method

        Raises
        ------
        InputError
            If the method has no option of that name, or the value is not allowed.
        """
        flat = flattened(cls, options, cls.renamed, cls.info.name)
        cls.require_known(flat)
        return cls(**grouped(cls, flat))

    @classmethod
    def require_known(cls, options: Mapping[str, Any]) -> None:
        """Raise InputError if the method has no option of a given name, or not of that type."""
        names = cls.option_names()
        for given in options:
            if given not in names:
                takes = f"its options are {', '.join(names)}" if names else "it takes none"
                raise InputError(f"Method {cls.info.name!r} has no option {given!r}; {takes}.")
        cls.require_types(options)

    @classmethod
    def require_types(cls, options: Mapping[str, Any]) -> None:
        """Raise InputError if an option that is a number or a flag is given as something else."""
        flat = flattened(cls, options, cls.renamed, cls.info.name)
        for name, option in option_fields(cls):
            if name in flat:
                require_type(option.name, str(option.type), flat[name])


def describe_options(method: Method) -> dict[str, Any]:
    """Write a method's options as plain values, ready for JSON.

    Parameters
    ----------
    method : Method

    Returns
    -------
    dict of str to object
        Arrays appear by shape and hash, as ``"array (58, 70, 58), sha256 ..."``.
    """
    return {f.name: _plain(getattr(method, f.name)) for f in fields(method)}


def _plain(value: Any) -> Any:
    if isinstance(value, Method):
        return {"method": value.info.name, **describe_options(value)}
    if isinstance(value, OptionGroup):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, np.ndarray):
        data = np.ascontiguousarray(value, dtype=np.float32)
        return f"array {value.shape}, sha256 {hashlib.sha256(data.tobytes()).hexdigest()}"
    if isinstance(value, Variation):
        return value.describe()
    if isinstance(value, Atlas):
        return f"atlas {value.name}, {_plain(value.labels)}"
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return value
