"""The methods, one file each, and the registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voxplain.errors import InputError, unknown_name
from voxplain.explain.method import Method
from voxplain.explain.methods.extremal_perturbation import ExtremalPerturbation
from voxplain.explain.methods.grad_cam import GradCam
from voxplain.explain.methods.gradient import Gradient
from voxplain.explain.methods.guided_backprop import GuidedBackprop
from voxplain.explain.methods.meaningful_perturbation import MeaningfulPerturbation

__all__ = ["METHODS", "make_method"]

METHODS: dict[str, type[Method]] = {
    "gradient": Gradient,
    "grad-cam": GradCam,
    "guided-backprop": GuidedBackprop,
    "meaningful-perturbation": MeaningfulPerturbation,
    "extremal-perturbation": ExtremalPerturbation,
}


def make_method(method: str | Method, options: Mapping[str, Any] | None = None) -> Method:
    """Make a method from its name and options.

    Parameters
    ----------
    method : str or Method
        A key of `METHODS`, or a ready method.
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
        return method
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    kind = METHODS[method]
    if isinstance(given.get("of"), str) and "of" in kind.option_names():
        given["of"] = make_method(given["of"])
    return kind.with_options(given)
