"""Captum's methods, as methods of voxplain."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch.nn import functional

from voxplain.attribution.method import Attribution, Method, MethodInfo, Note
from voxplain.attribution.methods.captum.arguments import as_captum
from voxplain.attribution.methods.captum.checks import (
    DEEPLIFT,
    RECTIFIED,
    Scored,
    check_rectified,
    hookable,
    incomplete,
    passed_on_warnings,
)
from voxplain.attribution.methods.captum.isolation import as_it_was, seeded
from voxplain.attribution.methods.cubes import cubes
from voxplain.attribution.network.failures import out_of_memory
from voxplain.attribution.network.needs import Needs
from voxplain.errors import InputError, NetworkError, VoxplainError, unknown_name

if TYPE_CHECKING:
    from voxplain.attribution.network.probe import Probe
    from voxplain.attribution.network.target import Target

__all__ = ["CAPTUM_NAMES", "CaptumMethod", "captum_method"]

_PREFIX = "captum:"
_BLOCK_MM, _CUBE_MM = 20.0, 24.0
_OF_INPUT = {
    "Saliency": "logit per unit of intensity",
    "InputXGradient": "logit",
    "IntegratedGradients": "logit",
    "DeepLift": "logit",
    "DeepLiftShap": "logit",
    "GradientShap": "logit",
    "GuidedBackprop": "logit per unit of intensity",
    "Deconvolution": "logit per unit of intensity",
    "Occlusion": "logit",
    "FeatureAblation": "logit per feature",
    "ShapleyValueSampling": "logit per feature",
    "Lime": "logit per feature",
    "KernelShap": "logit per feature",
}
_OF_LAYER = {
    "GuidedGradCam": "logit² per unit of intensity and of activation's mean",
    "LayerGradCam": "logit per spatial mean of activation",
    "LayerGradientXActivation": "logit per voxel of the layer",
    "LayerConductance": "logit per voxel of the layer",
    "LayerIntegratedGradients": "logit per voxel of the layer",
    "InternalInfluence": "logit per unit of activation",
    "LayerDeepLift": "logit per voxel of the layer",
    "LayerDeepLiftShap": "logit per voxel of the layer",
    "LayerGradientShap": "logit per voxel of the layer",
}
_ADDITIVE = frozenset(
    {"Saliency", "InputXGradient", "IntegratedGradients", "DeepLift", "DeepLiftShap"}
    | {"GradientShap", "GuidedBackprop", "Deconvolution", "GuidedGradCam"}
)
_UNITS = _OF_INPUT | _OF_LAYER
_OWN_DEFAULTS = {
    "abs": "False",
    "interpolate_mode": "trilinear",
    "sliding_window_shapes": "20 mm",
    "strides": "half the default window, or 1",
    "feature_mask": "cubes of 24 mm",
    "internal_batch_size": "the engine's batch size",
    "perturbations_per_eval": "the engine's batch size",
    "baselines": "0",
}
_OF_BASELINES = ("DeepLiftShap", "GradientShap", "LayerDeepLiftShap", "LayerGradientShap")
# What Captum weights by channels, and voxplain's own methods that know where they are.
_OF_CHANNELS = {"LayerGradCam": "grad-cam", "GuidedGradCam": "guided-grad-cam"}
# Set by the bridge, or of no use to a map.
_NOT_OPTIONS = frozenset(
    {"self", "inputs", "target", "additional_forward_args", "show_progress", "kwargs", "verbose"}
    | {"return_convergence_delta", "custom_attribution_func", "grad_kwargs", "return_input_shape"}
    | {"attr_dim_summation"}
)

CAPTUM_NAMES = frozenset(_PREFIX + name for name in _UNITS)


@dataclass(frozen=True, eq=False)
class CaptumMethod(Method):
    """One of Captum's methods (Kokhlikyan et al., 2020), run volume by volume.

    Captum explains the target's logit. Maps keep their sign: ``abs`` is off unless asked for.
    What Captum attributes to a layer is summed over its channels and carried to the input grid by
    trilinear interpolation. Where Captum needs to be told, the baseline is zero, the blocks of
    Occlusion have 20 mm at a stride of 10, and the features of the other perturbation methods are
    cubes of 24 mm.

    Parameters
    ----------
    arguments : mapping of str to object
        Arguments of Captum's ``attribute``. A list becomes a tuple, and an array (X, Y, Z) a
        tensor (1, 1, X, Y, Z).
    """

    arguments: Mapping[str, Any] = field(default_factory=dict)

    captum_class: ClassVar[type]

    @classmethod
    def option_names(cls) -> tuple[str, ...]:
        """Names of the arguments of Captum's ``attribute`` that may be set."""
        return tuple(cls.option_defaults())

    @classmethod
    def option_defaults(cls) -> dict[str, str]:
        """Write the default of each argument that may be set, the bridge's or Captum's."""
        takes = inspect.signature(cls.captum_class.attribute).parameters  # type: ignore[attr-defined]
        return {
            name: _OWN_DEFAULTS.get(name, str(one.default))
            for name, one in takes.items()
            if name not in _NOT_OPTIONS
        }

    @classmethod
    def with_options(cls, options: Mapping[str, Any]) -> Method:
        """Make the method from arguments of Captum's ``attribute``."""
        cls.require_known(options)
        return cls(dict(options))

    def attribute(self, probe: Probe, x: torch.Tensor, target: Target, seed: int) -> Attribution:
        """Explain one batch; see `Method.attribute`.

        Raises
        ------
        NetworkError
            If Captum fails on the network.
        """
        name = self.captum_class.__name__
        with torch.no_grad():
            chosen = target.choose(probe.logits(x))
        arguments = self._arguments(probe, x)
        maps, notes = [], []
        with probe.attached(), as_it_was(probe.model):
            modules, left = hookable(name, probe, x[:1])
            told = (Note(f"captum {version('captum')}"), *left)
            for row in range(len(x)):
                one = torch.tensor([row], device=x.device)
                picked = chosen.take(one)
                with seeded(seed, x.device), warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    leaf = x[one].detach().requires_grad_()
                    made, own = self._run(probe, Scored(probe, picked, modules), leaf, arguments)
                maps.append(made)
                notes.append((*told, *own, *passed_on_warnings(name, caught)))
                if row == 0 and name in RECTIFIED:
                    self._check_rectified(Scored(probe, picked, modules), x[:1], made)
                probe.report((row + 1) / len(x))
        values = torch.cat(maps).sum(1, keepdim=True)
        if values.shape[2:] != x.shape[2:]:
            values = functional.interpolate(
                values, x.shape[2:], mode="trilinear", align_corners=False
            )
        empty = (values.flatten(1) == 0).all(1).tolist()
        zero = Note(f"Captum's {name} gives a map of zeros", warn=True)
        told_of = tuple((*n, zero) if e else n for n, e in zip(notes, empty, strict=True))
        return Attribution(values[:, 0], chosen, told_of)

    def _check_rectified(self, scored: Scored, x: torch.Tensor, made: torch.Tensor) -> None:
        name = self.captum_class.__name__
        if name == "GuidedGradCam":
            # Its other factor is zero in places; the hooks are those of this class.
            kind = captum_method(_PREFIX + "GuidedBackprop").captum_class
            leaf = x.detach().clone().requires_grad_()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                made = kind(scored).attribute(leaf)
        check_rectified(name, scored.probe, x, scored.chosen, made.detach())

    def _run(
        self, probe: Probe, scored: Scored, x: torch.Tensor, arguments: Mapping[str, Any]
    ) -> tuple[torch.Tensor, tuple[Note, ...]]:
        name = self.captum_class.__name__
        layers = [probe.model.get_submodule(probe.layer)] if probe.layer else []
        with_delta = {"return_convergence_delta": True} if name in DEEPLIFT else {}
        try:
            method = self.captum_class(scored, *layers)
            made = method.attribute(x, **arguments, **with_delta)
        except (AssertionError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            if isinstance(error, VoxplainError) or out_of_memory(error):
                raise
            said = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
            raise NetworkError(
                f"Captum's {name} fails on {type(probe.model).__name__}: {said}."
            ) from error
        notes: tuple[Note, ...] = ()
        if with_delta:
            made, delta = made
            notes = incomplete(name, made.detach(), delta.detach())
        return self._as_maps(probe, made.detach()), notes

    def _as_maps(self, probe: Probe, made: torch.Tensor) -> torch.Tensor:
        layout, name = probe.layout, self.captum_class.__name__
        if layout is None or layout.kind == "channels first":
            return made
        if name in _OF_CHANNELS or layout.kind == "tokens before samples":
            own = _OF_CHANNELS.get(name, "hirescam")
            raise NetworkError(
                f"Captum's {name} takes the second axis of layer {probe.layer!r} for channels, but "
                f"the layer's output is {layout.kind}; use method {own!r}."
            )
        return layout.maps(made)

    def _arguments(self, probe: Probe, x: torch.Tensor) -> dict[str, Any]:
        name, takes = self.captum_class.__name__, self.option_names()
        made = {key: as_captum(key, value, x) for key, value in self.arguments.items()}
        for size in ("internal_batch_size", "perturbations_per_eval"):
            if size in takes:
                made.setdefault(size, probe.batch_size)
        if name == "Saliency":
            made.setdefault("abs", False)
        if name == "GuidedGradCam":
            made.setdefault("interpolate_mode", "trilinear")
        if name in _OF_BASELINES:
            # Two of them: Captum takes a single one for a mistake.
            given = torch.as_tensor(made.get("baselines", 0.0)).to(x)
            made["baselines"] = given.expand(2, *x.shape[1:])
        if name == "Occlusion" and "sliding_window_shapes" not in made:
            sizes = [
                min(n, max(1, round(_BLOCK_MM / v)))
                for n, v in zip(x.shape[2:], probe.voxel_size, strict=True)
            ]
            made["sliding_window_shapes"] = (1, *sizes)
            made.setdefault("strides", (1, *(max(1, n // 2) for n in sizes)))
        if "feature_mask" in takes and "feature_mask" not in made:
            features = cubes(x.shape[2:], [_CUBE_MM / size for size in probe.voxel_size]) - 1
            made["feature_mask"] = torch.from_numpy(features)[None, None].to(x.device)
        return made


@cache
def captum_method(name: str) -> type[CaptumMethod]:
    """Make a method of voxplain from the name of one of Captum's.

    Parameters
    ----------
    name : str
        Such as ``"captum:IntegratedGradients"``.

    Returns
    -------
    type of CaptumMethod

    Raises
    ------
    InputError
        If Captum is not installed, or the bridge does not know the name.
    """
    if name not in CAPTUM_NAMES:
        raise unknown_name("Captum method", name, CAPTUM_NAMES)
    if find_spec("captum") is None:
        raise InputError(f"{name} needs the package captum; pip install 'voxplain[captum]'.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        attr = import_module("captum.attr")
    short = name.removeprefix(_PREFIX)
    info = MethodInfo(
        name=name,
        label=f"Captum {short}",
        citation="Kokhlikyan et al. 2020, arXiv:2009.07896",
        unit=_UNITS[short],
        sign="positive: the place speaks for the target, in the sense of Captum's "
        f"{short}; negative: against it",
        complete=False,
        passes="as many as Captum makes, volume by volume",
        additive=short in _ADDITIVE,
    )
    members = {
        "__doc__": f"Captum's {short}; see `CaptumMethod`.",
        "__module__": __name__,
        "info": info,
        "needs": Needs(layer=short in _OF_LAYER, modules=True, float32=True),
        "captum_class": getattr(attr, short),
    }
    return type(f"Captum{short}", (CaptumMethod,), members)
