"""One test of a call: named, found again, made and written."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain import __version__
from voxplain.group import regions_of_rows
from voxplain.group.blocks import Arrangements
from voxplain.group.permutation import Inference, PreparedTest
from voxplain.maps import GroupMap
from voxplain.pipeline.fit.permuted import permuted_studies
from voxplain.pipeline.group.found.effects import effect_table
from voxplain.pipeline.group.found.tables import Places, cluster_table, region_tests
from voxplain.pipeline.group.null.device import null_on
from voxplain.pipeline.group.null.largest import QUESTIONS, against_studies
from voxplain.pipeline.group.null.networks import explained_by_null_networks
from voxplain.pipeline.group.null.pieces import NullPieces
from voxplain.pipeline.group.options import GroupOptions
from voxplain.pipeline.group.sample.maps import MapsOfScans, Scans
from voxplain.pipeline.regions.tables import write_regions
from voxplain.progress import Progress
from voxplain.report.figures import design_picture
from voxplain.study import Study
from voxplain.study.names import described, spelled
from voxplain.tables.formulas import plain_table

__all__ = ["Setting"]

_TITLES = {"voxel": "Voxel", "size": "ClusterSize", "mass": "ClusterMass", "tfce": "Tfce"}


@dataclass(frozen=True, eq=False)
class Setting:
    """All that the tests of one call share.

    Parameters
    ----------
    options : GroupOptions
    study : Study
    ways : Arrangements
    words : str
        The blocks in words.
    scans : Scans
    progress : Progress
    """

    options: GroupOptions
    study: Study
    ways: Arrangements
    words: str
    scans: Scans
    progress: Progress

    def name(self, maps: MapsOfScans) -> str:
        """Begin the names of a test's files."""
        options, effect = self.options, self.ways.design.effect
        told = f"model-{spelled(options.model)}_contrast-{spelled(effect)}"
        told += f"_only-{spelled(options.only)}" if options.only else ""
        null = f"_null-{options.null}" * (options.null != "permutation")
        null = f"_mean-Fold{null}" if options.fold_means else null
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
            "atlases": list(options.atlases),
            "move_atlas": options.move_atlas,
            "latex": options.latex,
            "null": options.null,
            "null_studies": [str(path) for path in options.null_studies],
            "null_networks": self._null_count(),
            "fold_means": options.fold_means,
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
        places: Places,
        pieces: NullPieces | None = None,
    ) -> dict[str, Any]:
        """Test the maps of a method, then write what was found."""
        began, options, design = time.perf_counter(), self.options, self.ways.design
        mask = places.mask
        scans, folders = self.scans, dict.fromkeys(options.null_studies, "")
        if options.null != "permutation" and not folders:
            made = explained_by_null_networks(options, self.study, maps, scans, self.progress)
            folders = dict.fromkeys(made, scans.network)
        values, test = self.prepared(maps, mask)
        ask = partial(test.null, self.progress, null_on(options.device))
        found = test.inference(ask() if pieces is None else pieces.null(start, len(test.rows), ask))
        if folders:
            found = against_studies(
                found, maps, design, mask, options.fwhm, folders, scans, self.progress
            )
        clusters = cluster_table(found, places, design.effect)
        files = self._write_maps(maps, start, found, mask)
        units = self._units()
        effects = effect_table(values, found, design, places, units, options.test.seed)
        tables = {"clusters": clusters, "effects": effects}
        for what, table in tables.items():
            text = plain_table(table).to_csv(
                sep="\t", index=False, float_format="%.6g", na_rep="n/a"
            )
            files.append(f"{start}_{what}.tsv")
            self.study.write_text(files[-1], text)
        regions = self._write_regions(maps, start, values, found, places)
        files += [name for one in regions for name in one["files"]]
        picture = design_picture(design.matrix, design.titles, design.contrast, design.effect)
        files.append(f"{start}_design.png")
        self.study.write_bytes(files[-1], picture)
        told = {
            "method": maps.method,
            "label": maps.label,
            "target": maps.target,
            "scans": len(scans.rows),
            "rows": len(design.subjects),
            "voxels": int(mask.sum()),
            "effect": design.effect,
            "columns": list(design.titles),
            "df": design.df,
            "blocks": self.words,
            "arrangements_permitted": _digits(self.ways.permitted),
            "arrangements_distinct": _digits(self.ways.distinct),
            "smallest_p": max(self.ways.smallest_p, 1 / (found.permutations + 1)),
            "permutations": found.permutations,
            "all_permutations": found.complete,
            "null": options.null,
            "question": QUESTIONS[options.null],
            "brought_over": [*maps.ways],
            "cluster_threshold_t": found.threshold,
            "found": {name: _told(found, name) for name in found.p},
            "true_voxels": found.discoveries.count(np.arange(len(found.t))),
            "confidence": 1 - options.test.alpha,
            "clusters": clusters.to_dict(orient="records"),
            "effects": effects[effects["kind"] != "region"]
            .drop(columns="atlas")
            .to_dict(orient="records"),
            "atlases": regions,
            "files": files,
            "seconds": time.perf_counter() - began,
            "options": options.told(),
            "request": request,
        }
        self.study.write_json(f"{start}_test.json", told)
        return told

    def prepared(
        self, maps: MapsOfScans, mask: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float32], PreparedTest]:
        """Read the maps of a method, array (N, V), and draw arrangements of the design."""
        options = self.options
        values = maps.array(mask, options.fwhm, self.progress, self.scans.units)
        allocate = maps.allocate(len(values), mask)
        return values, PreparedTest.of(values, self.ways, mask, options.test, allocate)

    def _write_regions(
        self,
        maps: MapsOfScans,
        start: str,
        values: NDArray[np.float32],
        found: Inference,
        places: Places,
    ) -> list[dict[str, Any]]:
        """Write the table of each atlas: what was found, and how the mean map lies over regions."""
        scans, told = self.scans, []
        people = scans.cohort.participants["participant_id"].astype(str)
        names = [people[scans.rows[unit[0]]] for unit in scans.units]
        whose = [str(i) for i in range(len(names))] if self.options.fold_means else names
        for number, placed in enumerate(places.placed):
            tests = region_tests(found, places, number)
            sums = regions_of_rows(
                values, placed.atlas, places.mask, whose=whose, units=self._units(),
                seed=self.options.test.seed,
            )  # fmt: skip
            shared = [name for name in sums if name in tests and name != "label"]
            table = tests.merge(sums.drop(columns=shared), on="label", how="left")
            about = {"maps": maps.label, "unit": maps.sidecar["Units"], "atlas": placed.told()}
            name = f"_atlas-{spelled(placed.atlas.name)}" * (number > 0)
            files = write_regions(self.study, f"{start}{name}", table, about, self.options.latex)
            told.append({"atlas": placed.atlas.name, "table": files[0], "files": files})
        return told

    def _units(self) -> list[NDArray[np.int64]]:
        """List the rows that share an effect; of means of folds, those of one network."""
        if not self.options.fold_means:
            return self.ways.tree.units()
        fold_of = [name.partition(",")[0] for name in self.ways.design.subjects]
        return [np.flatnonzero(np.array(fold_of) == one) for one in dict.fromkeys(fold_of)]

    def _null_count(self) -> int:
        """Tell how many networks of the study the null is made of."""
        options = self.options
        if options.null == "permutation" or options.null_studies:
            return 0
        if options.null == "untrained":
            return options.null_networks
        return len(permuted_studies(self.study.folder, self.scans.network))

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
                len(self.scans.rows),
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
        "voxels_05": int((p <= 0.05).sum()),
        "positive_05": int(((p <= 0.05) & above).sum()),
    }


def _digits(count: int) -> str:
    """Write a whole number out; Python itself refuses those of thousands of digits."""
    return str(Decimal(count))
