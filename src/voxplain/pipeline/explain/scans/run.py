"""Anybody's scans through anybody's network: read, place, explain, bring back, write."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from voxplain import __version__
from voxplain.attribution import METHODS, Engine, weights_sha256
from voxplain.maps import AttributionMap
from voxplain.nets import count_parameters
from voxplain.pipeline.explain.options import ScanOptions
from voxplain.pipeline.explain.record import with_earlier_scans
from voxplain.pipeline.explain.scans.networks import (
    Predicted,
    one_or_list,
    predict_scans,
    read_network_weights,
)
from voxplain.pipeline.explain.scans.nonsense import require_sense
from voxplain.pipeline.explain.scans.reading import (
    Scan,
    options_of_methods,
    read_scans,
    require_same_image,
)
from voxplain.pipeline.explain.scans.regions import ScanRegions
from voxplain.pipeline.maps import Question, identity_of
from voxplain.pipeline.writing import MapWriter
from voxplain.progress import Progress
from voxplain.report.figures import overlay
from voxplain.study import Study

__all__ = ["explain_scans"]


def explain_scans(options: ScanOptions, progress: Progress) -> dict[str, Any]:
    """Explain what a network makes of some scans.

    Writes below ``options.out`` a signed map per scan and method with its sidecar, a figure of
    each, and ``explain.json`` last, which also holds what earlier calls wrote there. With several
    files of weights, the maps are the mean over the networks, their spread lies beside them, and
    logits, probabilities and predicted numbers are means too.

    Parameters
    ----------
    options : ScanOptions
    progress : Progress

    Returns
    -------
    dict
        What ``explain.json`` holds of this call.

    Raises
    ------
    VoxplainError
        If a file, an option or the network cannot be used, or no prediction can be meant (see
        `require_sense`); nothing is written before all of them have been checked.
    """
    began = time.perf_counter()
    weights = read_network_weights(options, progress)
    scans = read_scans(options, progress)
    volumes = [scan.volume for scan in scans]
    networks = weights.networks(options, volumes[0], progress)
    engine = Engine(device=options.device, precision=options.precision)  # type: ignore[arg-type]
    with engine.run() as shared:
        predicted = predict_scans(options, weights.said, networks, volumes, shared, progress)
        require_sense(predicted, progress, options.force)
        given = options_of_methods(options, scans, progress)
        predicted.tell(volumes, progress)
        regions = ScanRegions(options, scans, progress) if options.atlases else None
        study = Study(options.out, "voxplain explanations of scans", __version__)
        sources = [weights.sources | scan.sources() for scan in scans]
        for scan, source in zip(scans, sources, strict=True):
            require_same_image(study, scan, source)
        identity = identity_of(networks, volumes[0].grid.shape)
        gallery = _Gallery(options, study, scans, regions)
        for name in options.methods:
            writer = MapWriter(
                study,
                networks,
                volumes,
                _question(options, name, predicted, given[name], identity),
                shared,
                progress,
                gallery.way_back(),
                sources,
            )
            gallery.seconds[name] = writer.write(partial(gallery.take, name))
    result = {
        "network": _network_record(options, networks, identity, weights.sources),
        **_run_record(options, predicted, gallery),
        "scans": [
            _scan_record(scan, told, source, gallery.files[scan.volume.subject])
            for scan, told, source in zip(scans, predicted.of_scans, sources, strict=True)
        ],
        "seconds_per_map": gallery.seconds,
        "seconds": time.perf_counter() - began,
        "versions": {"voxplain": __version__, "torch": torch.__version__},
    }
    study.write_json("explain.json", with_earlier_scans(study.read_json("explain.json"), result))
    return result


def _question(
    options: ScanOptions,
    method: str,
    predicted: Predicted,
    given: Mapping[str, Any],
    identity: Mapping[str, Any],
) -> Question:
    outputs = predicted.outputs
    placed = {"preset": options.preset, "align": options.align, "grid": options.grid}
    return Question(
        method,
        outputs.target,
        options.layer,
        outputs.names or None,
        given,
        seed=options.seed,
        context={**placed, **identity},
        output_unit=outputs.unit,
    )


@dataclass(frozen=True, eq=False)
class _Gallery:
    """Brings maps back to their scans, draws them, and remembers what was written."""

    options: ScanOptions
    study: Study
    scans: Sequence[Scan]
    regions: ScanRegions | None = None
    files: dict[str, dict[str, dict[str, Any]]] = field(default_factory=lambda: defaultdict(dict))
    layers: dict[str, str | None] = field(default_factory=dict)
    precisions: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def way_back(self) -> Callable[[AttributionMap], AttributionMap]:
        """Give what carries maps to the grid that they are wanted on."""
        by_subject = {scan.volume.subject: scan for scan in self.scans}
        if self.options.grid == "network":
            return lambda map_: map_
        return lambda map_: by_subject[map_.subject].back(map_)

    def take(self, method: str, position: int, map_: AttributionMap, path: Path) -> None:
        """Draw a map that was written, over the scan on the same grid."""
        scan = self.scans[position]
        start = str(path.relative_to(self.study.folder)).removesuffix("_statmap.nii.gz")
        background = scan.original if self.options.grid == "input" else scan.volume
        label = METHODS[method].info.label
        picture = overlay(
            map_.values,
            background.values,
            map_.grid,
            title=f"{label} for {map_.target}, {map_.subject}",
            unit=map_.unit,
        )
        figure = self.study.write_bytes(f"figures/{Path(start).name}.png", picture)
        self.files[map_.subject][method] = {
            "map": f"{start}_statmap.nii.gz",
            "figure": str(figure.relative_to(self.study.folder)),
            "target": map_.target,
            "unit": map_.unit,
            **({} if map_.spread is None else {"spread": f"{start}Spread_statmap.nii.gz"}),
        }
        if self.regions:
            told = self.regions.write(self.study, scan, map_, start)
            self.files[map_.subject][method]["regions"] = told
        if position == 0:
            self.layers[method] = map_.provenance.layer
            self.precisions.append(map_.provenance.precision)


def _network_record(
    options: ScanOptions,
    networks: Sequence[nn.Module],
    identity: Mapping[str, Any],
    sources: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "name": options.network,
        **identity,
        "class": type(networks[0]).__name__,
        "parameters": count_parameters(networks[0]),
        "weights_sha256": one_or_list([weights_sha256(network) for network in networks]),
        **sources,
    }


def _run_record(options: ScanOptions, predicted: Predicted, gallery: _Gallery) -> dict[str, Any]:
    """Say how scans were prepared, and what was asked and answered for all of them."""
    return {
        "preset": options.preset,
        "align": options.align,
        "orientation": options.orientation,
        "grid": options.grid,
        "task": predicted.outputs.task,
        "target": options.target,
        "unit": predicted.outputs.unit,
        "class_names": list(predicted.outputs.names),
        "layer": gallery.layers,
        "precision": gallery.precisions[-1] if gallery.precisions else "",
        "seed": options.seed,
    }


def _scan_record(
    scan: Scan,
    told: Mapping[str, Any],
    source: Mapping[str, Any],
    maps: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    return {
        "subject": scan.volume.subject,
        "image": str(scan.path),
        "image_sha256": source["image_sha256"],
        "input_grid": scan.original.grid.to_dict(),
        "network_grid": scan.volume.grid.to_dict(),
        **told,
        "notes": list(scan.notes),
        "maps": maps,
    }
