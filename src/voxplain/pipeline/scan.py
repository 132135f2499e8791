"""Anybody's scans through anybody's network: read, place, explain, bring back, write."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from voxplain import __version__
from voxplain.cohort import PRESETS, Prepared, prepare, read_mask, read_volume
from voxplain.errors import InputError, remarks, unknown_name
from voxplain.explain import METHODS, Engine, Method, probabilities, weights_sha256
from voxplain.explain.methods import make_method
from voxplain.explain.probe import layer_name
from voxplain.maps import AttributionMap
from voxplain.nets import build_network, count_parameters, load_into, read_weights
from voxplain.pipeline.maps import Question, explain_and_write
from voxplain.pipeline.scan_options import ScanOptions
from voxplain.pipeline.scan_regions import with_regions
from voxplain.progress import Progress
from voxplain.report.figures import overlay
from voxplain.study import Study
from voxplain.volume import Volume

__all__ = ["explain_scans"]

# Of the sum of magnitudes; rounding to float32 stays far below.
_LOST = 1e-4


@dataclass(frozen=True, eq=False)
class _Scan:
    path: Path
    original: Volume
    volume: Volume
    prepared: Prepared | None
    notes: tuple[str, ...]

    def back(self, map_: AttributionMap, method: Method) -> AttributionMap:
        """Carry a map to the scan's own grid, and note the sum on both where it has a meaning."""
        if self.prepared is None:
            return map_
        how = method.additive, method.info.complete
        values = self.prepared.back(map_.values, *how)
        # Of shares in a sum, that of the spread is as large as it can be: where voxels vary as one.
        spread = None if map_.spread is None else self.prepared.back(map_.spread, *how)
        provenance = map_.provenance
        if method.additive:
            before, after = (float(part.sum(dtype=np.float64)) for part in (map_.values, values))
            told = (
                f"the sum over voxels is {before:.6g} on the network's grid and {after:.6g} on "
                "the scan's"
            )
            inside = values
            if method.info.complete:
                inside = self.prepared.back(map_.values, outside=False)
            seen = float(inside.sum(dtype=np.float64))
            if abs(before - seen) > _LOST * np.abs(map_.values).sum(dtype=np.float64):
                told += f"; {before - seen:.3g} lies outside the scan's field of view and was "
                told += "put on its border" if method.info.complete else "left out"
            provenance = replace(provenance, notes=(*provenance.notes, told))
        return replace(
            map_, values=values, spread=spread, grid=self.original.grid, provenance=provenance
        )


