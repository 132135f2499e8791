"""Faithfulness by removal: whether the network misses what a map calls important."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxplain.errors import GridError, InputError
from voxplain.trust.faithfulness.imputation import Imputation
from voxplain.trust.ranks import brain_mask, inside
from voxplain.trust.surrogates import Envelope, surrogates
from voxplain.trust.truth.chance import require_draws

if TYPE_CHECKING:
    import torch

__all__ = ["Removal", "RemovalTest", "Score", "removal", "scores_of"]

Score = Callable[["torch.Tensor"], "torch.Tensor"]
"""From images, tensor (N, 1, X, Y, Z), to logit margins, tensor (N,): an
`voxplain.attribution.ScanScore`, or any callable."""

Kind = Literal["deletion", "insertion"]

_CHUNK = 16


@dataclass(frozen=True, eq=False)
class RemovalTest:
    """How much is removed, and against how many random maps.

    Parameters
    ----------
    kind : {"deletion", "insertion"}, default="deletion"
        Whether the top voxels are taken out of the image, or put into the reference.
    shares : tuple of float, default=(.01, .02, .05, .1, .2, .4)
        Of the brain's voxels, each above 0 and below 1.
    draws : int, default=20
        Random maps; each costs as many passes as the map itself.
    seed : int, default=0
    envelope : Envelope, optional
        What random maps share with the map besides its values and its smoothness. With the scan
        in it, they too prefer bright tissue, whose removal costs any network more.

    Raises
    ------
    InputError
        If an option is not allowed.
    """

    kind: Kind = "deletion"
    shares: tuple[float, ...] = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
    draws: int = 20
    seed: int = 0
    envelope: Envelope | None = None

    def __post_init__(self) -> None:
        if self.kind not in ("deletion", "insertion"):
            raise InputError(f"kind must be 'deletion' or 'insertion'; {self.kind!r} was given.")
        if not self.shares or not all(0 < share < 1 for share in self.shares):
            raise InputError(f"The shares must lie between 0 and 1; {self.shares} were given.")
        require_draws(self.draws)


@dataclass(frozen=True)
class Removal:
    """What the score loses (or gains) as a map's top voxels are deleted (or inserted).

    Parameters
    ----------
    kind : {"deletion", "insertion"}
    reference : str
        What was put in place of the removed voxels.
    shares : tuple of float
    changes : tuple of float, logit
        At each share: the score lost by deletion, or gained by insertion.
    full : float, logit
        Score of the whole image.
    empty : float, logit
        Score of the reference; with imputation, which leaves no image at the end, the score at the
        largest share.
    p_reference : float
        Probability of the target that `empty` stands for.
    area : float, logit
        Mean of the changes (AOPC; Samek et al. 2017, *IEEE TNNLS* 28:2660): the higher, the more
        faithful.
    area_random : float, logit
        Median of the areas of random maps.
    area_95 : float, logit
        Their 95th percentile.
    p : float
        Share of the random maps, this map counted among them, whose area is at least as large.
    draws : int
    changes_random : tuple of float, logit
        Median of the changes of random maps at each share.
    changes_95 : tuple of float, logit
        Their 95th percentile at each share.
    """

    kind: Kind
    reference: str
    shares: tuple[float, ...]
    changes: tuple[float, ...] = field(repr=False)
    full: float
    empty: float
    p_reference: float
    area: float
    area_random: float
    area_95: float
    p: float
    draws: int
    changes_random: tuple[float, ...] = field(default=(), repr=False)
    changes_95: tuple[float, ...] = field(default=(), repr=False)

    @property
    def above_chance(self) -> bool:
        """Whether the area exceeds that of 95 % of random maps."""
        return self.area > self.area_95

    @property
    def reference_deletes(self) -> bool:
        """Whether the reference takes the target away: else the game cannot be won or lost."""
        return self.empty < self.full and self.p_reference < 0.5


def removal(
    score: Score,
    image: ArrayLike,
    map_: ArrayLike,
    brain: ArrayLike,
    references: Mapping[str, ArrayLike | Imputation],
    test: RemovalTest | None = None,
) -> tuple[Removal, ...]:
    """Delete or insert a map's top voxels inside the brain (Petsiuk et al. 2018, BMVC).

    The score is a logit margin, which does not saturate as a probability does. The map is held
    against random maps of the same values and smoothness, of which as many voxels are removed:
    scattered voxels harm a network more than a compact part of the same size, so without them the
    roughest map would win.

    Parameters
    ----------
    score : callable
        From images, tensor (N, 1, X, Y, Z), to logit margins, tensor (N,); see
        `voxplain.attribution.scan_score`.
    image : array (X, Y, Z)
    map_ : array (X, Y, Z)
        Higher is removed first. A signed map asks for what speaks for the target, `strength` of it
        for what matters in either direction.
    brain : array (X, Y, Z), bool
    references : mapping of str to array (X, Y, Z) or Imputation
        By name. Give several: with a single one, what is measured may be the reference.
        `Imputation` is ROAD, for deletion alone.
    test : RemovalTest, optional

    Returns
    -------
    tuple of Removal
        One for each reference.

    Raises
    ------
    GridError
        If the shapes differ.
    InputError
        If an array is not finite inside the brain, or `Imputation` is asked to insert.
    """
    test = test or RemovalTest()
    mask = brain_mask(brain)
    scan = np.asarray(image, dtype=np.float32)
    inside(scan, mask, "The image")
    orders = [_order(inside(map_, mask, "The map"), test.seed)]
    drawn = surrogates(map_, mask, test.draws, test.seed, test.envelope)
    orders += [_order(values, test.seed) for values in drawn]
    found = []
    for name, reference in references.items():
        if isinstance(reference, Imputation):
            if test.kind == "insertion":
                raise InputError("Imputation fills in what was deleted; it cannot insert.")
        elif np.shape(reference) != scan.shape:
            raise GridError(
                f"The reference {name!r} has shape {np.shape(reference)}, the image {scan.shape}; "
                "resample one of them first."
            )
        found.append(_removed(score, scan, mask, (name, reference), (orders, test)))
    return tuple(found)


def _removed(
    score: Score,
    scan: NDArray[np.float32],
    mask: NDArray[np.bool_],
    named: tuple[str, ArrayLike | Imputation],
    asked: tuple[Sequence[NDArray[np.int64]], RemovalTest],
) -> Removal:
    (name, reference), (orders, test) = named, asked
    counts = [max(1, round(share * len(orders[0]))) for share in test.shares]

    def images() -> Iterator[NDArray[np.float32]]:
        yield scan
        if not isinstance(reference, Imputation):
            yield _replaced(scan, mask, np.ones(len(orders[0]), dtype=bool), reference)
        for order in orders:
            for count in counts:
                out = np.zeros(len(order), dtype=bool)
                out[order[:count]] = True
                if isinstance(reference, Imputation):
                    removed = np.zeros(mask.shape, dtype=bool)
                    removed[mask] = out
                    yield reference.fill(scan, removed, mask, test.seed)
                else:
                    gone = out if test.kind == "deletion" else ~out
                    yield _replaced(scan, mask, gone, reference)

    found = scores_of(score, images())
    full = float(found[0])
    curves = found[-len(orders) * len(counts) :].reshape(len(orders), len(counts))
    empty = float(curves[0, -1] if isinstance(reference, Imputation) else found[1])
    changes = full - curves if test.kind == "deletion" else curves - empty
    areas = changes.mean(axis=1)
    null = areas[1:]
    return Removal(
        kind=test.kind,
        reference=name,
        shares=test.shares,
        changes=tuple(float(c) for c in changes[0]),
        full=full,
        empty=empty,
        p_reference=0.5 * (1 + math.tanh(empty / 2)),
        area=float(areas[0]),
        area_random=float(np.median(null)),
        area_95=float(np.quantile(null, 0.95, method="higher")),
        p=float(np.mean(areas >= areas[0])),
        draws=test.draws,
        changes_random=tuple(np.median(changes[1:], axis=0).tolist()),
        changes_95=tuple(np.quantile(changes[1:], 0.95, axis=0, method="higher").tolist()),
    )


def scores_of(score: Score, images: Iterator[NDArray[np.float32]]) -> NDArray[np.float64]:
    """Score a stream of images, a few at a time.

    Parameters
    ----------
    score : callable
    images : iterator of array (X, Y, Z), float32

    Returns
    -------
    array (N,), float64

    Raises
    ------
    InputError
        If the score does not give one number for each image.
    """
    import torch

    found: list[float] = []
    chunk: list[NDArray[np.float32]] = []

    def settle() -> None:
        given = score(torch.from_numpy(np.stack(chunk))[:, None])
        if given.shape != (len(chunk),):
            raise InputError(
                f"A score must give one number for each of {len(chunk)} images; it gave a tensor "
                f"of shape {tuple(given.shape)}."
            )
        found.extend(given.detach().double().cpu().tolist())
        chunk.clear()

    for image in images:
        chunk.append(image)
        if len(chunk) == _CHUNK:
            settle()
    if chunk:
        settle()
    return np.asarray(found)


def _order(values: NDArray[np.float64], seed: int) -> NDArray[np.int64]:
    """Order voxels from the highest on; ties by lot."""
    lots = np.random.default_rng(seed).permutation(len(values))
    return np.asarray(lots[np.argsort(-values[lots], kind="stable")])


def _replaced(
    scan: NDArray[np.float32],
    mask: NDArray[np.bool_],
    gone: NDArray[np.bool_],
    reference: ArrayLike,
) -> NDArray[np.float32]:
    where = np.zeros(mask.shape, dtype=bool)
    where[mask] = gone
    return np.where(where, np.asarray(reference, dtype=np.float32), scan)
