"""A phantom cohort as a study, as if it had been scanned."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxplain import __version__
from voxplain.cohort import brains_of, load_atlas, mni152_template
from voxplain.cohort.store.writer import write_store
from voxplain.errors import InputError
from voxplain.phantom import CLASS_NAMES, Maker, Scenario
from voxplain.pipeline.truth import TruthWriter
from voxplain.progress import Progress
from voxplain.study import Study
from voxplain.volume import Cohort

__all__ = ["PhantomOptions", "make_phantom_study"]


@dataclass(frozen=True)
class PhantomOptions:
    """What a phantom cohort is made of.

    Parameters
    ----------
    out : path
    subjects : int, default=120
    strength : float, optional
        Share by which the effect darkens its regions in cases; 0 makes two classes of the same
        kind. The scenario's own by default.
    family_size : int, default=1
        Members of a family, alike in shape and of one class.
    seed : int, default=0
    voxel_size : float, mm, optional
        About the edge length of the images' voxels; the paper's 3.1 by default.
    scenario : Scenario, optional
        What makes a case a case; darker hippocampi and amygdalae by default.
    base : path, optional
        A brain, or a folder of brains, that subjects are made of; the MNI152 template by default.
    """

    out: Path
    subjects: int = 120
    strength: float | None = None
    family_size: int = 1
    seed: int = 0
    voxel_size: float | None = None
    scenario: Scenario | None = None
    base: Path | None = None

    def asked(self) -> Scenario:
        """Return the scenario with all that was asked for.

        Raises
        ------
        InputError
            If the strength is out of range.
        """
        scenario = self.scenario or Scenario()
        if self.family_size > 1:
            scenario = replace(scenario, family_size=self.family_size)
        if self.voxel_size is not None:
            scenario = replace(scenario, grid=scenario.grid.recut(self.voxel_size))
        if self.strength is None:
            return scenario
        if not 0 <= self.strength < 1:
            raise InputError(f"strength must lie from 0 to below 1; {self.strength} was given.")
        return replace(scenario, effect=replace(scenario.effect, strength=self.strength))


def make_phantom_study(options: PhantomOptions, progress: Progress) -> Cohort:
    """Make a phantom cohort and write its store, where `voxplain fit` finds it.

    Subjects are made one by one, and none is held. Where there is an effect, its truths are
    written below ``phantom/``; see `TruthWriter`.

    Parameters
    ----------
    options : PhantomOptions
    progress : Progress

    Returns
    -------
    Cohort

    Raises
    ------
    VoxplainError
        If an option is out of range, a base cannot be read, or the study cannot be written.
    """
    scenario, subjects, seed = options.asked(), options.subjects, options.seed
    study = Study(options.out, "voxplain study", __version__)
    base = options.base
    brains = mni152_template() if base is None else brains_of(base, progress)
    maker = Maker(subjects, brains, load_atlas("AAL"), scenario, seed)
    # A larger head has no place in the brain where it would show.
    truth = TruthWriter(study, maker) if scenario.effect.strength or scenario.mark else None
    table = maker.participants()
    with progress.step(f"Phantom cohort of {subjects} subjects", subjects) as advance:

        def load(i: int) -> NDArray[np.float32]:
            made = maker.make(i)
            made.fill(table, i)
            if truth is not None:
                truth.take(i, made)
            advance(i + 1)
            return made.image

        of = "" if base is None else f", made of {base}"
        words = f"phantom, seed {seed}, {subjects} subjects, {scenario}{of}"
        planned = Cohort(table, CLASS_NAMES, maker.grid, load)
        cohort = write_store(options.out / "cohort", planned, words)
    if truth is not None:
        truth.finish()
    study.write_text("participants.tsv", cohort.participants.to_csv(sep="\t", index=False))
    told = {"recipe": words, "bayes_accuracy": scenario.bayes_accuracy}
    study.write_json("summary.json", study.read_json("summary.json") | {"phantom": told})
    return cohort
