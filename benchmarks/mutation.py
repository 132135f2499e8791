"""``python -m benchmarks.mutation``: faults planted into a clean study, and whether each is caught.

Makes phantom cohorts, trains and explains networks on them, and asks `voxplain trust` for its
verdict: of clean ones, to count wrong alarms, and of copies of the first with one fault each. A
fault is caught where a test that names it fails. Prints caught / planted and wrong alarms, and
writes ``benchmarks/mutation.json``, which the scoreboard takes in. Clean studies and their verdicts
are kept; ``--part 2/3`` judges every third of them, and nothing else; ``--planted`` plants faults,
and leaves what was counted of clean studies as it is.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from voxplain.attribution import explain
from voxplain.cohort.store.reader import open_store
from voxplain.errors import VoxplainError
from voxplain.fit import Schedule
from voxplain.phantom import make_scenario
from voxplain.pipeline.explain.options import ScanOptions
from voxplain.pipeline.explain.study.run import explain_study
from voxplain.pipeline.fit.fitted import Fitted, networks_of_folds
from voxplain.pipeline.fit.run import FitOptions, run_fit
from voxplain.pipeline.phantom import PhantomOptions, make_phantom_study
from voxplain.pipeline.trust.opening import TrustOptions
from voxplain.pipeline.trust.run import run_trust
from voxplain.progress import Silent
from voxplain.results.trust import TrustResult
from voxplain.study import Study
from voxplain.trust import edge_filter
from voxplain.trust.rules import EDITION

NETWORK = "mrinet"
METHOD, LAYERED, REGIONS = "gradient", "grad-cam", "region-ablation"
BUDGET = "1m"
SLOW = (
    *("sanity", "deletion", "faithfulness", "stability", "repeats", "agreement", "confounded"),
    *("spike-in", "null-maps", "null-calls", "encoding", "layer"),
)

Change = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[Any]]


@dataclass(frozen=True)
class Fault:
    """One fault.

    Parameters
    ----------
    name : str
    plant : callable
        Changes the study in a folder.
    named_by : tuple of str
        Tests of which one must fail; empty where voxplain must refuse the study.
    method : str
    """

    name: str
    plant: Callable[[Path], None]
    named_by: tuple[str, ...]
    method: str = METHOD


def maps_of(folder: Path, method: str = METHOD) -> list[tuple[Path, dict[str, Any]]]:
    """List a method's maps and their sidecars."""
    found = []
    for path in sorted((folder / "maps").glob("sub-*/*_statmap.json")):
        told = json.loads(path.read_text())
        if told["Method"] == method:
            found.append((path.with_suffix(".nii.gz"), told))
    return found


def changed(change: Change, method: str = METHOD) -> Callable[[Path], None]:
    """Plant a fault that turns a map and its scan into another map."""

    def plant(folder: Path) -> None:
        cohort = open_store(folder / "cohort")
        rows = {subject: i for i, subject in enumerate(cohort.subjects)}
        for path, told in maps_of(folder, method):
            image = nibabel.nifti1.load(path)
            values = np.asarray(image.dataobj, np.float32)
            new = change(values, cohort.load(rows[told["Subject"]]))
            save(new, image.affine, path)

    return plant


def save(values: NDArray[Any], affine: NDArray[Any], path: Path) -> None:
    """Write a map."""
    nibabel.save(nibabel.Nifti1Image(values.astype(np.float32), affine), path)  # type: ignore[no-untyped-call]


def identity_affine(folder: Path) -> None:
    """Save maps without their place."""
    for path, _ in maps_of(folder):
        save(np.asarray(nibabel.nifti1.load(path).dataobj), np.eye(4), path)


def group_mean(folder: Path) -> None:
    """Give every scan the mean of all maps."""
    maps = maps_of(folder)
    mean = np.mean([np.asarray(nibabel.nifti1.load(p).dataobj) for p, _ in maps], axis=0)
    for path, _ in maps:
        save(mean, nibabel.nifti1.load(path).affine, path)


def fits_of(folder: Path) -> tuple[Any, list[Fitted]]:
    """Open the cohort and the networks of a study."""
    cohort = open_store(folder / "cohort")
    return cohort, networks_of_folds(Study(folder, "voxplain study", "0"), NETWORK, cohort)


