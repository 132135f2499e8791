"""The methods, one file each, and the registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voxplain.attribution.method import Method
from voxplain.attribution.methods.cams.channel_attention import ChannelAttention
from voxplain.attribution.methods.cams.grad_cam import GradCam
from voxplain.attribution.methods.cams.grad_cam_plus_plus import GradCamPlusPlus
from voxplain.attribution.methods.cams.guided_grad_cam import GuidedGradCam
from voxplain.attribution.methods.cams.hirescam import HiResCam
from voxplain.attribution.methods.cams.layercam import LayerCam
from voxplain.attribution.methods.captum.bridge import CAPTUM_NAMES, captum_method
from voxplain.attribution.methods.gradients.deconvolution import Deconvolution
from voxplain.attribution.methods.gradients.gradient import Gradient
from voxplain.attribution.methods.gradients.guided_backprop import GuidedBackprop
from voxplain.attribution.methods.gradients.input_x_gradient import InputXGradient
from voxplain.attribution.methods.gradients.integrated_gradients import IntegratedGradients
from voxplain.attribution.methods.gradients.pattern import Pattern
from voxplain.attribution.methods.gradients.recommended import Recommended
from voxplain.attribution.methods.gradients.smoothgrad import SmoothGrad
from voxplain.attribution.methods.masks.extremal_perturbation import ExtremalPerturbation
from voxplain.attribution.methods.masks.meaningful_perturbation import MeaningfulPerturbation
from voxplain.attribution.methods.relevance.lrp import LayerwiseRelevance
from voxplain.attribution.methods.replacement.occlusion import Occlusion
from voxplain.attribution.methods.replacement.region_ablation import RegionAblation
from voxplain.attribution.methods.replacement.region_shapley import RegionShapley
from voxplain.attribution.methods.replacement.rise import Rise
from voxplain.errors import InputError, VoxplainError, unknown_name

__all__ = ["DEFAULT_METHOD", "GROUP_METHOD", "METHODS", "Registry", "known_options", "make_method"]

DEFAULT_METHOD = "recommended"
"""What `explain` takes where no method is named, in Python and on the command line: what found the
effects of phantoms best in single scans (docs/scoreboard.md)."""

GROUP_METHOD = "pattern"
"""The method whose mean over the scans of a class found the effects of phantoms best."""


class Registry(dict[str, type[Method]]):
    """The methods by name; names such as ``"captum:Saliency"`` are answered by the bridge.

    The bridge's names are found, but not listed.

    Raises
    ------
    InputError
        If a name is looked up that is not there, or that needs Captum where that is not installed.
    """

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in CAPTUM_NAMES

    def __missing__(self, name: str) -> type[Method]:
        if name.startswith("captum:"):
            return captum_method(name)
        raise unknown_name("method", name, [*self, "captum:<Name>"])


METHODS = Registry(
    {
        "recommended": Recommended,
        "gradient": Gradient,
        "input-x-gradient": InputXGradient,
        "smoothgrad": SmoothGrad,
        "pattern": Pattern,
        "integrated-gradients": IntegratedGradients,
        "grad-cam": GradCam,
        "grad-cam++": GradCamPlusPlus,
        "hirescam": HiResCam,
        "layercam": LayerCam,
        "channel-attention": ChannelAttention,
        "guided-backprop": GuidedBackprop,
        "deconvolution": Deconvolution,
        "guided-grad-cam": GuidedGradCam,
        "lrp": LayerwiseRelevance,
        "meaningful-perturbation": MeaningfulPerturbation,
        "extremal-perturbation": ExtremalPerturbation,
        "occlusion": Occlusion,
        "region-ablation": RegionAblation,
        "region-shapley": RegionShapley,
        "rise": Rise,
    }
)
"""The methods by name; ``METHODS["captum:Saliency"]`` asks the bridge to Captum."""


def make_method(method: str | Method, options: Mapping[str, Any] | None = None) -> Method:
    """Make a method from its name and options.

    Parameters
    ----------
    method : str or Method
        A name in `METHODS`, or a ready method.
    options : mapping of str to object, optional
        Of a named method. Where a method wraps another, its option ``of`` may be a name too.

    Returns
    -------
    Method

    Raises
    ------
    InputError
        If the method or an option is unknown, or options are given beside a ready method.
    """
    given = dict(options or {})
    if isinstance(method, Method):
        if given:
            raise InputError(
                f"Options {', '.join(given)} were given beside a ready {type(method).__name__}; "
                "set them on it."
            )
        method.require_types(vars(method))
        return method
    kind = _named(method)
    if isinstance(given.get("of"), str) and "of" in kind.option_names():
        given["of"] = make_method(given["of"])
    try:
        return kind.with_options(given)
    except (TypeError, ValueError, AttributeError) as error:
        if isinstance(error, VoxplainError):
            raise
        told = ", ".join(f"{name}={value!r}" for name, value in given.items())
        raise InputError(
            f"Method {method!r} cannot be made with the options {told}: {error}."
        ) from error


def known_options(method: str) -> tuple[str, ...]:
    """Names by which options of a method may be given: groups, and former names, as well."""
    kind = _named(method)
    names = kind.option_names()
    groups = {name.partition(".")[0] for name in names}
    return (*names, *sorted(groups - set(names)), *kind.renamed)


def _named(method: object) -> type[Method]:
    if isinstance(method, type) and issubclass(method, Method):
        name = method.info.name
        raise InputError(
            f"method is the class {method.__name__}; give its name {name!r} with its options, or "
            f"make one, {method.__name__}(...)."
        )
    if not isinstance(method, str):
        raise InputError(
            "method must be a name, such as 'gradient', or a Method; "
            f"{type(method).__name__} was given."
        )
    return METHODS[method]
