"""Where the network looked: maps from networks.

The package can be called: ``voxplain.explain(model, volume)`` is `voxplain.explain.run.explain`.
"""

from __future__ import annotations

import inspect
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from voxplain.explain.engine import Engine, probabilities, weights_sha256
from voxplain.explain.method import Attribution, Method, MethodInfo, Note
from voxplain.explain.methods import METHODS
from voxplain.explain.numbers import expected_value
from voxplain.explain.probe import Probe, probe
from voxplain.explain.run import explain as _explain
from voxplain.explain.run import iter_explain
from voxplain.explain.target import Chosen, Target

__all__ = [
    "METHODS",
    "Attribution",
    "Chosen",
    "Engine",
    "Method",
    "MethodInfo",
    "Note",
    "Probe",
    "Target",
    "expected_value",
    "explain",
    "iter_explain",
    "probabilities",
    "probe",
    "weights_sha256",
]


class _CallablePackage(ModuleType):
    """A package that is also the function of the same name."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run `voxplain.explain.run.explain`."""
        return _explain(*args, **kwargs)


# Importing any submodule binds the name ``voxplain.explain`` to this package, in place of the
# function of that name; so the package is made callable, and ``explain`` is the package itself,
# and the two never differ, whatever was imported first.
sys.modules[__name__].__class__ = _CallablePackage
sys.modules[__name__].__signature__ = inspect.signature(_explain)  # type: ignore[attr-defined]

if TYPE_CHECKING:
    from voxplain.explain.run import explain
else:
    explain = sys.modules[__name__]
