"""How a study's network was trained and its scans explained, to be done again on other scans."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import asin, pi
from pathlib import Path
from typing import Any

from voxplain import __version__
from voxplain.attribution.methods import METHODS
from voxplain.attribution.variation import FEWEST_SCANS
from voxplain.cohort.store.reader import STORE, TABLE
from voxplain.cohort.store.writer import write_store
from voxplain.errors import StudyError
from voxplain.fit import Schedule
from voxplain.study import Study, StudyReader
from voxplain.volume import Cohort

__all__ = ["OwnStudy", "kept", "read_own_study", "write_cohort"]

_HOME = "trust"


@dataclass(frozen=True)
class OwnStudy:
    """What all trainings that test a study have in common with its own.

    Parameters
    ----------
    folder : path
    network : str
    methods : tuple of str
        Registry names.
    schedule : Schedule
    folds : int
        Of the study's fit.
    outcome, group : str
        See `voxplain.pipeline.fit.run.FitOptions`.
    layers : mapping of str to str
        By method, the layer that was asked for; ``"auto"`` where none is named.
    options : mapping of str to mapping
        By method, ready for `voxplain.attribution.methods.make_method`.
    seed : int
    device : str
    accuracy : float or None
        Held-out accuracy; of a number, the accuracy at telling its upper from its lower half that
        goes with the correlation. None where neither is known.
    """

    folder: Path
    network: str
    methods: tuple[str, ...]
    schedule: Schedule
    folds: int
    outcome: str = "label"
    group: str = "auto"
    layers: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    seed: int = 0
    device: str = "auto"
    accuracy: float | None = None

    def place(self, name: str) -> Path:
        """Name the folder of a sub-study."""
        return self.folder / _HOME / name

    def layer_of(self, method: str) -> str:
        """Name the layer that a method looks at."""
        return self.layers.get(method, "auto")

    def methods_for(self, scans: int) -> tuple[str, ...]:
        """Name the methods, without those that need more scans to learn from."""
        enough = scans >= FEWEST_SCANS
        return tuple(name for name in self.methods if enough or name != "pattern")

    def request(self, **what: Any) -> dict[str, Any]:
        """Write down what a sub-study depends on, for a rerun to find it done."""
        return {
            "scans": _fingerprint(self.folder),
            "network": self.network,
            "schedule": self.schedule.to_dict(),
            "methods": list(self.methods),
            "options": {name: repr(sorted(of.items())) for name, of in self.options.items()},
            "layers": dict(self.layers),
            "group": self.group,
            "seed": self.seed,
            "version": __version__,
            **what,
        }


def read_own_study(
    folder: Path, network: str = "", methods: tuple[str, ...] = (), device: str = "auto"
) -> OwnStudy:
    """Read how a study was fitted and explained.

    Parameters
    ----------
    folder : path
    network : str, default=""
        Of several; by default the one that was explained last, or the first that was fitted.
    methods : tuple of str, optional
        By default all whose maps the study has.
    device : str, default="auto"

    Returns
    -------
    OwnStudy

    Raises
    ------
    StudyError
        If nothing was fitted, or the network was not, or no method is named and there are no maps.
    """
    study = StudyReader(folder)
    fit, explained = study.read_json("summary.json").get("fit", {}), study.read_json("explain.json")
    if not fit:
        raise StudyError(
            f"{folder} has no trained network to be judged; run 'voxplain fit {folder}' first."
        )
    asked, names = fit["options"], list(fit["options"]["networks"])
    explained_by = explained.get("network", "")
    network = network or (explained_by if explained_by in names else names[0])
    if network not in fit["models"]:
        raise StudyError(f"{folder} has no trained network {network!r}; it has {', '.join(names)}.")
    maps = {
        name: targets
        for name, targets in explained.get("group", {}).items()
        if name in METHODS and any(one.get("network") == network for one in targets)
    }
    if not methods and not maps:
        raise StudyError(
            f"{folder} has no maps of {network} to be judged; run 'voxplain explain {folder}' "
            "first, or name methods."
        )
    return OwnStudy(
        folder=folder,
        network=network,
        methods=methods or tuple(maps),
        schedule=Schedule.from_dict(asked["schedule"]),
        folds=int(fit["folds"]),
        outcome=asked["outcome"],
        group=asked["group"],
        seed=int(asked["seed"]),
        device=device,
        accuracy=_accuracy(fit["models"][network]),
    )


def _accuracy(model: Mapping[str, Any]) -> float | None:
    """Read the held-out accuracy of a model, or what its correlation comes to."""
    for name in ("accuracy", "r"):
        score = model.get(name) or {}
        value = score.get("mean") if score.get("mean") is not None else score.get("pooled")
        if value is not None:
            # Sheppard 1899: the share of a bivariate normal's mass where both have one sign.
            return float(value) if name == "accuracy" else 0.5 + asin(float(value)) / pi
    return None


def _fingerprint(folder: Path) -> str:
    """Tell a study's scans and what its table says of them from all others."""
    study = StudyReader(folder)
    content = [study.read_bytes(f"cohort/{name}") or b"" for name in (STORE, TABLE)]
    return hashlib.sha256(b"\n".join(content)).hexdigest()[:16]


def write_cohort(folder: Path, cohort: Cohort, words: str) -> Cohort:
    """Make a sub-study of scans, and say in words where they come from."""
    Study(folder, "voxplain study", __version__)
    return write_store(folder / "cohort", cohort, words)


def kept(
    folder: Path, name: str, request: Mapping[str, Any], make: Callable[[], Mapping[str, Any]]
) -> dict[str, Any]:
    """Return what an earlier run with the same request found, or find it now.

    Parameters
    ----------
    folder : path
        Of a study.
    name : str
        Of the JSON file that holds it.
    request : mapping
    make : callable
        Gives what is found, as JSON can hold it.

    Returns
    -------
    dict
        As read from the file, so that a first run and a rerun return the same.
    """
    found = StudyReader(folder).find_json(name, request)
    if found is None:
        made = make()
        Study(folder, "voxplain study", __version__).write_json(name, {**made, "request": request})
        found = StudyReader(folder).find_json(name, request)
    if found is None:
        raise StudyError(f"{folder / name} cannot be read back; is the disk full?")
    return {key: value for key, value in found.items() if key != "request"}
