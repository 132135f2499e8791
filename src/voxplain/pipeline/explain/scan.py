"""Anybody's scans through anybody's network: read, place, explain, bring back, write."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from voxplain import __version__
from voxplain.attribution import METHODS, Engine, Method, weights_sha256
from voxplain.attribution.methods import make_method
from voxplain.attribution.network.probe import layer_name
from voxplain.cohort import PRESETS, Prepared, prepare, read_mask, read_volume
from voxplain.errors import InputError, NetworkError, remarks
from voxplain.maps import AttributionMap
from voxplain.nets import (
    build_network,
    count_parameters,
    file_sha256,
    load_into,
    read_weights,
    takes,
)
from voxplain.pipeline.explain.names import require_different, scan_labels
from voxplain.pipeline.explain.options import ScanOptions
from voxplain.pipeline.explain.outputs import Outputs, Said, likely_counts, read_said
from voxplain.pipeline.explain.record import with_earlier_scans
from voxplain.pipeline.explain.regions import with_regions
from voxplain.pipeline.maps import Question, explain_and_write, identity_of, voxels_sha256
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
        If a file, an option or the network cannot be used; nothing is written before all of them
        have been checked.
    """
    began = time.perf_counter()
    with remarks() as caught:
        states = [read_weights(path) for path in options.weights]
    said = read_said(options, states)
    for note in (*caught, *said.notes):
        progress.say(f"Weights: {note}")
    labels = scan_labels(options.images)
    require_different(labels, options.images)
    scans = [_read(options, i, labels[i]) for i in range(len(options.images))]
    for scan in scans:
        for note in scan.notes:
            progress.say(f"{scan.volume.subject}: {note}")
    volumes = [scan.volume for scan in scans]
    networks = [_network(options, said, state, volumes[0], progress) for state in states]
    engine = Engine(device=options.device, precision=options.precision)  # type: ignore[arg-type]
    numbers = options.task == "regression" and not options.bins
    with remarks() as found:
        of_networks = [engine.logits(network, volumes, numbers) for network in networks]
    for remark in dict.fromkeys(found):
        progress.say(remark)
    _require_one_size(of_networks)
    outputs = Outputs.of(options, said, of_networks[0].shape[1])
    if options.layer != "auto":
        layer_name(networks[0], options.layer)
    given = _with_regions(options, scans, progress)
    predicted = outputs.read(of_networks)
    for scan, told in zip(scans, predicted, strict=True):
        progress.say(f"{scan.volume.subject}: {outputs.words(told)}")
    if outputs.advice:
        progress.say(outputs.advice)
    weights = _of_weights(options)
    sources = [weights | _of_image(scan) for scan in scans]
    study = Study(options.out, "voxplain explanations of scans", __version__)
    for scan, source in zip(scans, sources, strict=True):
        _require_same_image(study, scan, source)

    by_subject = {scan.volume.subject: scan for scan in scans}
    identity = identity_of(networks, volumes[0].grid.shape)
    seconds: dict[str, float] = {}
    layers: dict[str, str | None] = {}
    precision = ""
    files: dict[str, dict[str, dict[str, str]]] = {subject: {} for subject in by_subject}
    for name in options.methods:
        question = Question(
            name,
            outputs.target,
            options.layer,
            outputs.names or None,
            given[name],
            seed=options.seed,
            context={
                **{"preset": options.preset, "align": options.align, "grid": options.grid},
                **identity,
            },
            output_unit=outputs.unit,
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
            sources=sources,
        )
        seconds[name] = explained.seconds
        layers[name] = explained.maps[0].provenance.layer
        precision = explained.maps[0].provenance.precision
        for scan, map_, path in zip(scans, explained.maps, explained.paths, strict=True):
            start = str(path.relative_to(study.folder)).removesuffix("_statmap.nii.gz")
            background = scan.original if options.grid == "input" else scan.volume
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
                "unit": map_.unit,
            }
            if map_.spread is not None:
                files[map_.subject][name]["spread"] = f"{start}Spread_statmap.nii.gz"
    result = {
        "network": {
            "name": options.network,
            **identity,
            "class": type(networks[0]).__name__,
            "parameters": count_parameters(networks[0]),
            "weights_sha256": _one_or_list([weights_sha256(network) for network in networks]),
            **weights,
        },
        "preset": options.preset,
        "align": options.align,
        "orientation": options.orientation,
        "grid": options.grid,
        "task": outputs.task,
        "target": options.target,
        "unit": outputs.unit,
        "class_names": list(outputs.names),
        "layer": layers,
        "precision": precision,
        "seed": options.seed,
        "scans": [
            {
                "subject": scan.volume.subject,
                "image": str(scan.path),
                "image_sha256": source["image_sha256"],
                "input_grid": scan.original.grid.to_dict(),
                "network_grid": scan.volume.grid.to_dict(),
                **told,
                "notes": list(scan.notes),
                "maps": files[scan.volume.subject],
            }
            for scan, told, source in zip(scans, predicted, sources, strict=True)
        ],
        "seconds_per_map": seconds,
        "seconds": time.perf_counter() - began,
        "versions": {"voxplain": __version__, "torch": torch.__version__},
    }
    study.write_json("explain.json", with_earlier_scans(study.read_json("explain.json"), result))
    return result


