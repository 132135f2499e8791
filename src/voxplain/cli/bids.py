"""``voxplain-bids``: the command line that BIDS Apps share."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from voxplain import __version__
from voxplain.cli import guarded
from voxplain.cli.options.modules import importable_here
from voxplain.console import make_console, make_progress
from voxplain.errors import InputError

__all__ = ["main"]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say it in one sentence, as all of voxplain does."""
        raise InputError(f"{message[:1].upper()}{message[1:]}; voxplain-bids --help tells more.")


def _parser() -> argparse.ArgumentParser:
    made = _Parser(
        prog="voxplain-bids",
        description="Explain what a network makes of the T1w scans of a BIDS dataset.",
        allow_abbrev=False,
    )
    add = made.add_argument
    add("bids_dir", type=Path, help="BIDS dataset, or a derivative with T1w scans")
    add("output_dir", type=Path, help="folder for the results; made when missing")
    add(
        "analysis_level",
        choices=("participant", "group"),
        help="maps of participants, each by itself, or the mean maps of all that are there",
    )
    for long, words in (
        ("participant", "labels of participants, with or without sub-; all by default"),
        ("session", "label of the session; else each participant's first"),
    ):
        many = {"nargs": "+", "default": ()} if long == "participant" else {}
        add(f"--{long}-label", f"--{long}_label", help=words, **many)  # type: ignore[arg-type]
    add("--space", help="native, or a template's name, where there are scans in several")
    add("--network", help="mrinet, or package.module:function")
    add("--weights", type=Path, nargs="+", default=(), help="files of weights")
    add("--preset", help="how scans are prepared: kan2020, mni-2mm or mni-1mm")
    add("--align", choices=("affine", "centre"), default="affine", help="see voxplain explain")
    add("--grid", choices=("network", "input"), default="network", help="of the maps")
    add("--method", nargs="+", default=("recommended",), help="see voxplain methods")
    add("--target", default="predicted", help="predicted, a class index or name")
    add("--class-names", nargs="+", help="in the order of the outputs")
    add("--device", default="auto", help="auto, cpu, cuda or mps")
    add("--seed", type=int, default=0, help="same seed, same maps")
    add("--skip-bids-validation", action="store_true", help="accepted; nothing is validated here")
    add("--version", action="version", version=f"voxplain {__version__}")
    return made


def main() -> None:
    """Run the app; a mistake ends in one sentence and exit code 2."""
    guarded(_run)


def _run() -> None:
    given = _parser().parse_args(sys.argv[1:])
    from voxplain.pipeline.bids import BidsOptions, explain_group, explain_participants
    from voxplain.pipeline.explain.options import ScanOptions

    console = make_console()
    progress = make_progress(console)
    options = BidsOptions(
        given.bids_dir,
        given.output_dir,
        tuple(given.participant_label),
        given.session_label,
        given.space,
    )
    if given.analysis_level == "group":
        found = explain_group(options, progress)
    else:
        if given.network is None or not given.weights:
            raise InputError("The participant level needs --network and --weights.")
        asked = ScanOptions(
            network=given.network,
            weights=tuple(given.weights),
            images=(),
            out=given.output_dir,
            preset=given.preset,
            align=given.align,
            grid=given.grid,
            methods=tuple(dict.fromkeys(given.method)),
            target=int(given.target) if given.target.lstrip("-").isdigit() else given.target,
            class_names=tuple(given.class_names) if given.class_names else None,
            device=given.device,
            seed=given.seed,
        )
        with importable_here():
            found = explain_participants(options, asked, progress)
    for path in found:
        console.print(f"Written: {path}", highlight=False, soft_wrap=True)
