"""Every picture of the demo's page, from its results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from textwrap import wrap

import numpy as np
from numpy.typing import NDArray

from voxplain.atlas import Atlas
from voxplain.attribution import METHODS, probabilities
from voxplain.maps import GroupMap, RegionTable
from voxplain.phantom import Phantom
from voxplain.pipeline.demo.judge import AFFECTED_CLASS, CONTROL_LABELS
from voxplain.pipeline.demo.learn import Trained
from voxplain.report import figures
from voxplain.report.html.viewer import Scenery, ShownMap, viewer_data
from voxplain.report.pages.demo_findings import localisation_rows
from voxplain.results.demo import DemoResult
from voxplain.trust import FWHM_MM
from voxplain.volume import smooth

__all__ = ["demo_pictures", "demo_viewer", "smaller"]

_LABEL_WIDTH = 16
_Groups = Mapping[tuple[str, str], GroupMap]


def demo_pictures(
    phantom: Phantom,
    trained: Trained,
    result: DemoResult,
    groups: _Groups,
    blind: Mapping[str, NDArray[np.float32]],
    tables: Mapping[tuple[str, str], RegionTable],
    on_progress: Callable[[float], None],
) -> dict[str, bytes]:
    """Draw the figures of the page as PNG.

    Parameters
    ----------
    phantom : Phantom
    trained : Trained
    result : DemoResult
    groups : mapping of (method, class) to GroupMap
    blind : mapping of str to array (X, Y, Z)
        The controls' maps.
    tables : mapping of (method, class) to RegionTable
    on_progress : callable
        Takes the share that is done.

    Returns
    -------
    dict of str to bytes
        Under the names that `voxplain.report.pages.demo` knows.
    """
    labels = {name: method.label for name, method in result.methods.items()}
    makers: dict[str, Callable[[], bytes]] = {
        "cohort": lambda: _cohort(phantom),
        "training": lambda: figures.training_curve([e.to_dict() for e in trained.history]),
        "predictions": lambda: figures.predictions(
            probabilities(trained.logits)[:, 1],
            phantom.cohort.labels[trained.held_out],
            phantom.cohort.class_names,
            roc_auc=result.roc_auc.value,
            roc_auc_ci=result.roc_auc.ci,
        ),
        "localisation": lambda: figures.localisation_bars(
            localisation_rows(result), chance=result.chance_ap, chance_95=result.chance_ap_95
        ),
        "agreement": lambda: figures.agreement_matrix(result.agreement, labels),
        "gallery": lambda: _gallery(phantom, groups, blind),
    }
    for (name, class_name), map_ in groups.items():
        makers[f"mosaic:{name}:{class_name}"] = partial(_mosaic, phantom, map_)
        if map_.values.any():
            makers[f"regions:{name}:{class_name}"] = partial(
                _regions, phantom, tables[name, class_name]
            )
    drawn = {}
    for done, (name, make) in enumerate(makers.items(), start=1):
        drawn[name] = make()
        on_progress(done / len(makers))
    return drawn


def demo_viewer(phantom: Phantom, groups: _Groups, atlas: Atlas) -> str:
    """Pack the mean maps for the page's viewer, those of the affected class first."""
    ordered = sorted(groups.items(), key=lambda one: one[0][1] != AFFECTED_CLASS)
    scenery = Scenery(
        phantom.cohort.grid,
        phantom.template.values,
        atlas.labels,
        atlas.names,
        atlas.name,
        phantom.support.astype(np.float32),
    )
    maps = [
        ShownMap(
            METHODS[name].info.label,
            class_name,
            "mean",
            smooth(map_.values, map_.grid, FWHM_MM),
            map_.unit,
        )
        for (name, class_name), map_ in ordered
    ]
    return viewer_data(scenery, maps)


def smaller(name: str, png: bytes) -> bytes:
    """Return a picture as the page holds it: brains in fewer colours."""
    brain = name.startswith(("cohort", "gallery", "mosaic"))
    return figures.fewer_colours(png) if brain else png


def _cohort(phantom: Phantom) -> bytes:
    darkening = phantom.cohort.participants["darkening"].to_numpy()
    cases = np.flatnonzero(phantom.cohort.labels)
    ordered = cases[np.argsort(darkening[cases])]
    chosen = ordered[[0, len(ordered) // 2, -1]]
    return figures.cohort_strip(
        [
            (
                f"{100 * darkening[i]:.0f} %\ndarker",
                phantom.cohort[int(i)].values,
                phantom.without_effect[i],
            )
            for i in chosen
        ],
        phantom.cohort.grid,
        truth=phantom.support,
    )


def _mosaic(phantom: Phantom, map_: GroupMap) -> bytes:
    return figures.mosaic(
        map_.values,
        phantom.template.values,
        map_.grid,
        truth=phantom.support,
        title=(
            f"{METHODS[map_.method].info.label}, evidence for “{map_.target}”: "
            f"mean of {map_.n_subjects} held-out subjects"
        ),
        unit=map_.unit,
        fwhm=FWHM_MM,
    )


def _regions(phantom: Phantom, table: RegionTable) -> bytes:
    return figures.region_bars(
        table.frame[table.frame["label"] > 0],
        phantom.scenario.effect.regions,
        value="density",
        title=f"{METHODS[table.method].info.label}, {table.target}",
        unit="share of the map over share of the brain",
    )


def _gallery(phantom: Phantom, groups: _Groups, blind: Mapping[str, NDArray[np.float32]]) -> bytes:
    rows = [
        (METHODS[name].info.label, map_.values)
        for (name, class_name), map_ in groups.items()
        if class_name == AFFECTED_CLASS
    ]
    rows += [(CONTROL_LABELS[name], values) for name, values in blind.items()]
    rows = [("\n".join(wrap(label, _LABEL_WIDTH)), values) for label, values in rows]
    return figures.gallery(
        rows, phantom.template.values, phantom.cohort.grid, truth=phantom.support, fwhm=FWHM_MM
    )
