"""``python -m benchmarks.head_size``: does the paper's network read more than the size of a head?

Brings the 30 IXI brains through `voxplain.cohort` to the paper's grid, asks the network published
with the paper (its weights have no licence and are not shipped), and prints how well its output,
brain volume alone, and its output after the volume is regressed out tell men from women.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

from voxplain.attribution import Engine
from voxplain.cohort import PRESETS
from voxplain.cohort.build import build_store
from voxplain.cohort.find.listing import Listing
from voxplain.cohort.find.sources import from_bids
from voxplain.console import make_progress
from voxplain.images.files import ImageFile
from voxplain.nets import build_network, load_into, read_weights
from voxplain.volume import Cohort

SHARED = Path(__file__).resolve().parents[2] / "shared"
IXI = SHARED / "data" / "ixi30"
WEIGHTS = SHARED / "reference" / "kan2020_mrinet_hidden.pt"
DRAWS = 2000


def main() -> None:
    console = Console()
    for path in (IXI, WEIGHTS):
        if not path.exists():
            console.print(f"{path} is not there; this needs it.")
            return
    recipe = replace(PRESETS["kan2020"], align="centre")
    found = from_bids(IXI, "sex")
    with tempfile.TemporaryDirectory() as name:
        kinds = {"scans as shared": found, "masks alone, one grey level": _of_masks(found)}
        for number, (words, listing) in enumerate(kinds.items()):
            progress = make_progress(console)
            built = build_store(listing, recipe, Path(name) / str(number), 2, progress)
            console.print(_table(words, built.cohort))


def _of_masks(found: Listing) -> Listing:
    """Replace every scan by its brain mask: size and outline are then all that is left."""
    masks = [scan.mask for scan in found.scans]
    scans = tuple(
        replace(scan, image=ImageFile(mask.path), mask=None)
        for scan, mask in zip(found.scans, masks, strict=True)
        if mask is not None
    )
    return replace(found, scans=scans)


def _table(words: str, cohort: Cohort) -> Table:
    network = build_network("mrinet", cohort.grid.shape, 2)
    load_into(network, read_weights(WEIGHTS))
    logits = Engine().logits(network.eval(), list(cohort))
    score = logits[:, 1] - logits[:, 0]
    size = cohort.participants["brain_ml"].to_numpy(dtype=float)
    male = (cohort.participants["label"] == "male").to_numpy()
    line = np.polyfit(size, score, 1)
    shown = Table(title=f"{words}: {len(cohort)} IXI brains, AUC for male")
    for column in ("what", "AUC", "95 % interval (bootstrap)"):
        shown.add_column(column)
    for what, values in (
        ("the published network", score),
        ("brain volume alone", size),
        ("the network, volume regressed out", score - np.polyval(line, size)),
    ):
        low, high = _interval(values, male)
        shown.add_row(what, f"{roc_auc_score(male, values):.3f}", f"{low:.2f} to {high:.2f}")
    r = np.corrcoef(score, size)[0, 1]
    shown.caption = f"Correlation of the network's output with brain volume: {r:.2f}"
    return shown


def _interval(values: NDArray[np.float64], male: NDArray[np.bool_]) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    groups = np.flatnonzero(male), np.flatnonzero(~male)
    found = []
    for _ in range(DRAWS):
        drawn = np.concatenate([rng.choice(group, len(group)) for group in groups])
        found.append(roc_auc_score(male[drawn], values[drawn]))
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)


if __name__ == "__main__":
    main()