def explain_scans(options: ScanOptions, progress: Progress) -> dict[str, Any]:
    """Explain what a network makes of some scans.

    Writes below ``options.out`` a signed map per scan and method with its sidecar, a figure of
    each, and ``explain.json`` last. With several files of weights, the maps are the mean over the
    networks, their spread lies beside them, and logits and probabilities are means too.

    Parameters
    ----------
    options : ScanOptions
    progress : Progress

    Returns
    -------
    dict
        What ``explain.json`` holds.

    Raises
    ------
    VoxplainError
        If a file, an option or the network cannot be used; nothing is written before all of them
        have been checked.
    """
    began = time.perf_counter()
    states = [read_weights(path) for path in options.weights]
    scans = [_read(options, i) for i in range(len(options.images))]
    for scan in scans:
        for note in scan.notes:
            progress.say(f"{scan.volume.subject}: {note}")
    _require_different_subjects(scans)
    volumes = [scan.volume for scan in scans]
    networks = [_network(options, state, volumes[0]) for state in states]
    engine = Engine(device=options.device, precision=options.precision)  # type: ignore[arg-type]
    of_networks = [engine.logits(network, volumes) for network in networks]
    logits = np.mean(of_networks, axis=0)
    chances = np.mean([probabilities(rows) for rows in of_networks], axis=0)
    _require_target(options, logits.shape[1])
    if options.layer != "auto":
        layer_name(networks[0], options.layer)
    given = _with_regions(options, scans, progress)
    names = options.class_names or tuple(f"class {i}" for i in range(logits.shape[1]))
    for scan, row in zip(scans, chances, strict=True):
        told = ", ".join(f"p({name}) = {p:.3f}" for name, p in zip(names, row, strict=False))
        progress.say(f"{scan.volume.subject}: {told}")

    by_subject = {scan.volume.subject: scan for scan in scans}

    study = Study(options.out, "voxplain explanations of scans", __version__)
    seconds: dict[str, float] = {}
    layers: dict[str, str | None] = {}
    precision = ""
    files: dict[str, dict[str, dict[str, str]]] = {subject: {} for subject in by_subject}
    for name in options.methods:
        question = Question(
            name,
            options.target,
            options.layer,
            options.class_names,
            given[name],
            seed=options.seed,
            context={"preset": options.preset, "align": options.align, "grid": options.grid},
        )
        label = METHODS[name].info.label
        ready = make_method(name, given[name])

        def to_input(map_: AttributionMap, method: Method = ready) -> AttributionMap:
            return by_subject[map_.subject].back(map_, method)

        explained = explain_and_write(
            study,
            networks,
            volumes,
            question,
            engine,
            progress,
            place=to_input if options.grid == "input" else None,
        )
        seconds[name] = explained.seconds
        layers[name] = explained.maps[0].provenance.layer
        precision = explained.maps[0].provenance.precision
        for scan, map_ in zip(scans, explained.maps, strict=True):
            background = scan.original if options.grid == "input" else scan.volume
            start = study.map_name(map_.subject, label, map_.target)
            figure = study.write_bytes(
                f"figures/{Path(start).name}.png",
                overlay(
                    map_.values,
                    background.values,
                    map_.grid,
                    title=f"{label} for {map_.target}, {map_.subject}",
                    unit=map_.unit,
                ),
            )
            files[map_.subject][name] = {
                "map": f"{start}_statmap.nii.gz",
                "figure": str(figure.relative_to(study.folder)),
                "target": map_.target,
            }
            if map_.spread is not None:
                files[map_.subject][name]["spread"] = f"{start}Spread_statmap.nii.gz"
    result = {
        "network": {
            "name": options.network,
            "class": type(networks[0]).__name__,
            "parameters": count_parameters(networks[0]),
            "weights": _one_or_list([str(path) for path in options.weights]),
            "weights_sha256": _one_or_list([weights_sha256(network) for network in networks]),
            "weights_file_sha256": _one_or_list([_file_hash(path) for path in options.weights]),
        },
        "preset": options.preset,
        "align": options.align,
        "orientation": options.orientation,
        "grid": options.grid,
        "target": options.target,
        "class_names": list(names),
        "layer": layers,
        "precision": precision,
        "seed": options.seed,
        "scans": [
            {
                "subject": scan.volume.subject,
                "image": str(scan.path),
                "image_sha256": _file_hash(scan.path),
                "input_grid": scan.original.grid.to_dict(),
                "network_grid": scan.volume.grid.to_dict(),
                "logits": row.tolist(),
                "probabilities": chance.tolist(),
                "predicted": _predicted(chance, names),
                "notes": list(scan.notes),
                "maps": files[scan.volume.subject],
            }
            for scan, row, chance in zip(scans, logits, chances, strict=True)
        ],
        "seconds_per_map": seconds,
        "seconds": time.perf_counter() - began,
        "versions": {"voxplain": __version__, "torch": torch.__version__},
    }
    study.write_json("explain.json", result)
    return result


def _network(options: ScanOptions, state: Mapping[str, torch.Tensor], example: Volume) -> nn.Module:
    network = build_network(options.network, example.grid.shape, options.classes)
    load_into(network, state)
    return network.eval()


def _one_or_list(values: list[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else values


def _read(options: ScanOptions, index: int) -> _Scan:
    path = options.images[index]
    with remarks() as said:
        original = read_volume(path, orientation=options.orientation)
        mask = None
        if options.masks:
            mask = read_mask(options.masks[index], original, options.orientation)
    if options.preset is None:
        return _Scan(path, original, original, None, tuple(said))
    with remarks():
        recipe = replace(PRESETS[options.preset], align=options.align)
        prepared = prepare(original, recipe, mask)
    return _Scan(path, original, prepared.volume, prepared, (*said, *prepared.notes))


def _with_regions(
    options: ScanOptions, scans: Sequence[_Scan], progress: Progress
) -> dict[str, dict[str, Any]]:
    volumes, prepared = [scan.volume for scan in scans], [scan.prepared for scan in scans]
    with remarks() as said:
        given = {
            name: with_regions(options.options_of(name), volumes, prepared, options.orientation)
            for name in options.methods
        }
    for remark in dict.fromkeys(said):
        progress.say(remark)
    return given


def _require_different_subjects(scans: Sequence[_Scan]) -> None:
    seen: dict[str, Path] = {}
    for scan in scans:
        other = seen.setdefault(scan.volume.subject, scan.path)
        if other != scan.path:
            raise InputError(
                f"{other} and {scan.path} would both be written as subject "
                f"{scan.volume.subject!r}; rename one (sub-<label>_T1w.nii.gz) or run them apart."
            )


def _require_target(options: ScanOptions, outputs: int) -> None:
    names = options.class_names or ()
    classes = max(outputs, 2)
    if isinstance(options.target, int) and not 0 <= options.target < classes:
        raise InputError(
            f"Target class {options.target} is out of range: the network tells {classes} classes "
            f"apart, numbered 0 to {classes - 1}."
        )
    if isinstance(options.target, str) and options.target not in ("predicted", *names):
        raise unknown_name(
            "target", options.target, ["predicted", *names, *map(str, range(classes))]
        )


def _predicted(chance: Any, names: Sequence[str]) -> str:
    if len(chance) == 1:
        return names[int(chance[0] > 0.5)] if len(names) > 1 else str(int(chance[0] > 0.5))
    return names[int(chance.argmax())]


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
