"""The maps of a study, tested over its subjects, and written as maps and tables."""

from __future__ import annotations

import time
import warnings
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain import __version__
from voxplain.atlas import Atlas
from voxplain.cohort import find_atlas
from voxplain.cohort.store.reader import open_store
from voxplain.errors import InputError, VoxplainWarning
from voxplain.grid import require_same_grid
from voxplain.group.blocks import Arrangements, read_blocks
from voxplain.group.design import make_design
from voxplain.group.permutation import Inference, permutation_test
from voxplain.maps import GroupMap
from voxplain.pipeline.group.maps import MapsOfScans, brain_of, catalogue
from voxplain.pipeline.group.nulls import against_studies
from voxplain.pipeline.group.options import GroupOptions
from voxplain.pipeline.group.table import rows_of, scan_table
from voxplain.pipeline.group.tables import Places, cluster_table, region_tests
from voxplain.progress import Progress
from voxplain.report.figures import design_picture
from voxplain.study import Study
from voxplain.study.names import described, spelled

__all__ = ["RECORD", "group_study"]

RECORD = "group.json"
_COVERED = 0.3
_TITLES = {"voxel": "Voxel", "size": "ClusterSize", "mass": "ClusterMass", "tfce": "Tfce"}


def group_study(options: GroupOptions, progress: Progress) -> dict[str, Any]:
    """Test the maps of a study over its subjects.

    Writes below ``group/``, for each method, the t map, its uncorrected and family-wise p, the
    table of clusters and that of regions, and the design as a picture, ``..._test.json`` last;
    ``group.json`` holds all tests, earlier ones too. A test that is there already, of the same maps
    and options, is kept.

    Parameters
    ----------
    options : GroupOptions
    progress : Progress

    Returns
    -------
    dict
        The tests of this call, by the start of their files' names.

    Raises
    ------
    VoxplainError
        If the study has no such maps, or they cannot be tested so.
    """
    cohort = open_store(options.study / "cohort")
    study = Study(options.study, "voxplain study", __version__)
    every = catalogue(study, cohort.subjects, options.network)
    table = scan_table(study, cohort, every.network)
    rows = rows_of(table, options.only)
    held, table = every.rows(rows), table.iloc[rows].reset_index(drop=True)
    chosen = [held.of(name, options.target) for name in options.methods or held.methods]
    for maps in chosen:
        require_same_grid(maps.grid, cohort.grid, f"The maps of {maps.label} and the cohort")
    names = tuple(held.subjects)
    design = make_design(
        table, options.model, options.contrast, subjects=names, class_names=cohort.class_names
    )
    tree, words = read_blocks(table, options.blocks)
    ways = Arrangements(design, tree)
    setting = _Setting(options, study, ways, words, progress)
    found: dict[str, Any] = {}
    mask: NDArray[np.bool_] | None = None
    places: Places | None = None
    for maps in chosen:
        start, request = setting.name(maps), setting.request(maps)
        kept = setting.kept(start, request)
        if kept:
            progress.say(f"{maps.label}: this test is there already, of the same maps")
            found[start] = kept
            continue
        if mask is None or places is None:
            mask = brain_of(cohort, rows, progress)
            places = Places(mask, cohort.grid, _atlas(options.atlas, cohort.grid, mask))
        found[start] = setting.write(maps, start, request, mask, places)
    briefly = {
        start: {key: value for key, value in told.items() if key != "request"}
        for start, told in found.items()
    }
    tests = {**study.read_json(RECORD).get("tests", {}), **briefly}
    study.write_json(RECORD, {"tests": tests, "versions": {"voxplain": __version__}})
    return found


