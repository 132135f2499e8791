"""``voxplain phantom``: brains whose truth is known."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voxplain.console import make_console, make_progress
from voxplain.errors import InputError

if TYPE_CHECKING:
    from voxplain.pipeline.spike import SpikeOptions

__all__ = ["phantom"]


def phantom(
    out: Annotated[Path, typer.Option(help="Folder of the study; made when missing.")],
    study: Annotated[
        Path | None,
        typer.Argument(help="A study whose own scans get a known effect; see --spike."),
    ] = None,
    spike: Annotated[
        str | None,
        typer.Option(
            help="Where the effect is planted: regions of AAL with commas between, random, "
            "ball:x,y,z,radius in mm, or like:FILE for a ball at random, as large as the largest "
            "cluster of a thresholded map."
        ),
    ] = None,
    kind: Annotated[
        str, typer.Option(help="What is planted: intensity, which is lost, or volume, which grows.")
    ] = "intensity",
    dprime: Annotated[
        float | None,
        typer.Option(
            help="Difference of the two groups in standard deviations: the best observer is right "
            "Phi(d'/2) of the time. For --spike, by default that of the study's best network; for "
            "--scenario, 3."
        ),
    ] = None,
    scenario: Annotated[
        str | None,
        typer.Option(
            help="What makes a case a case: additive, interaction, suppressor, head-size, "
            "head-size-and-effect, shortcut, families or null; or sex-like, as hard as was "
            "measured."
        ),
    ] = None,
    base: Annotated[
        Path | None,
        typer.Option(
            help="A brain, or a folder of brains with a mask beside each, that subjects are made "
            "of; else the MNI152 template."
        ),
    ] = None,
    subjects: Annotated[int, typer.Option(help="Size of a cohort of phantoms.")] = 120,
    strength: Annotated[
        float | None, typer.Option(help="Darkening in cases, as a share; 0 for none at all.")
    ] = None,
    family_size: Annotated[
        int, typer.Option(help="Members of a family, alike in shape and of one class.")
    ] = 1,
    voxel_size: Annotated[
        float | None, typer.Option(help="About the edge length of voxels, mm; else 3.1.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same brains.")] = 0,
) -> None:
    """Make a cohort of brains whose truth is known, or plant a known effect in a study's scans."""
    if (study is None) != (spike is None):
        raise InputError(
            "A known effect is planted with both: voxplain phantom STUDY --spike REGION --out OUT."
        )
    if study is not None and base is not None:
        raise InputError("--base is for phantoms; a study has scans of its own.")
    if study is not None and spike is not None:
        from voxplain.pipeline.spike import SpikeOptions

        _spike(SpikeOptions(study, out, spike, kind, dprime, seed=seed))
        return
    if scenario is None and dprime is not None:
        raise InputError("--dprime is for --scenario or --spike; give one of them.")
    if scenario is not None and strength is not None:
        raise InputError("--scenario takes --dprime in place of --strength.")
    from voxplain.phantom import make_scenario
    from voxplain.pipeline.phantom import PhantomOptions, make_phantom_study

    made = None if scenario is None else make_scenario(scenario, dprime)
    console = make_console()
    asked = PhantomOptions(out, subjects, strength, family_size, seed, voxel_size, made, base)
    cohort = make_phantom_study(asked, make_progress(console))
    console.print(f"{len(cohort)} brains in {out / 'cohort'}", highlight=False, soft_wrap=True)


def _spike(options: SpikeOptions) -> None:
    from voxplain.pipeline.spike import make_spiked_study

    console = make_console()
    told = make_spiked_study(options, make_progress(console))
    what = (
        f"{100 * told['strength']:.0f} % less signal"
        if told["kind"] == "intensity"
        else f"{100 * (math.exp(told['strength']) - 1):.0f} % more volume"
    )
    for line in (
        f"{told['scans']} scans, of half of the participants with {what} in "
        f"{', '.join(told['regions'])} ({told['voxels']} voxels), on top of "
        f"{100 * told['spread']:.0f} % (standard deviation) in all: d' {told['dprime']:.2f}, the "
        f"best observer is right {100 * told['bayes_accuracy']:.1f} % of the time.",
        f"The groups differ by at most {told['largest_difference']:.2f} standard deviations in "
        f"{', '.join(told['balanced']) or 'nothing that is known'}.",
        f"Study: {options.out}; go on with voxplain fit {options.out}",
    ):
        console.print(line, highlight=False, soft_wrap=True)
