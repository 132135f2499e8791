"""``python -m benchmarks.false_alarms``: how often a rule fails where nothing is wrong.

Draws stand-ins of what a rule looks at, of which it is known that nothing is wrong with them: no
network is trained. Each draw goes through the very functions that `voxplain trust` calls, and is
held against the rule as it stands. Prints and writes ``benchmarks/false_alarms.json``; the table of
rules in ``docs/verdict.md`` shows it, and for other rules the counts of clean studies that
``make mutation`` found.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from nibabel.orientations import io_orientation
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

from voxplain.atlas import Atlas
from voxplain.cohort import load_atlas, mni152_template
from voxplain.cohort.prepare.templates import mni152_brain_mask
from voxplain.grid import Grid
from voxplain.pipeline.trust.maps.reference import share_left
from voxplain.pipeline.trust.weights.plausibility import implausible_outputs
from voxplain.results.trust import Measurement
from voxplain.trust import FWHM_MM, Comparison, chance_of, localise, strength
from voxplain.trust.displacement import displacement
from voxplain.trust.following import share_of_confounds
from voxplain.trust.integrity import coarse, sides
from voxplain.trust.retraining import shared_with
from voxplain.trust.rules import apply
from voxplain.trust.surrogates import Envelope
from voxplain.trust.truth.calls import WIDTH_MM, calls
from voxplain.trust.truth.figures import CHANCE_DRAWS
from voxplain.volume import resample, smooth

HERE = Path(__file__).parent
DRAWS = 400
LEAST, MOST, PLACES = 2.0, 20.0, 20
NOTICEABLE = 0.02


@lru_cache(maxsize=4)
def head(size: float) -> tuple[NDArray[np.float32], NDArray[np.bool_], Grid]:
    """The template on voxels of a size, where it is brain, and the grid."""
    template = mni152_template(2)
    grid = template.grid.recut(size)
    values = resample(template.values, template.grid, grid)
    return values, values > 0.2 * values.max(), grid


@lru_cache(maxsize=1)
def places() -> list[NDArray[np.bool_]]:
    """Regions of AAL at 8 mm, as the null's test takes them."""
    _, brain, grid = head(8.0)
    atlas = load_atlas("AAL")
    sizes = np.bincount(atlas.labels.ravel()) * atlas.grid.voxel_volume / 1000
    there = atlas.on(grid)
    masks = [
        (there.labels == label) & brain for label in there.names if LEAST <= sizes[label] <= MOST
    ]
    large = [one for one in masks if one.sum() >= 8]
    order = np.random.default_rng(0).permutation(len(large))
    return [large[i] for i in order[:PLACES]]


def noise(rng: np.random.Generator, grid: Grid, width: float) -> NDArray[np.float64]:
    """A smooth random field of variance one."""
    field = smooth(rng.normal(size=grid.shape), grid, width).astype(np.float64)
    return field / field.std()


def strong_somewhere(rng: np.random.Generator, size: float) -> NDArray[np.float64]:
    """What makes any map of a network strong: the brain's intensity, and some parts of it."""
    values, _, grid = head(size)
    return (0.2 + values / values.max()) * np.exp(0.7 * noise(rng, grid, 60.0))


def class_confounds(rng: np.random.Generator) -> Measurement:
    """The best of head size, age and site, none of which tells anything, of 40 scans."""
    labels = np.arange(40) % 2
    found = [float(roc_auc_score(labels, rng.normal(size=40))) for _ in range(3)]
    shares = [2 * max(one, 1 - one) - 1 for one in found]
    return Measurement("class-confounds", None, max(shares), "")


def atlas(rng: np.random.Generator) -> Measurement:
    """A brain up to a twentieth larger or smaller, on a grid that lies anyhow."""
    values, _, grid = head(2.0)
    size = float(rng.choice([3.0, 4.0, 8.0]))
    growth = np.eye(4)
    growth[:3, :3] *= rng.uniform(0.95, 1.05)
    grown = Grid(grid.shape, growth @ grid.affine)
    place = grid.recut(size).moved(rng.uniform(-size / 2, size / 2, size=3))
    there = resample((values > 0.1).astype(np.float32), grown, place)
    labels, template = _atlas(), mni152_brain_mask(place)
    shift = displacement(labels, there, place) - displacement(labels, template, place)
    return Measurement("atlas", None, float(np.linalg.norm(shift)), "")


