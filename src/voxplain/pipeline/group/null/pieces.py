"""The null of a test, piece by piece in a study, wherever the pieces were made."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from voxplain.group.permutation import UNIT, Null, joined
from voxplain.pipeline.shards.manifest import Manifest
from voxplain.study import Study

__all__ = ["NullPieces", "pieces_of"]

_LARGEST = "largest of "


def pieces_of(count: int) -> list[range]:
    """Cut so many arrangements into pieces that give the digits of an unbroken run."""
    return [range(start, min(start + UNIT, count)) for start in range(0, count, UNIT)]


@dataclass(frozen=True, eq=False)
class NullPieces:
    """Pieces of the nulls of a run.

    Parameters
    ----------
    study : Study
    manifest : Manifest
        Of the run, which holds by hash all that the pieces depend on.
    """

    study: Study
    manifest: Manifest

    def read(self, test: str, piece: range) -> Null | None:
        """Read a piece, None where there is none that is whole.

        Parameters
        ----------
        test : str
            Start of the names of the test's files.
        piece : range
            Of the arrangements.
        """
        content = self.study.read_bytes(self._name(test, piece))
        try:
            held = load(content) if content else {}
        except SafetensorError:
            return None
        if not held:
            return None
        surpassed, ratios = held.pop("surpassed").astype(np.int64), held.pop("ratios")
        return Null({key.removeprefix(_LARGEST): held[key] for key in held}, surpassed, ratios)

    def write(self, test: str, piece: range, null: Null) -> None:
        """Write a piece."""
        held = {f"{_LARGEST}{name}": values for name, values in null.largest.items()}
        held |= {"surpassed": null.surpassed.astype(np.uint8), "ratios": null.ratios}
        whole = {name: np.ascontiguousarray(values) for name, values in held.items()}
        self.study.write_bytes(self._name(test, piece), save(whole))

    def null(self, test: str, count: int, find: Callable[..., Null]) -> Null:
        """Join the pieces that are there, and find what is missing.

        Parameters
        ----------
        test : str
        count : int
            Arrangements of the test.
        find : callable
            From ``part``, a range, to its `Null`.
        """
        found: list[Null] = []
        missing = range(0)
        for piece in pieces_of(count):
            kept = self.read(test, piece)
            if kept is None:
                missing = range(missing.start if missing else piece.start, piece.stop)
                continue
            if missing:
                found.append(find(part=missing))
            missing = range(0)
            found.append(kept)
        if missing:
            found.append(find(part=missing))
        return joined(found)

    def join(self) -> None:
        """Note that the run is joined, and delete its pieces."""
        for name in self.study.list_names(f"runs/{self.manifest.name}/null-*.safetensors"):
            self.study.remove(name)
        self.manifest.join(self.study)

    def _name(self, test: str, piece: range) -> str:
        which = hashlib.sha256(test.encode()).hexdigest()[:12]
        return f"runs/{self.manifest.name}/null-{which}-{piece.start:07d}.safetensors"
