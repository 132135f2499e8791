"""Feature maps of a layer, compared between classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from voxplain import __version__
from voxplain.attribution import Engine
from voxplain.attribution.examine.layers import first_features
from voxplain.attribution.examine.trace import trace
from voxplain.attribution.features import feature_summaries
from voxplain.cohort.store.reader import open_store
from voxplain.errors import InputError
from voxplain.group.contrast import compare_classes, mean_by_participant
from voxplain.pipeline.fit.fitted import find_fitted
from voxplain.pipeline.fit.places import ALL, folder_of
from voxplain.pipeline.made import write_page
from voxplain.pipeline.shards.alone import works_alone
from voxplain.progress import Progress
from voxplain.report.figures import feature_contrasts
from voxplain.report.pages.features import MEASURES, features_page
from voxplain.study import Study

if TYPE_CHECKING:
    import pandas as pd
from voxplain.tables.formulas import plain_table

__all__ = ["FeatureOptions", "compare_features"]

_SIGNIFICANT = 0.05
_MOST = 10


@dataclass(frozen=True)
class FeatureOptions:
    """Whose feature maps are compared.

    Parameters
    ----------
    study : path
        With a cohort and what `voxplain fit` made of it.
    network : str
    layer : str
        Dotted path; ``auto`` takes what the first convolution's block hands on.
    fold : int
        The network of this fold and the scans that it has not seen; 0 takes the network trained on
        all scans, and all of them, as the paper does.
    device : str
    """

    study: Path
    network: str = "mrinet"
    layer: str = "auto"
    fold: int = 0
    device: str = "auto"


@works_alone
def compare_features(options: FeatureOptions, progress: Progress) -> dict[str, Any]:
    """Compare mean and entropy of a layer's feature maps between two classes.

    Scans of one participant are averaged first: the tests are of participants, as are ``counts``.
    Writes tables and a figure below ``model/<network>/``, the page ``features.html``, and what they
    hold to ``summary.json``.

    Parameters
    ----------
    options : FeatureOptions
    progress : Progress

    Returns
    -------
    dict
        The part ``features`` of ``summary.json``.

    Raises
    ------
    VoxplainError
        If the study has no such network, or the network no such layer.
    """
    cohort = open_store(options.study / "cohort")
    if len(cohort.class_names) != 2:
        raise InputError(
            f"Feature maps are compared between two classes; the cohort has "
            f"{len(cohort.class_names)}."
        )
    study = Study(options.study, "voxplain study", __version__)
    which = (1, options.fold) if options.fold else ALL
    fitted = find_fitted(study, options.network, which, cohort)
    network = fitted.load()
    rows = fitted.rows if options.fold else list(range(len(cohort)))
    layer = options.layer
    if layer == "auto":
        layer = first_features(network, trace(network, torch.zeros(1, 1, *cohort.grid.shape)))
    with progress.step(f"Feature maps of {layer}", len(rows)) as advance:
        means, entropies = feature_summaries(
            network, [cohort[i] for i in rows], layer, Engine(options.device), advance
        )
    people = cohort.participants["participant_id"].iloc[rows].tolist()
    tables = {}
    for key, scans in {"mean": means, "entropy": entropies}.items():
        values, labels = mean_by_participant(scans, people, cohort.labels[rows])
        tables[key] = compare_classes(values, labels, cohort.class_names)
    counts = np.bincount(labels, minlength=2).tolist()
    start = f"{folder_of(options.network)}/features_{layer.replace('.', '-')}"
    for key, table in tables.items():
        text = plain_table(table).to_csv(sep="\t", index_label="feature_map", float_format="%.6g")
        study.write_text(f"{start}_{key}.tsv", text)
    titled = {MEASURES[key]: table for key, table in tables.items()}
    picture = feature_contrasts(titled, cohort.class_names, counts)
    study.write_bytes(f"{start}.png", picture)
    result = {
        "network": options.network,
        "layer": layer,
        "fold": options.fold,
        "scans": "held out" if options.fold else "all, which the network was trained on",
        "n_scans": len(rows),
        "participants": len(labels),
        "counts": dict(zip(cohort.class_names, counts, strict=True)),
        **{key: _told(table, cohort.class_names) for key, table in tables.items()},
        "figure": f"{start}.png",
        "versions": {"voxplain": __version__, "torch": torch.__version__},
    }
    page = features_page(result, {"contrasts": picture})
    write_page(study, "features.html", page)
    study.write_json("summary.json", study.read_json("summary.json") | {"features": result})
    return result


def _told(table: pd.DataFrame, class_names: tuple[str, ...]) -> dict[str, Any]:
    """Count the feature maps that differ in a measure, and list those that differ most."""
    differ = table["q"] < _SIGNIFICANT
    most = np.argsort(-table["g"].abs().to_numpy(), kind="stable")[:_MOST]
    return {
        "maps": len(table),
        "differ": int(differ.sum()),
        "differ_uncorrected": int((table["p"] < _SIGNIFICANT).sum()),
        "higher_in_second": int((differ & (table["g"] > 0)).sum()),
        "most": [
            {
                "map": int(i),
                "means": [float(table[f"mean_{name}"].iloc[i]) for name in class_names],
                **{key: float(table[key].iloc[i]) for key in ("g", "p", "q")},
            }
            for i in most
        ],
    }