def explained_otherwise(
    method: str, how: Callable[[list[Fitted], int], tuple[Fitted, dict[str, Any]]], told: bool
) -> Callable[[Path], None]:
    """Plant maps that another network, or other options, made.

    `told` says whether the sidecar tells the weights that they were made by.
    """

    def plant(folder: Path) -> None:
        cohort, fits = fits_of(folder)
        for path, sidecar in maps_of(folder, method):
            row = cohort.subjects.index(sidecar["Subject"])
            own = next(i for i, one in enumerate(fits) if row in one.rows)
            fitted, options = how(fits, own)
            names = fitted.class_names
            target = options.pop("target", None)
            if target == "other":
                target = next(name for name in names if name != sidecar["Target"])
            options["target"] = target or sidecar["Target"]
            made = explain(fitted.load(), cohort[row], method, class_names=names, **options)
            save(made.values, nibabel.nifti1.load(path).affine, path)
            if told:
                sidecar["Provenance"]["weights_sha256"] = made.provenance.weights_sha256
                path.with_name(path.name.replace(".nii.gz", ".json")).write_text(
                    json.dumps(sidecar)
                )

    return plant


def sidecars(edit: Callable[[dict[str, Any]], None], method: str) -> Callable[[Path], None]:
    """Plant a fault in what sidecars say."""

    def plant(folder: Path) -> None:
        for path, told in maps_of(folder, method):
            edit(told)
            path.with_name(path.name.replace(".nii.gz", ".json")).write_text(json.dumps(told))

    return plant


def table(edit: Callable[[pd.DataFrame], None]) -> Callable[[Path], None]:
    """Plant a fault in the participants' table."""

    def plant(folder: Path) -> None:
        place = folder / "cohort/participants.tsv"
        people = pd.read_csv(place, sep="\t", dtype={"participant_id": str})
        edit(people)
        people.to_csv(place, sep="\t", index=False)

    return plant


def scans(edit: Callable[[NDArray[np.float32]], None]) -> Callable[[Path], None]:
    """Plant a fault in the scans."""

    def plant(folder: Path) -> None:
        place = folder / "cohort/images.npy"
        images = np.load(place)
        edit(images)
        np.save(place, images)

    return plant


def explained_by(method: str, *options: str) -> Callable[[Path], None]:
    """Explain a study by one more method."""

    def plant(folder: Path) -> None:
        asked = ScanOptions(
            *(NETWORK, (), (), folder),
            methods=(method,),
            options=options,
            device="cpu",
            maps="nifti",
        )
        explain_study(asked, Silent())

    return plant


def shifted_atlas(folder: Path) -> None:
    """Put all scans 8 mm beside the atlas, and explain them region by region."""
    place = folder / "cohort/store.json"
    told = json.loads(place.read_text())
    told["grid"]["affine"][1][3] += 8.0
    place.write_text(json.dumps(told))
    explained_by(REGIONS, f"{REGIONS}:regions=AAL")(folder)


def wrap(images: NDArray[np.float32]) -> None:
    """Store two scans in eight bits that are not enough."""
    for image in images[:2]:
        low, high = float(image.min()), float(np.quantile(image, 0.999))
        levels = (image - low) / (high - low) * 400
        image[:] = (levels % 256) / 256 * (high - low) + low


def leaky_masks(folder: Path) -> None:
    """Say that masks were made from held-out scans, as ``reclassify --paper`` does."""
    place = folder / "summary.json"
    told = json.loads(place.read_text())
    place.write_text(json.dumps(told | {"reclassify": {"options": {"leaky": True}}}))


def untrained(folder: Path) -> None:
    """Put the weights of a network that learnt nothing in place of the first fold's."""
    from safetensors.numpy import load_file, save_file

    place = next((folder / f"model/{NETWORK}").rglob("weights.safetensors"))
    rng = np.random.default_rng(0)
    state = {k: rng.permutation(v.ravel()).reshape(v.shape) for k, v in load_file(place).items()}
    save_file(state, place)


def of_others(folder: Path) -> None:
    """Rename the participants, so that the maps are of another cohort."""

    def rename(people: pd.DataFrame) -> None:
        people["participant_id"] = people["participant_id"].to_numpy()[::-1]

    table(rename)(folder)


def _families(people: pd.DataFrame) -> None:
    # Neighbours of one class, who may be in different folds.
    people["family_id"] = [
        f"F{kind}{number // 2}"
        for kind, number in zip(people["label"], people.groupby("label").cumcount(), strict=True)
    ]


def _by_class(name: str, values: tuple[Any, Any]) -> Callable[[pd.DataFrame], None]:
    def edit(people: pd.DataFrame) -> None:
        first = people["label"].iloc[0]
        rng = np.random.default_rng(0)
        made = [values[int(one != first)] for one in people["label"]]
        noise = rng.normal(0, 10, len(made))
        people[name] = [
            m + n if isinstance(m, float) else m for m, n in zip(made, noise, strict=True)
        ]

    return edit


def _shuffled(people: pd.DataFrame) -> None:
    """Give half of each class the other's label, so that nobody can know it."""
    odd = people.groupby("label").cumcount() % 2 == 1
    first, second = people["label"].unique()
    people.loc[odd, "label"] = people.loc[odd, "label"].map({first: second, second: first})


