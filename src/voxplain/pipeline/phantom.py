"""A phantom cohort as a study, as if it had been scanned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from voxplain import __version__
from voxplain.cohort import load_atlas, mni152_template
from voxplain.cohort.store.writer import write_store
from voxplain.errors import InputError
from voxplain.phantom import Scenario, make_phantom
from voxplain.pipeline.truth import write_truth
from voxplain.progress import Progress
from voxplain.study import Study
from voxplain.volume import Cohort

__all__ = ["make_phantom_study"]


def make_phantom_study(
    out: Path,
    subjects: int,
    strength: float | None,
    family_size: int,
    seed: int,
    progress: Progress,
    voxel_size: float | None = None,
    scenario: Scenario | None = None,
) -> Cohort:
    """Make a phantom cohort and write its store, where `voxplain fit` finds it.

    Where there is an effect, its place is written below ``phantom/``.

    Parameters
    ----------
    out : path
    subjects : int
    strength : float, optional
        Share by which the effect darkens its regions in cases; 0 makes two classes of the same
        kind. The scenario's own by default.
    family_size : int
        Members of a family, alike in shape and of one class.
    seed : int
    progress : Progress
    voxel_size : float, mm, optional
        About the edge length of the images' voxels; the paper's 3.1 by default.
    scenario : Scenario, optional
        What makes a case a case; darker hippocampi and amygdalae by default.

    Returns
    -------
    Cohort

    Raises
    ------
    VoxplainError
        If an option is out of range, or the study cannot be written.
    """
    scenario = scenario or Scenario()
    if family_size > 1:
        scenario = replace(scenario, family_size=family_size)
    if voxel_size is not None:
        scenario = replace(scenario, grid=scenario.grid.recut(voxel_size))
    if strength is not None:
        if not 0 <= strength < 1:
            raise InputError(f"strength must lie from 0 to below 1; {strength} was given.")
        scenario = replace(scenario, effect=replace(scenario.effect, strength=strength))
    study = Study(out, "voxplain study", __version__)
    with progress.step(f"Phantom cohort of {subjects} subjects", subjects) as advance:
        phantom = make_phantom(
            subjects,
            mni152_template(),
            load_atlas("AAL"),
            scenario=scenario,
            seed=seed,
            on_progress=lambda done, _: advance(done),
        )
    words = f"phantom, seed {seed}, {subjects} subjects, {scenario}"
    cohort = write_store(out / "cohort", phantom.cohort, words)
    # A larger head has no place in the brain where it would show.
    if scenario.effect.strength or scenario.mark:
        write_truth(study, phantom, progress)
    study.write_text("participants.tsv", cohort.participants.to_csv(sep="\t", index=False))
    told = {"recipe": words, "bayes_accuracy": scenario.bayes_accuracy}
    study.write_json("summary.json", study.read_json("summary.json") | {"phantom": told})
    return cohort
