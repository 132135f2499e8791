"""Masks of where the evidence lies, from maps of training scans."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import nn

from voxplain.attribution import Engine, iter_explain
from voxplain.fit import Fold
from voxplain.group import mean_map
from voxplain.pipeline.fit.setting import Setting
from voxplain.pipeline.reclassify.options import ReclassifyOptions
from voxplain.pipeline.streams import Some
from voxplain.progress import Advance, Progress
from voxplain.results.reclassify import JOINT, RANDOM
from voxplain.trust.masks import hard_mask, random_score, soft_mask
from voxplain.trust.truth.localisation import strength

__all__ = ["Mask", "MaskMaker"]

Mask = NDArray[np.float32]

_BRAIN = 0.05


class MaskMaker:
    """Makes the masks of a fold from maps of some of its training scans."""

    def __init__(self, options: ReclassifyOptions, setting: Setting, progress: Progress) -> None:
        self.options, self.setting, self.progress = options, setting, progress
        self.engine = Engine(device=options.device)

    def of_fold(self, network: nn.Module, fold: Fold) -> dict[str, Mask]:
        """Return masks by name: of each class, joint, and random."""
        options, brain = self.options, self._brain(fold)
        rng = np.random.default_rng([options.seed, fold.number])
        scores = {}
        with self.engine.run() as engine:
            for index, name in enumerate(self.setting.cohort.class_names):
                members = fold.train[self.setting.outcome.values[fold.train] == index]
                chosen = np.sort(rng.permutation(members)[: options.explained])
                words = f"Maps of {name}" + f", fold {fold.number}" * bool(fold.number)
                with self.progress.step(words, len(chosen)) as advance:
                    scores[name] = self._strength(network, chosen, index, engine, advance)
        # Maps of a class have a scale of their own, which is not to decide whose voxels are joint.
        scores[JOINT] = np.sum([s / max(float(s.max()), 1e-30) for s in scores.values()], axis=0)
        seed = int(rng.integers(2**31))
        scores[RANDOM] = random_score(scores[JOINT], self.setting.cohort.grid, brain, seed)
        make = soft_mask if options.soft else hard_mask
        return {name: make(score, brain, options.share) for name, score in scores.items()}

    def _strength(
        self,
        network: nn.Module,
        scans: NDArray[np.int64],
        target: int,
        engine: Engine,
        advance: Advance,
    ) -> NDArray[np.float32]:
        """Rank voxels by the mean map of some scans for one class, array (X, Y, Z)."""
        options, cohort = self.options, self.setting.cohort
        maps = iter_explain(
            network,
            Some(cohort, scans.tolist()),
            options.method,
            target,
            engine=engine,
            seed=options.seed,
            on_progress=lambda done, _: advance(done),
        )
        return strength(mean_map(maps).values, cohort.grid, options.fwhm)

    def _brain(self, fold: Fold) -> NDArray[np.bool_]:
        mean = np.abs(self.setting.cohort.mean(fold.train))
        return np.asarray(mean > _BRAIN * mean.max())