def _noise(values: NDArray[np.float32], scan: NDArray[np.float32]) -> NDArray[Any]:
    seed = int(abs(float(scan.sum())) * 1000) % 2**32
    return np.random.default_rng(seed).standard_normal(values.shape) * float(values.std())


def _edges(values: NDArray[np.float32], scan: NDArray[np.float32]) -> NDArray[Any]:
    from voxplain.grid import Grid

    return edge_filter(scan, Grid(scan.shape, np.diag([8.0, 8, 8, 1])), 8.0) + 0 * values


REPRODUCED = ("reproduced",)
FAULTS = (
    Fault("axis swap", changed(lambda m, _: np.transpose(m, (2, 1, 0))), ("grid", "reproduced")),
    Fault("left-right flip", changed(lambda m, _: np.flip(m, 0)), REPRODUCED),
    Fault("shift of 2 voxels", changed(lambda m, _: np.roll(m, 2, 1)), REPRODUCED),
    Fault("sign flip", changed(lambda m, _: -m), REPRODUCED),
    Fault("inverted map", changed(lambda m, _: m.max() - m), REPRODUCED),
    Fault(
        "wrong class",
        explained_otherwise(LAYERED, lambda f, i: (f[i], {"target": "other"}), told=False),
        REPRODUCED,
        LAYERED,
    ),
    Fault(
        "wrong layer",
        explained_otherwise(LAYERED, lambda f, i: (f[i], {"layer": first_layer(f[i])}), told=False),
        REPRODUCED,
        LAYERED,
    ),
    Fault("untrained weights", untrained, ()),
    Fault(
        "weights of another fold",
        explained_otherwise(METHOD, lambda f, i: (f[i - 1], {}), told=True),
        ("provenance", "held-out"),
    ),
    Fault(
        "weights of another fold, not told",
        explained_otherwise(METHOD, lambda f, i: (f[i - 1], {}), told=False),
        REPRODUCED,
    ),
    Fault("shuffled labels", table(_shuffled), ("knowledge-chance",)),
    Fault("constant map", changed(lambda m, _: np.full(m.shape, m.mean())), REPRODUCED),
    Fault("noise map", changed(_noise), REPRODUCED),
    Fault("edge map", changed(_edges), REPRODUCED),
    Fault("|image| map", changed(lambda m, scan: np.abs(scan)), REPRODUCED),
    Fault("group mean for everyone", group_mean, REPRODUCED),
    Fault(
        "no ReLU reached",
        sidecars(
            lambda told: told["Provenance"].update(
                notes=["negative gradients stopped at 0 ReLU calls"]
            ),
            "guided-backprop",
        ),
        ("relu",),
        "guided-backprop",
    ),
    Fault(
        "a reference that does not delete",
        explained_by(REGIONS, f"{REGIONS}:reference=blur", f"{REGIONS}:blur=4"),
        ("reference",),
        REGIONS,
    ),
    Fault("atlas shifted by 8 mm", shifted_atlas, ("atlas",), REGIONS),
    Fault("masks from held-out scans", leaky_masks, ("masks",)),
    Fault("siblings split over folds", table(_families), ("split",)),
    Fault(
        "duplicated subjects",
        scans(lambda images: np.copyto(images[3], images[8])),
        ("duplicates",),
    ),
    Fault("identity affine", identity_affine, ("grid",)),
    Fault("maps of another cohort", of_others, ("provenance",)),
    Fault("intensities wrapped at 256", scans(wrap), ("intensities",)),
    Fault(
        "a site that is the class",
        table(_by_class("site", ("A", "B"))),
        ("knowledge-confounds", "class-confounds"),
    ),
    Fault(
        "head size as the class",
        table(_by_class("brain_ml", (1200.0, 1300.0))),
        ("knowledge-confounds", "class-confounds"),
    ),
)


def first_layer(fitted: Fitted) -> str:
    """Name the first convolution of a network."""
    from torch import nn

    modules = fitted.load().named_modules()
    return next(name for name, module in modules if isinstance(module, nn.Conv3d))


def make_clean(folder: Path, seed: int, subjects: int, epochs: int) -> None:
    """Make a study in which nothing is wrong, unless it is there."""
    if (folder / "explain.json").exists():
        return
    scenario = make_scenario("additive", 4.0)
    phantom = PhantomOptions(folder, subjects, seed=seed, voxel_size=8.0, scenario=scenario)
    make_phantom_study(phantom, Silent())
    schedule = Schedule(epochs=epochs)
    fit = FitOptions(
        folder, folder, (NETWORK,), folds=4, schedule=schedule, final=False, baselines=False,
        seed=seed, device="cpu",
    )  # fmt: skip
    run_fit(fit, Silent())
    methods = (METHOD, "smoothgrad", LAYERED, "guided-backprop")
    explain_study(
        ScanOptions(NETWORK, (), (), folder, methods=methods, device="cpu", maps="nifti"), Silent()
    )