@dataclass(frozen=True, eq=False)
class _Setting:
    """All that the tests of one call share."""

    options: GroupOptions
    study: Study
    ways: Arrangements
    words: str
    progress: Progress

    def name(self, maps: MapsOfScans) -> str:
        """Begin the names of a test's files."""
        options, effect = self.options, self.ways.design.effect
        told = f"model-{spelled(options.model)}_contrast-{spelled(effect)}"
        told += f"_only-{spelled(options.only)}" if options.only else ""
        null = f"_null-{options.null}" * (options.null != "permutation")
        return f"group/desc-{described('', maps.label, maps.target)}_{told}{null}"

    def request(self, maps: MapsOfScans) -> dict[str, Any]:
        """Gather what a rerun compares."""
        options, design = self.options, self.ways.design
        test = {k: v for k, v in asdict(options.test).items() if k != "threads"}
        return {
            "method": maps.method,
            "target": maps.target,
            "maps_sha256": maps.sha256,
            "model": options.model,
            "contrast": design.effect,
            "design": np.round(design.matrix, 10).tolist(),
            "blocks": self.ways.tree.shape,
            "only": options.only,
            "fwhm_mm": options.fwhm,
            "atlas": options.atlas,
            "null": options.null,
            "null_studies": [str(path) for path in options.null_studies],
            "test": test,
            "version": __version__,
        }

    def kept(self, start: str, request: dict[str, Any]) -> dict[str, Any] | None:
        """Return a test that is there already, whole and of an equal request."""
        told = self.study.find_json(f"{start}_test.json", request)
        whole = told and all(self.study.find_file(name) for name in told["files"])
        return told if whole else None

    def write(
        self,
        maps: MapsOfScans,
        start: str,
        request: dict[str, Any],
        mask: NDArray[np.bool_],
        places: Places,
    ) -> dict[str, Any]:
        """Test the maps of a method, then write what was found."""
        began, options, design = time.perf_counter(), self.options, self.ways.design
        values = maps.array(mask, options.fwhm, self.progress)
        found = permutation_test(values, self.ways, mask, options.test, self.progress)
        if options.null_studies:
            found = against_studies(
                found, maps, design, mask, options.fwhm, options.null_studies, self.progress
            )
        clusters = cluster_table(found, places, design.effect)
        regions = region_tests(found, places) if places.atlas else None
        files = self._write_maps(maps, start, found, mask)
        tables = {"clusters": clusters} | ({} if regions is None else {"regions": regions})
        for what, table in tables.items():
            text = table.to_csv(sep="\t", index=False, float_format="%.6g", na_rep="n/a")
            files.append(f"{start}_{what}.tsv")
            self.study.write_text(files[-1], text)
        picture = design_picture(design.matrix, design.titles, design.contrast, design.effect)
        files.append(f"{start}_design.png")
        self.study.write_bytes(files[-1], picture)
        told = {
            "method": maps.method,
            "label": maps.label,
            "target": maps.target,
            "scans": len(design.subjects),
            "voxels": int(mask.sum()),
            "effect": design.effect,
            "columns": list(design.titles),
            "df": design.df,
            "blocks": self.words,
            "arrangements_permitted": str(self.ways.permitted),
            "arrangements_distinct": str(self.ways.distinct),
            "smallest_p": max(self.ways.smallest_p, 1 / (found.permutations + 1)),
            "permutations": found.permutations,
            "all_permutations": found.complete,
            "null": options.null,
            "cluster_threshold_t": found.threshold,
            "found": {name: _told(found, name) for name in found.p},
            "true_voxels": found.discoveries.count(np.arange(len(found.t))),
            "confidence": 1 - options.test.alpha,
            "clusters": clusters.to_dict(orient="records"),
            "files": files,
            "seconds": time.perf_counter() - began,
            "request": request,
        }
        self.study.write_json(f"{start}_test.json", told)
        return told

    def _write_maps(
        self, maps: MapsOfScans, start: str, found: Inference, mask: NDArray[np.bool_]
    ) -> list[str]:
        every: dict[str, tuple[NDArray[Any], float, str]] = {
            "t": (found.t, 0.0, f"t of {self.ways.design.effect}"),
            "p": (found.uncorrected, 1.0, "p of each voxel, of both directions, not corrected"),
        }
        for name, p in found.p.items():
            said = f"family-wise p by the largest {_TITLES[name]}, of both directions"
            every[f"p{_TITLES[name]}"] = (p, 1.0, said)
        if found.tfce is not None:
            every["tfce"] = (found.tfce, 0.0, "threshold-free cluster enhancement of t")
        files = []
        for statistic, (values, outside, said) in every.items():
            volume = np.full(mask.shape, outside, dtype=np.float32)
            volume[mask] = values
            one = GroupMap(
                volume, maps.grid, maps.method, maps.target, statistic,
                len(self.ways.design.subjects),
            )  # fmt: skip
            extra = {
                "Statistic": said,
                "Model": self.options.model,
                "Contrast": self.ways.design.effect,
                "DegreesOfFreedom": found.df,
                "Permutations": found.permutations,
                "FWHM": self.options.fwhm,
            }
            path = self.study.write_statistic(start, one, maps.label, extra)
            files += [f"group/{path.name}", f"group/{path.name.removesuffix('.nii.gz')}.json"]
        return files


def _told(found: Inference, name: str) -> dict[str, Any]:
    p = found.p[name]
    above = found.t > 0
    return {
        "smallest_p": float(p.min()),
        "voxels_05": int((p < 0.05).sum()),
        "positive_05": int(((p < 0.05) & above).sum()),
    }


def _atlas(name: str, grid: Any, mask: NDArray[np.bool_]) -> Atlas | None:
    if name == "none":
        return None
    atlas = find_atlas(name).on(grid)
    covered = float((atlas.labels[mask] > 0).mean())
    if covered == 0:
        raise InputError(
            f"No voxel of the brain lies in a region of {name}: the study is not in MNI space; "
            "give --atlas none."
        )
    if covered < _COVERED:
        warnings.warn(
            f"Regions of {name} cover {100 * covered:.0f} % of the brain alone; if the study is "
            "not in MNI space, their names mean nothing: give --atlas none.",
            VoxplainWarning,
            stacklevel=2,
        )
    return atlas
