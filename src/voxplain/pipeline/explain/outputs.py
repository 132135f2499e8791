"""What a network's outputs are: classes, the logit of one, a number, or bins of a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from voxplain.attribution import probabilities
from voxplain.attribution.network.names import require_names
from voxplain.attribution.network.numbers import (
    OUTPUT,
    ExpectedValue,
    Output,
    PerNetwork,
    expected_value,
    number_target,
)
from voxplain.attribution.network.target import TargetLike
from voxplain.errors import InputError
from voxplain.nets import WeightsRecord, published_layout, read_record
from voxplain.pipeline.explain.names import require_target
from voxplain.pipeline.explain.options import ScanOptions

__all__ = ["Outputs", "OutputRecord", "likely_counts", "read_output_record"]

_GUESSES = 8
_TOLD = 5


@dataclass(frozen=True)
class OutputRecord:
    """What is said of a network's outputs before it has run.

    Parameters
    ----------
    names : tuple of str, optional
        Of classes.
    unit : str, optional
        Where the output is a number.
    records : tuple of WeightsRecord
        Of each network's number.
    notes : tuple of str
        Where it was read, for the user.
    """

    names: tuple[str, ...] | None = None
    unit: str | None = None
    records: tuple[WeightsRecord, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outputs:
    """What the outputs of a network mean, and what is explained of them.

    Parameters
    ----------
    task : {"classification", "regression", "unknown"}
    names : tuple of str
        Of the classes; empty where there are none.
    target : int, str or callable
    unit : str, optional
        Of a number.
    each : tuple of callable
        From the outputs of each network to its number.
    """

    task: str
    names: tuple[str, ...]
    target: TargetLike
    unit: str | None = None
    each: tuple[Output | ExpectedValue, ...] = ()

    @classmethod
    def of(cls, options: ScanOptions, said: OutputRecord, count: int) -> Outputs:
        """Settle it, now that the number of outputs is known.

        Raises
        ------
        InputError
            If what was said does not fit so many outputs, or the target is not one of them.
        """
        wanted = options.classes
        if wanted is not None and wanted != count and not (count == 1 and wanted == 2):
            raise InputError(
                f"--classes {wanted} was given, and the network has {count} "
                f"output{'s' if count > 1 else ''}; give their number, or leave --classes out."
            )
        if said.unit is not None:
            return cls._number(options, said, said.unit, count)
        require_names(len(said.names or ()), count)
        require_target(options.target, said.names or (), count)
        names = said.names or tuple(f"class {i}" for i in range(max(count, 2)))
        if count == 1 and said.names is None and options.task == "auto":
            return cls("unknown", (), options.target)
        return cls("classification", names, options.target)

    @classmethod
    def _number(cls, options: ScanOptions, said: OutputRecord, unit: str, count: int) -> Outputs:
        number_target(options.target, unit)
        each: tuple[Output | ExpectedValue, ...] = (Output(),)
        if count > 1 or options.bins or any(record.bins for record in said.records):
            each = tuple(expected_value(c, n) for c, n in _bins(options, said, count))
        elif said.records:
            each = tuple(Output(one.name, one.mean, one.scale) for one in said.records)
        for one in each:
            one(torch.zeros(1, count))
        target = each[0] if len(set(each)) == 1 else PerNetwork(each)
        return cls("regression", (), target, unit, each)

    def read(self, of_networks: Sequence[NDArray[np.float32]]) -> list[dict[str, Any]]:
        """Say what the networks make of each scan, as ``explain.json`` holds it.

        Parameters
        ----------
        of_networks : sequence of array (N, K)
            Outputs of each network; means over them are told.
        """
        rows = np.mean(of_networks, axis=0)
        told: list[dict[str, Any]] = [{"logits": row.tolist()} for row in rows]
        if self.task == "classification":
            each = [_chances(z) for z in of_networks]
            for one, chance in zip(told, np.mean(each, axis=0), strict=True):
                predicted = self.names[int(chance.argmax())]
                one |= {"probabilities": chance.tolist(), "predicted": predicted}
        elif self.task == "regression":
            functions = self.each * (len(of_networks) // len(self.each))
            numbers = [
                f(torch.from_numpy(np.asarray(z, np.float64))).numpy()
                for f, z in zip(functions, of_networks, strict=True)
            ]
            for one, number in zip(told, np.mean(numbers, axis=0), strict=True):
                one |= {"prediction": float(number), "unit": self.unit}
        else:
            for one, row in zip(told, rows, strict=True):
                one |= {"prediction": float(row[0]), "unit": OUTPUT}
        return told

    def words(self, told: Mapping[str, Any]) -> str:
        """Say what was predicted of a scan, on one line."""
        if self.task == "classification":
            pairs = list(zip(self.names, told["probabilities"], strict=True))
            if more := len(pairs) - _TOLD if len(pairs) > _TOLD + 1 else 0:
                pairs = sorted(pairs, key=lambda pair: -pair[1])[:_TOLD]
            words = ", ".join(f"p({name}) = {p:.3f}" for name, p in pairs)
            return words + f" and {more} classes less probable" * bool(more)
        number = told["prediction"]
        text = f"{number:.1f}" if abs(number) >= 10 else f"{number:.3g}"
        if self.task == "unknown" or self.unit == OUTPUT:
            return f"output {text}"
        name = self.each[0].name
        return f"{text} {self.unit}" + f" ({name})" * (name != OUTPUT)

    @property
    def advice(self) -> str:
        """What to do where nothing says what the output is."""
        if self.task != "unknown":
            return ""
        return (
            "The network has one output, and nothing says what it is, so that no probability is "
            "given and the output itself is explained. If it is a number, give --unit, such as "
            "--unit years; if it is the logit of class 1, --class-names with the name of class 0 "
            "first, or --task classification."
        )


def read_output_record(
    options: ScanOptions, states: Sequence[Mapping[str, torch.Tensor]]
) -> OutputRecord:
    """Gather what the options, the weights' own records and their layout say of the outputs.

    Parameters
    ----------
    options : ScanOptions
    states : sequence of mapping
        State dict of each file of weights.

    Raises
    ------
    InputError
        If they contradict each other.
    """
    found = [read_record(path) for path in options.weights]
    notes = [note for _, note in found if note]
    records = [record for record, _ in found if record is not None]
    if len(records) < len(found):
        records = []
    names = options.class_names
    if options.task == "regression":
        numbers = tuple(one for one in records if not one.class_names)
        unit = options.unit or (numbers[0].unit if numbers else "") or OUTPUT
        return OutputRecord(None, unit, numbers, tuple(notes))
    if not records:
        named, note = _published(options, states)
        return OutputRecord(named, None, (), (*notes, *note))
    if len({(one.class_names, one.unit, one.name) for one in records}) > 1:
        raise InputError(
            "The records beside the weights name different classes or numbers; explain these "
            "networks one at a time."
        )
    beside = options.weights[0].with_suffix(".json")
    first = records[0]
    if not first.class_names:
        if options.task == "classification":
            return OutputRecord(names, None, (), tuple(notes))
        if names:
            raise InputError(
                f"Class names were given, and {beside} says that the output is {first.name}, a "
                "number; leave them out, or give --task classification."
            )
        return OutputRecord(None, first.unit or OUTPUT, tuple(records), tuple(notes))
    if names and names != first.class_names:
        order = ", ".join(f"{i} {name}" for i, name in enumerate(first.class_names))
        notes.append(f"{beside} names the classes otherwise ({order}); yours are used")
    elif not names:
        notes.append(f"classes as named in {beside}")
    return OutputRecord(names or first.class_names, None, (), tuple(notes))


def _published(
    options: ScanOptions, states: Sequence[Mapping[str, torch.Tensor]]
) -> tuple[tuple[str, ...] | None, list[str]]:
    sexes = ("female", "male")
    if options.class_names:
        return options.class_names, []
    if options.task == "auto" and all(
        published_layout(one) and likely_counts(one) == [2] for one in states
    ):
        return sexes, [
            "the weights have the layout published with Kan et al. 2020, whose class 0 is female "
            "and class 1 male; give --class-names if yours are others"
        ]
    if options.preset == "kan2020":
        return None, [
            "the classes have no names: give --class-names, that of class 0 first (of the weights "
            "published with Kan et al. 2020, 0 is female and 1 male)"
        ]
    return None, []


def likely_counts(state: Mapping[str, torch.Tensor]) -> list[int]:
    """Guess numbers of outputs of a network: the outputs of its linear and pointwise layers."""
    heads = {
        t.shape[0] for t in state.values() if t.numel() and t.ndim > 1 and t[0, 0].numel() == 1
    }
    return sorted(int(n) for n in heads)[:_GUESSES]


def _bins(
    options: ScanOptions, said: OutputRecord, count: int
) -> list[tuple[Sequence[float], str]]:
    """Centres of the bins, and the name of the number, for each network."""
    if count == 1:
        raise InputError(
            "Bins were given, and the network has one output, which is a number by itself; leave "
            "--bins out."
        )
    if options.bins:
        name = said.records[0].name if said.records else "expected value"
        return [(options.centres(count), name)]
    if not said.records or not all(one.bins for one in said.records):
        raise InputError(
            f"The network has {count} outputs, which are not one number; if they are bins of one, "
            "give the edges of the first and the last (--bins 42:82); of several numbers, explain "
            "one from Python, with target=lambda outputs: outputs[:, 0]."
        )
    return [(one.bins, one.name) for one in said.records]


def _chances(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    chances = probabilities(logits)
    return np.hstack([1 - chances, chances]) if chances.shape[1] == 1 else chances
