"""Time the methods and Captum's on the paper's network, in turn, in one process.

``make bench`` prints medians in ms per image and each row's ratio to a plain forward pass of the
network as given. Rows are taken in turn, so that a machine whose speed drifts treats all alike.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from captum.attr import GuidedBackprop, LayerAttribution, LayerGradCam
from rich.console import Console
from rich.table import Table

from voxplain import explain
from voxplain.cohort import load_atlas, mni152_template
from voxplain.errors import VoxplainWarning
from voxplain.explain import Engine
from voxplain.nets import MRINet
from voxplain.phantom import make_phantom

BATCH = 8
ROUNDS = 5


def main() -> None:
    """Measure, and print the table."""
    torch.manual_seed(0)
    network = MRINet().eval()
    for block in (1, 2, 3):
        norm = network.features.get_submodule(f"norm{block}")
        torch.nn.init.uniform_(norm.running_var, 0.5, 2.0)
    template, atlas = mni152_template(), load_atlas("AAL")
    began = time.perf_counter()
    phantom = make_phantom(BATCH, template, atlas)
    per_subject = (time.perf_counter() - began) / BATCH
    volumes = list(phantom.cohort)
    x = torch.from_numpy(phantom.cohort.stack(range(BATCH)))[:, None]

    def ours(method: str, precision: str) -> Callable[[], object]:
        engine = Engine(precision=precision, batch_size=BATCH)  # type: ignore[arg-type]
        return lambda: explain(network, volumes, method, 1, engine=engine)

    def forward() -> object:
        with torch.inference_mode():
            return network(x)

    def captum_grad_cam() -> object:
        cam = LayerGradCam(network, network.features.relu3)
        low = cam.attribute(x, target=1, relu_attributions=True)
        return LayerAttribution.interpolate(low, x.shape[2:], interpolate_mode="trilinear")

    def captum_guided() -> object:
        return GuidedBackprop(network).attribute(x.clone().requires_grad_(), target=1)

    rows: dict[str, Callable[[], object]] = {
        "forward pass, network as given": forward,
        "Grad-CAM, voxplain": ours("grad-cam", "auto"),
        "Grad-CAM, voxplain, exact": ours("grad-cam", "exact"),
        "Grad-CAM, Captum": captum_grad_cam,
        "gradient, voxplain": ours("gradient", "auto"),
        "guided backpropagation, voxplain": ours("guided-backprop", "auto"),
        "guided backpropagation, voxplain, exact": ours("guided-backprop", "exact"),
        "guided backpropagation, Captum": captum_guided,
    }
    times: dict[str, list[float]] = {name: [] for name in rows}
    for round_ in range(ROUNDS + 1):
        for name, work in rows.items():
            began = time.perf_counter()
            work()
            if round_:
                times[name].append((time.perf_counter() - began) / BATCH)
    once = time.perf_counter()
    with warnings.catch_warnings():
        # The untrained network gives perturbation nothing to delete; its cost is what is asked.
        warnings.simplefilter("ignore", VoxplainWarning)
        ours("meaningful-perturbation", "auto")()
    perturbed = (time.perf_counter() - once) / BATCH

    unit = statistics.median(times["forward pass, network as given"])
    table = Table("what", "ms per image", "× forward", title=f"58×70×58, batches of {BATCH}")
    for name, values in times.items():
        middle = statistics.median(values)
        table.add_row(name, f"{1000 * middle:.0f}", f"{middle / unit:.2f}")
    table.add_row(
        "meaningful perturbation, voxplain (once)",
        f"{1000 * perturbed:.0f}",
        f"{perturbed / unit:.1f}",
    )
    table.add_row(
        f"making a phantom subject, set-up shared by {BATCH}", f"{1000 * per_subject:.0f}", "–"
    )
    console = Console()
    console.print(table)
    console.print(
        f"{torch.get_num_threads()} threads, torch {torch.__version__}, numpy {np.__version__}"
    )


if __name__ == "__main__":
    main()