def judged(
    folder: Path, methods: Sequence[str], rules: Mapping[str, Any] | None = None
) -> TrustResult:
    """Ask for the verdict, without tests that train."""
    options = TrustOptions(folder, methods=tuple(methods), budget=BUDGET, rules=rules, device="cpu")
    return run_trust(options, Silent())


def failed(result: TrustResult) -> dict[str, str]:
    """List the tests that failed, and what each said."""
    found = [*result.study, *(one for method in result.methods for one in method.findings)]
    return {one.rule.test: one.measurement.words for one in found if one.outcome == "fail"}


def catch(fault: Fault, clean: Path, work: Path) -> tuple[bool, str]:
    """Plant a fault in a copy of a clean study; tell whether it is caught, and what was said."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(clean, work)
    fault.plant(work)
    try:
        # What asks networks about changed scans names no fault of files, and takes the time.
        said = failed(judged(work, [fault.method], {name: {"off": True} for name in SLOW}))
    except VoxplainError as error:
        return not fault.named_by, f"refused: {error}"
    named = [test for test in fault.named_by if test in said]
    if named:
        return True, f"{named[0]}: {said[named[0]]}"
    return False, f"failed: {', '.join(said) or 'nothing'}"


def alarms_of(folder: Path, seed: int, subjects: int, epochs: int) -> dict[str, Any]:
    """Judge a clean study: wrong verdicts, tests that failed, and those that were done."""
    kept = folder / "alarms.json"
    if not kept.exists():
        make_clean(folder, seed, subjects, epochs)
        result = judged(folder, [METHOD, "smoothgrad"])
        found = [*result.study, *(one for method in result.methods for one in method.findings)]
        told = {
            "wrong": [one.sentence for one in result.methods if one.call == "do not believe"],
            "failed": [one.rule.test for one in found if one.outcome == "fail"],
            "tested": [one.rule.test for one in found if one.outcome != "not tested"],
        }
        kept.write_text(json.dumps(told), encoding="utf-8")
    content: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    return content


def main() -> None:
    """Plant, judge and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutation")
    parser.add_argument("--folder", type=Path, default=Path("mutation"))
    parser.add_argument("--clean", type=int, default=20, help="clean studies")
    parser.add_argument("--subjects", type=int, default=40)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--only", default="", help="part of the faults' names")
    parser.add_argument("--part", default="", help="such as 2/3, of the clean studies alone")
    parser.add_argument("--planted", action="store_true", help="plant faults, judge no clean study")
    asked = parser.parse_args()
    if asked.part:
        number, parts = (int(word) for word in asked.part.split("/"))
        for seed in range(number, asked.clean + 1, parts):
            alarms_of(asked.folder / f"clean-{seed}", seed, asked.subjects, asked.epochs)
        return
    console = Console()
    shown = Table("fault", "caught", "what was said")
    first = asked.folder / "clean-1"
    make_clean(first, 1, asked.subjects, asked.epochs)
    chosen = [fault for fault in FAULTS if asked.only in fault.name]
    caught = 0
    for fault in chosen:
        found, said = catch(fault, first, asked.folder / "planted")
        caught += found
        shown.add_row(fault.name, "yes" if found else "NO", said)
        console.print(fault.name, "caught" if found else "NOT CAUGHT", said, highlight=False)
    console.print(shown)
    path = Path(__file__).with_name("mutation.json")
    told = json.loads(path.read_text(encoding="utf-8"))
    told |= {"edition": EDITION, "planted": len(chosen), "caught": caught}
    if asked.planted:
        _write(told, path, len(chosen) == len(FAULTS), console)
        return
    alarms, by_test, tried = 0, Counter[str](), Counter[str]()
    for seed in range(1, asked.clean + 1):
        folder = asked.folder / f"clean-{seed}"
        kept = alarms_of(folder, seed, asked.subjects, asked.epochs)
        alarms += bool(kept["wrong"])
        by_test.update(kept["failed"])
        tried.update(kept["tested"])
        console.print(f"clean {seed}:", kept["wrong"] or "no alarm", highlight=False)
    rates = {test: [by_test[test], count] for test, count in tried.items()}
    told |= {"clean_edition": EDITION, "clean": asked.clean, "false_alarms": alarms}
    _write(told | {"failed_of_tested": rates}, path, len(chosen) == len(FAULTS), console)


def _write(told: dict[str, Any], path: Path, whole: bool, console: Console) -> None:
    """Print what was counted, and write it where all faults were planted."""
    console.print_json(json.dumps(told))
    if whole:
        path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