def _network(
    options: ScanOptions,
    said: Said,
    state: Mapping[str, torch.Tensor],
    example: Volume,
    progress: Progress,
) -> nn.Module:
    """Build the network with as many outputs as its weights have."""
    counts = [*likely_counts(state), len(said.names or ()), 2, 1]
    counts = [options.classes] if options.classes else [n for n in dict.fromkeys(counts) if n]
    failed: NetworkError | None = None
    for count in counts if takes(options.network, "classes") else counts[:1]:
        try:
            network = build_network(options.network, example.grid.shape, count)
            notes = load_into(network, state)
        except NetworkError as error:
            failed = failed or error
            continue
        for note in notes:
            progress.say(f"Weights: {note}")
        return network.eval()
    raise failed or NetworkError(f"The network {options.network!r} cannot be built.")


def _require_one_size(of_networks: Sequence[NDArray[np.float32]]) -> None:
    counts = sorted({rows.shape[1] for rows in of_networks})
    if len(counts) > 1:
        raise NetworkError(
            f"The networks have different numbers of outputs ({' and '.join(map(str, counts))}); "
            "explain them one at a time."
        )


def _of_weights(options: ScanOptions) -> dict[str, Any]:
    return {
        "weights": _one_or_list([str(path) for path in options.weights]),
        "weights_file_sha256": _one_or_list([file_sha256(path) for path in options.weights]),
    }


def _of_image(scan: _Scan) -> dict[str, Any]:
    return {
        "image": str(scan.path),
        "image_sha256": file_sha256(scan.path),
        "voxels_sha256": voxels_sha256(scan.original),
    }


def _require_same_image(study: Study, scan: _Scan, source: Mapping[str, Any]) -> None:
    """Refuse to replace the maps of another image that has the same name."""
    for held in study.sources(scan.volume.subject):
        known = [key for key in ("image_sha256", "voxels_sha256") if key in held]
        if known and all(held[key] != source[key] for key in known):
            raise InputError(
                f"{study.folder} holds maps of another image as {scan.volume.subject!r} "
                f"({held['image']}), which those of {scan.path} would replace; give another "
                "--out, or a name that tells the files apart (sub-<label>_ses-<label>_T1w.nii.gz)."
            )


def _one_or_list(values: list[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else values


def _read(options: ScanOptions, index: int, label: str) -> _Scan:
    path = options.images[index]
    with remarks() as said:
        original = replace(read_volume(path, orientation=options.orientation), subject=label)
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
