"""The network and the images that every benchmark runs on: the demo's, made once and kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from voxplain import __version__
from voxplain.cohort import load_atlas, mni152_template
from voxplain.console import make_progress
from voxplain.fit import Schedule
from voxplain.phantom import Phantom, make_phantom
from voxplain.pipeline.demo.learn import Trained, train_network
from voxplain.study import Study

__all__ = ["Material", "material"]

FOLDER = Path("out/bench")
SUBJECTS = 120
SEED = 0


@dataclass(frozen=True, eq=False)
class Material:
    """The demo's phantom cohort and the paper's network trained on it."""

    phantom: Phantom
    trained: Trained
    study: Study


def material(console: Console, device: str = "cpu") -> Material:
    """Make the demo's cohort, and train on it unless that was done before."""
    progress = make_progress(console)
    study = Study(FOLDER / "demo", "voxplain benchmarks", __version__)
    with progress.step(f"Phantom cohort of {SUBJECTS} subjects", SUBJECTS) as advance:
        phantom = make_phantom(
            SUBJECTS,
            mni152_template(),
            load_atlas("AAL"),
            seed=SEED,
            on_progress=lambda done, _: advance(done),
        )
    trained = train_network(study, phantom, Schedule(), SEED, device, progress)
    return Material(phantom, trained, study)