@lru_cache(maxsize=1)
def _atlas() -> Atlas:
    return load_atlas("AAL")


def null_calls(rng: np.random.Generator) -> Measurement:
    """A mean map of noise, strong where any map is."""
    values, brain, grid = head(8.0)
    map_ = strong_somewhere(rng, 8.0) * noise(rng, grid, float(rng.choice([10.0, 16.0, 24.0])))
    envelope, seed = Envelope(grid, (values,), WIDTH_MM), int(rng.integers(2**31))
    found = calls(map_.astype(np.float32), places(), brain, envelope, 8.0, seed)
    return Measurement("null-calls", None, found.p, "")


def null_maps(shared: float, alone: float) -> Callable[[np.random.Generator], Measurement]:
    """Maps of three to five networks a training, so much shared by both, so much by one."""

    def draw(rng: np.random.Generator) -> Measurement:
        _, brain, grid = head(8.0)
        count = int(rng.integers(3, 6))
        common, *own = (noise(rng, grid, 16.0) for _ in range(3))
        at_place = [noise(rng, grid, 16.0) for _ in range(count)]
        left = max(1 - shared - alone - 0.2, 0.0)
        mine, others = (
            [
                np.sqrt(shared) * common
                + np.sqrt(alone) * one
                + np.sqrt(0.2) * at_place[i]
                + np.sqrt(left) * noise(rng, grid, 16.0)
                for i in range(count)
            ]
            for one in own
        )
        return Measurement("null-maps", None, shared_with(mine, others, brain).p, "")

    return draw


def sanity(rng: np.random.Generator) -> Measurement:
    """Maps of six scans and those of random networks, both strong where any map is."""
    values, brain, grid = head(8.0)
    shares = []
    for _ in range(6):
        both = [np.abs(strong_somewhere(rng, 8.0) * noise(rng, grid, 12.0)) for _ in range(2)]
        envelope = Envelope(grid, (values,))
        how = Comparison(brain, seed=int(rng.integers(2**31)), draws=60, envelope=envelope)
        shares.append(how.of(*both))
    value, chance = (
        float(np.mean([getattr(one, name) for one in shares]))
        for name in ("spearman", "spearman_surrogates")
    )
    return Measurement("sanity", None, (value - chance) / (1 - chance), "")


def confounded(rng: np.random.Generator) -> Measurement:
    """Forty maps of four networks, two targets, and confounds that have nothing to do with them."""
    maps = rng.normal(size=(40, 30)) @ rng.normal(size=(30, 400))
    blocks = [f"{i % 4} {i // 4 % 2}" for i in range(40)]
    found = share_of_confounds(maps, rng.normal(size=(40, 2)), blocks, int(rng.integers(2**31)))
    if found is None:
        raise ValueError("There are scans enough.")
    limit = max(found.limit, found.chance + NOTICEABLE)
    return Measurement("confounded", None, found.share, "", limit=limit)


def left_right(rng: np.random.Generator) -> Measurement:
    """Twenty brains that share an asymmetry, and have up to as much again of their own."""
    values, _, grid = head(8.0)
    common, size, scans = noise(rng, grid, 16.0), rng.uniform(0.3, 1.0), []
    for _ in range(20):
        both = 1 + 0.1 * (common + size * noise(rng, grid, 16.0))
        scans.append(coarse((values * both).astype(np.float32), grid.voxel_size))
    axis = int(np.flatnonzero(io_orientation(grid.affine)[:, 0] == 0)[0])
    swapped = sides(scans, axis)
    return Measurement("left-right", None, None if swapped is None else int(swapped.sum()), "")


