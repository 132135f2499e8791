"""How often maps that share nothing, or an envelope alone, count as agreeing; and maps that do.

Pairs of absolute smooth noise (full width at half maximum 11 mm) in a ball of 170 mm, multiplied by
a scan with folded tissues, by a bump in the middle, or by nothing. ``shared`` is the weight of a
common noise in both maps beside 1 for each one's own.

    python -m benchmarks.agreement --runs 200 --draws 49 --first 1000
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from voxplain.grid import Grid
from voxplain.trust import Envelope, agreement

SHAPE, VOXEL_MM = (24, 28, 24), 6.0
GRID = Grid(SHAPE, np.diag([VOXEL_MM] * 3 + [1.0]))
PLACE = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij"))
RADIUS = np.sqrt((PLACE**2).sum(0))
BRAIN = RADIUS <= 0.95
TOP = 0.1


def noise(rng: np.random.Generator, sigma: float = 0.8) -> NDArray[np.float64]:
    pad = int(np.ceil(4 * sigma))
    wide = gaussian_filter(rng.standard_normal([n + 2 * pad for n in SHAPE]), sigma)
    return wide[tuple(slice(pad, pad + n) for n in SHAPE)]


def scan() -> NDArray[np.float64]:
    rng = np.random.default_rng(0)
    folds = noise(rng, 1.0)
    tissue = np.select([folds < -0.04, folds < 0.04], [0.35, 0.65], 1.0)
    return (tissue + 0.03 * rng.standard_normal(SHAPE)).clip(0.05)


def rates(
    envelope: NDArray[np.float64], images: tuple[NDArray[np.float64], ...], shared: float, args
) -> dict[str, tuple[float, float]]:
    hits = {"stationary": np.zeros(2), "envelope": np.zeros(2)}
    for run in range(args.runs):
        rng = np.random.default_rng(args.first + run)
        common = shared * noise(rng) if shared else 0
        a, b = (np.abs(common + noise(rng)) * envelope for _ in range(2))
        for name, null in (("stationary", None), ("envelope", Envelope(GRID, images))):
            found = agreement(a, b, BRAIN, TOP, run, args.draws, null)
            hits[name] += [found.dice > found.dice_95, found.spearman > found.spearman_95]
    return {name: tuple(np.round(count / args.runs, 3)) for name, count in hits.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="seed of the first pair")
    parser.add_argument("--shared", type=float, nargs="+", default=(0.0, 0.7))
    args = parser.parse_args()
    image = scan()
    bump = np.exp(-((RADIUS / 0.5) ** 2)) + 0.05
    cases = {"scan": (image, (image,)), "bump": (bump, ()), "nothing": (np.ones(SHAPE), ())}
    for shared in args.shared:
        for name, (envelope, images) in cases.items():
            found = rates(envelope, images, shared, args)
            print(f"shared {shared}  times {name:8}", end="", flush=True)
            for null, (dice, rank) in found.items():
                print(f"  {null}: Dice {dice:.3f} Spearman {rank:.3f}", end="")
            print(flush=True)


if __name__ == "__main__":
    main()
