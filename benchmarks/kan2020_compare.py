"""The published perturbation loop beside voxplain's quick presets, on a demo's subjects.

``python -m benchmarks.kan2020_compare STUDY`` takes the network and held-out subjects of a folder
that ``voxplain demo`` has made, and prints the published objective, over 25 shifts that no
optimisation has seen, and deletion and insertion areas: of the loop, of the preset
``paper-quick``, and of the same from masks that the subjects share. The full loop takes minutes a
subject; the table is printed anew after each.
"""

from __future__ import annotations

import argparse
import statistics
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.kan2020_loop import CELL, SIGMA, WINDOW, curve_areas, paper_objective, run_loop
from voxplain import explain
from voxplain.cohort import read_volume
from voxplain.errors import VoxplainWarning
from voxplain.explain import Engine
from voxplain.explain.perturb import MaskGrid
from voxplain.maps import AttributionMap
from voxplain.nets import MRINet, load_into, read_weights
from voxplain.volume import Volume


def coarse_mask(map_: AttributionMap) -> torch.Tensor:
    """Take a map of the preset back to the keep-mask on cells that it was made from.

    The way from cells to voxels has one matrix per axis, each with more rows than columns, so its
    pseudo-inverse is exact up to rounding.
    """
    grid = MaskGrid.make(map_.values.shape, (CELL,) * 3, (SIGMA,) * 3, WINDOW)
    x, y, z = (torch.linalg.pinv(matrix) for matrix in grid.matrices)
    values = torch.as_tensor(map_.values).double()
    return (1 - torch.einsum("ijk,ai,bj,ck->abc", values, x, y, z)).clamp(0, 1).float()


def read_study(study: Path, count: int) -> tuple[MRINet, list[Volume], list[int]]:
    """Read a demo's network and held-out subjects that it classifies right, classes in turn."""
    predictions = pd.read_csv(study / "model/predictions.tsv", sep="\t", dtype={"label": str})
    logits = predictions.filter(like="logit_")
    names = [column.removeprefix("logit_") for column in logits]
    labels = predictions["label"].map(names.index)
    right = predictions[logits.to_numpy().argmax(1) == labels]
    turn = right.groupby("label").cumcount()
    first = right.iloc[np.argsort(turn.to_numpy(), kind="stable")][:count]
    volumes = [
        read_volume(study / f"phantom/{who}/anat/{who}_T1w.nii.gz")
        for who in first["participant_id"]
    ]
    network = MRINet(volumes[0].grid.shape, len(names))
    load_into(network, read_weights(study / "model/weights.safetensors"))
    return network.eval().requires_grad_(False), volumes, [int(labels[i]) for i in first.index]


def main() -> None:
    """Compare, and print a row for each subject."""
    ask = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    ask.add_argument("study", type=Path, help="a folder made by voxplain demo")
    ask.add_argument("--subjects", type=int, default=10)
    ask.add_argument("--iterations", type=int, default=300, help="of the published loop")
    asked = ask.parse_args()
    network, volumes, targets = read_study(asked.study, asked.subjects)
    made: dict[str, list[torch.Tensor]] = {"published loop": []}
    with warnings.catch_warnings():
        # On some subjects the published reference deletes nothing, which is a fault of its own.
        warnings.simplefilter("ignore", VoxplainWarning)
        for name, cohort in (("quick", False), ("cohort", True)):
            maps = explain(
                network, volumes, "meaningful-perturbation", targets,
                engine=Engine(), preset="paper-quick", cohort=cohort,
            )  # fmt: skip
            made[name] = [coarse_mask(map_) for map_ in maps]
    console = Console()
    table = Table("subject", "class", *made, "s per iteration", "deletion/insertion area")
    scores: dict[str, list[float]] = {name: [] for name in made}
    seconds = []
    for i, (volume, target) in enumerate(zip(volumes, targets, strict=True)):
        x = torch.from_numpy(volume.values)[None, None]
        found = run_loop(network, x, target, asked.iterations)
        seconds.append(found.seconds)
        made["published loop"].append(found.mask)
        for name, masks in made.items():
            scores[name].append(paper_objective(network, x, target, masks[i]))
        areas = (curve_areas(network, x, target, masks[i]) for masks in made.values())
        table.add_row(
            volume.subject, str(target), *(f"{scores[name][i]:.4f}" for name in made),
            f"{found.seconds:.2f}", ", ".join(f"{a:.3f}/{b:.3f}" for a, b in areas),
        )  # fmt: skip
        console.print(table)
    loop = scores.pop("published loop")
    for name, own in scores.items():
        wins = sum(a <= b for a, b in zip(own, loop, strict=True))
        console.print(f"{name}: objective not above the loop's in {wins} of {len(loop)} subjects")
    console.print(
        f"loop: {statistics.median(seconds):.2f} s an iteration, {torch.get_num_threads()} threads"
    )


if __name__ == "__main__":
    main()