def plausibility(rng: np.random.Generator) -> Measurement:
    """Logits of 40 scans of two classes, which the network tells apart anyhow."""
    labels = np.arange(40) % 2
    scale, apart = rng.uniform(0.5, 4.0), rng.uniform(0.5, 3.0)
    margins = scale * (rng.normal(size=40) + apart * (labels - 0.5))
    logits = np.stack([-margins / 2, margins / 2], axis=1)
    odd, _ = implausible_outputs(logits, ("a", "b"), labels)
    return Measurement("plausibility", None, float(1 - odd.mean()), "")


def reference(rng: np.random.Generator) -> Measurement:
    """An empty image that is of one class as surely as scans are, of twelve scans."""
    empty, kept = float(rng.normal(0, 2)), dict[str, list[float]]()
    for target in rng.integers(0, 2, size=12):
        sign = 2 * int(target) - 1
        kept.setdefault(str(target), []).append(sign * empty / abs(rng.normal(2, 1)))
    return Measurement("reference", None, share_left(kept), "")


def finding(test: str, strong: float, draws: int) -> Callable[[np.random.Generator], Measurement]:
    """A mean map of noise, and so many times its spread in one region, where the effect is."""

    def draw(rng: np.random.Generator) -> Measurement:
        values, brain, grid = head(8.0)
        support = places()[int(rng.integers(PLACES))]
        map_ = (noise(rng, grid, 12.0) + strong * support) * brain
        mean = (map_ * (0.2 + values / values.max())).astype(np.float32)
        found = localise(strength(mean, grid, FWHM_MM), support, brain)
        seed = int(rng.integers(2**31))
        null = chance_of(mean, support, brain, grid, FWHM_MM, seed, draws)
        limit = null.percentile_95
        return Measurement(test, None, found.average_precision, "", limit=limit)

    return draw


SOUND: dict[str, tuple[Callable[[np.random.Generator], Measurement], str]] = {
    "class-confounds": (class_confounds, "three confounds that tell nothing, 40 scans"),
    "atlas": (atlas, "the template's brain, up to 5 % larger or smaller, voxels of 3, 4, 8 mm"),
    "null-maps": (null_maps(0.0, 0.3), "maps that follow the labels, 3 to 5 networks"),
    "null-maps, at half": (null_maps(0.2, 0.2), "half of what maps share does not follow labels"),
    "null-calls": (null_calls, "noise, strong where any map is"),
    "sanity": (sanity, "unrelated maps, strong where any map is"),
    "confounded": (confounded, "maps that have nothing to do with the confounds"),
    "left-right": (left_right, "20 brains of a common asymmetry, and up to as much of their own"),
    "plausibility": (plausibility, "logits of two classes, 40 scans"),
    "reference": (reference, "an empty image that is of one class as surely as scans are"),
    "spike-in": (finding("spike-in", 3.0, CHANCE_DRAWS), "thrice the noise at the effect"),
    "layer": (finding("layer", 3.0, 100), "thrice the noise at the effect"),
    "faint spike-in": (finding("spike-in", 2.0, CHANCE_DRAWS), "twice the noise at the effect"),
}


def main() -> None:
    """Draw, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.false_alarms")
    parser.add_argument("--only", default="", help="rules whose name holds this")
    parser.add_argument("--draws", type=int, default=DRAWS)
    asked = parser.parse_args()
    path = HERE / "false_alarms.json"
    told = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    table = Table("rule", "failed", "draws", "what was drawn")
    for number, (name, (draw, words)) in enumerate(SOUND.items()):
        if asked.only in name:
            found = [
                apply(draw(np.random.default_rng([number, one]))).outcome
                for one in range(asked.draws)
            ]
            done = len(found) - found.count("not tested")
            told[name] = {"failed": found.count("fail"), "draws": done, "drawn": words}
            path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        if name in told:
            table.add_row(name, str(told[name]["failed"]), str(told[name]["draws"]), words)
    Console().print(table)


if __name__ == "__main__":
    main()
