"""One training on disk: its weights, what they mean, its record, and where it was cut short."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from voxplain.attribution import weights_sha256
from voxplain.fit import Epoch, Outcome, unit_of
from voxplain.nets import WeightsRecord, load_into, pack, read_weights, serialise, unpack
from voxplain.study import LOGITS, Study, StudyReader, same_request

__all__ = [
    "Checkpoint",
    "TrainingRecord",
    "load_weights",
    "meaning_of",
    "same_identity",
    "write_weights",
]

_RECORD, _WEIGHTS, _MEANING, _CHECKPOINT = (
    "training.json",
    "weights.safetensors",
    "weights.json",
    "checkpoint.pt",
)


@dataclass(frozen=True)
class TrainingRecord:
    """What is written of a training when it is done.

    Parameters
    ----------
    request : mapping
        What was asked for; see `voxplain.pipeline.fit.request`.
    weights_sha256, weights_file_sha256 : str
        Of the numbers, and of the bytes of the file.
    scale : tuple of 2 floats
        See `voxplain.fit.Training`.
    train, validation : tuple of str
        Scans that were learnt from, and that decided when to stop.
    history : tuple of Epoch
    seconds : float
    identity : mapping or None
        See `voxplain.pipeline.maps.identity_of`; None in records of earlier versions.
    arithmetic : mapping or None
        See `voxplain.fit.training.arithmetic`; None in records of earlier versions.
    """

    request: Mapping[str, Any]
    weights_sha256: str
    weights_file_sha256: str
    scale: tuple[float, float]
    train: tuple[str, ...]
    validation: tuple[str, ...]
    history: tuple[Epoch, ...]
    seconds: float
    identity: Mapping[str, Any] | None = None
    arithmetic: Mapping[str, Any] | None = None

    @property
    def outcome(self) -> str:
        """What the network tells: ``label``, or a column of numbers."""
        return str(self.request["outcome"])

    @property
    def class_names(self) -> tuple[str, ...]:
        """In the order of the outputs; empty for numbers."""
        return tuple(self.request["class_names"])

    @classmethod
    def read(
        cls, study: StudyReader, place: str, request: Mapping[str, Any] | None = None
    ) -> TrainingRecord | None:
        """Read the record of a training, None where there is none, or none of this request."""
        name = f"{place}/{_RECORD}"
        told = study.read_json(name) if request is None else study.find_json(name, request)
        if not told:
            return None
        low, high = told["scale"]
        return cls(
            request=told["request"],
            weights_sha256=told["weights_sha256"],
            weights_file_sha256=told["weights_file_sha256"],
            scale=(float(low), float(high)),
            train=tuple(told["train"]),
            validation=tuple(told["validation"]),
            history=tuple(Epoch(**epoch) for epoch in told["history"]),
            seconds=float(told["seconds"]),
            identity=told.get("identity"),
            arithmetic=told.get("arithmetic"),
        )

    def write(self, study: Study, place: str) -> None:
        """Write the record, which says that the training is done."""
        study.write_json(f"{place}/{_RECORD}", asdict(self))

    @staticmethod
    def changed(study: StudyReader, place: str, request: Mapping[str, Any]) -> list[str]:
        """Name the entries in which a training that is there was asked for otherwise."""
        return study.changed_json(f"{place}/{_RECORD}", request)


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training after its last whole epoch.

    Parameters
    ----------
    study : Study
    place : str
        Folder in the study.
    request : mapping
        What was asked for: a checkpoint of another request counts for nothing.
    """

    study: Study
    place: str
    request: Mapping[str, Any]

    def write(self, state: Mapping[str, Any], identity: Mapping[str, Any], seconds: float) -> None:
        """Keep what `voxplain.fit.Training.state` returns."""
        content = {"request": self._text(), "seconds": seconds, "state": state}
        packed = pack(content | {"identity": identity})
        self.study.write_bytes(f"{self.place}/{_CHECKPOINT}", packed)

    def read(self, device: str) -> Mapping[str, Any] | None:
        """Return ``state``, ``identity`` and ``seconds``; None where nothing is to be gone on from.

        A damaged file is nothing: training again costs time alone.
        """
        packed = self.study.read_bytes(f"{self.place}/{_CHECKPOINT}")
        content = None if packed is None else unpack(packed, device)
        if content is None or content.get("request") != self._text():
            return None
        return content

    def remove(self) -> None:
        """Delete the file, when the training is done."""
        self.study.remove(f"{self.place}/{_CHECKPOINT}")

    def _text(self) -> str:
        return repr(sorted(self.request.items()))


def meaning_of(outcome: Outcome, scale: tuple[float, float]) -> WeightsRecord:
    """Say what a network tells that was trained on an outcome, with the scale of its output."""
    if outcome.class_names:
        return WeightsRecord(outcome.class_names)
    return WeightsRecord((), unit_of(outcome.name), outcome.name, *scale)


def write_weights(
    study: Study, place: str, name: str, network: nn.Module, record: WeightsRecord
) -> dict[str, str]:
    """Write ``weights.safetensors``, and beside it what the outputs mean.

    Parameters
    ----------
    study : Study
    place : str
        Folder in the study.
    name : str
        Of the network.
    network : torch.nn.Module
    record : WeightsRecord

    Returns
    -------
    dict
        Hashes of the weights and of their file.
    """
    content = serialise(network)
    sha256 = hashlib.sha256(content).hexdigest()
    study.write_bytes(f"{place}/{_WEIGHTS}", content)
    told = {"network": name, **record.to_dict(), "weights_file_sha256": sha256}
    study.write_json(f"{place}/{_MEANING}", told)
    return {"weights_sha256": weights_sha256(network), "weights_file_sha256": sha256}


def load_weights(study: StudyReader, place: str, network: nn.Module) -> None:
    """Fill a network, in place, with the weights of a training."""
    load_into(network, read_weights(study.folder / place / _WEIGHTS))


def same_identity(kept: Mapping[str, Any] | None, identity: Mapping[str, Any]) -> bool:
    """Tell whether a network computes what it did when it was kept; yes where nobody wrote it down.

    Parameters
    ----------
    kept, identity : mapping
        Written then, and found now; see `voxplain.pipeline.maps.identity_of`.
    """
    return kept is None or not all(kept[LOGITS]) or same_request(kept, identity)
