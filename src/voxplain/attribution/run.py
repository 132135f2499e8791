"""From a network and volumes to maps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, overload

from torch import nn

from voxplain.attribution.arguments import (
    read_class_names,
    read_engine,
    read_models,
    read_positions,
    read_seed,
    read_volumes,
)
from voxplain.attribution.engine import Engine
from voxplain.attribution.ensemble import Ensemble
from voxplain.attribution.job import Job
from voxplain.attribution.method import Method
from voxplain.attribution.methods import DEFAULT_METHOD, known_options, make_method
from voxplain.attribution.network.names import layer_name
from voxplain.attribution.network.numbers import number_target
from voxplain.attribution.network.target import TargetLike, make_target
from voxplain.attribution.streams import indexable
from voxplain.errors import InputError
from voxplain.inputs import is_volume_like

if TYPE_CHECKING:
    from voxplain.inputs import VolumeLike
    from voxplain.maps import AttributionMap

__all__ = ["explain", "iter_explain", "prepare_method"]

ClassNames = Sequence[str] | Mapping[int, str]


@overload
def explain(
    model: nn.Module | Sequence[nn.Module],
    volume: VolumeLike,
    method: str | Method = ...,
    target: TargetLike = ...,
    *,
    layer: str | nn.Module = ...,
    class_names: ClassNames | None = ...,
    output_unit: str | None = ...,
    engine: Engine | None = ...,
    seed: int = ...,
    **options: Any,
) -> AttributionMap: ...
@overload
def explain(
    model: nn.Module | Sequence[nn.Module],
    volume: Iterable[VolumeLike],
    method: str | Method = ...,
    target: TargetLike = ...,
    *,
    layer: str | nn.Module = ...,
    class_names: ClassNames | None = ...,
    output_unit: str | None = ...,
    engine: Engine | None = ...,
    seed: int = ...,
    **options: Any,
) -> list[AttributionMap]: ...
def explain(  # noqa: PLR0913 - what a map depends on, each by its name
    model: nn.Module | Sequence[nn.Module],
    volume: VolumeLike | Iterable[VolumeLike],
    method: str | Method = DEFAULT_METHOD,
    target: TargetLike = "predicted",
    *,
    layer: str | nn.Module = "auto",
    class_names: ClassNames | None = None,
    output_unit: str | None = None,
    engine: Engine | None = None,
    seed: int = 0,
    **options: Any,
) -> AttributionMap | list[AttributionMap]:
    """Explain what a network makes of a brain, voxel by voxel.

    Parameters
    ----------
    model : torch.nn.Module, or several
        From (N, 1, X, Y, Z) to logits (N, K), or to one logit or regression (N, 1) or (N,). It is
        run in eval mode and left as it was. Of several, the maps' mean is given, and their spread;
        the predicted class is then that of the largest mean probability, for all of them.
    volume : Volume, path or nibabel image, or several
        As the network wants them: preprocessed, on its grid (see `voxplain.prepare`). Files are
        read and checked as by `voxplain.read_volume`, each when its turn comes.
    method : str or Method, default="recommended"
        A name from `voxplain.attribution.methods.METHODS`, or a method with its options set.
    target : int, str, sequence of them, or callable, default="predicted"
        What to explain: a class index, a class name, one per volume, the predicted class, or a
        callable from the output (N, K) to one scalar per sample.
    layer : str or torch.nn.Module, default="auto"
        For methods that look at a layer: its dotted path, the module, or the last one whose output
        has spatial extent. Other methods pay no attention to it.
    class_names : sequence of str, or mapping of int to str, optional
        Names in the order of the network's outputs, or by their number from 0; of a single output,
        that of class 0 and that of class 1, whose logit it is.
    output_unit : str, optional
        For a network whose output is a number and no logit: the number's unit, such as
        ``"years"``. The target is then the output itself, or a function of it, such as
        `voxplain.attribution.expected_value`.
    engine : Engine, optional
        Device, precision and batch size; that of `Engine.run` shares what is found out about the
        network with other calls.
    seed : int, default=0
        The only source of randomness.
    **options
        Options of the method.

    Returns
    -------
    AttributionMap or list of AttributionMap
        One for one volume, a list for several.

    Raises
    ------
    InputError
        If the method, an option, the target or the layer is unknown, or a value is not finite.
    NetworkError
        If the network cannot take the volumes, or does not fit the method.
    """
    maps = list(
        iter_explain(
            model,
            volume,
            method,
            target,
            layer=layer,
            class_names=class_names,
            output_unit=output_unit,
            engine=engine,
            seed=seed,
            **options,
        )
    )
    return maps[0] if is_volume_like(volume) else maps


def iter_explain(  # noqa: PLR0913 - the arguments of explain, and the progress
    model: nn.Module | Sequence[nn.Module],
    volumes: VolumeLike | Iterable[VolumeLike],
    method: str | Method = DEFAULT_METHOD,
    target: TargetLike = "predicted",
    *,
    layer: str | nn.Module = "auto",
    class_names: ClassNames | None = None,
    output_unit: str | None = None,
    engine: Engine | None = None,
    seed: int = 0,
    on_progress: Callable[[float, int], None] | None = None,
    only: Sequence[int] | None = None,
    **options: Any,
) -> Iterator[AttributionMap]:
    """Explain volumes batch by batch, so that each map can be written as it comes.

    Parameters
    ----------
    model, volumes, method, target, layer, class_names, output_unit, engine, seed, **options
        See `explain`. The volumes are loaded a batch at a time.
    on_progress : callable, optional
        Takes the number of volumes done, which may be fractional during a long batch, and their
        total.
    only : sequence of int, optional
        Positions of the volumes whose maps are wanted. They are explained in the batches of a run
        over all volumes, so that each map is, bit for bit, the one of that run.

    Returns
    -------
    iterator of AttributionMap
        In the order of the volumes.

    Raises
    ------
    InputError
        Before the first map, if the method, an option, the target or a named layer is unknown.
    """
    _require_known_arguments(options, method)
    made = make_method(method, options)
    models = _models(model, made)
    sized = read_volumes(volumes)
    names = read_class_names(class_names)
    if on_progress is not None and not callable(on_progress):
        raise InputError(f"on_progress must be callable; {type(on_progress).__name__} was given.")
    name = layer_name(models[0], layer, auto=True)
    if name != "auto":
        for other in models[1:]:
            layer_name(other, name)
    if output_unit is not None:
        target = number_target(target, output_unit)
        if class_names:
            raise InputError(
                "class_names were given, and an output_unit, which says that the output is a "
                "number; give one of them."
            )
    job = Job(
        model=models[0],
        method=made,
        target=make_target(target, len(sized), names or None),
        layer=name,
        class_names=names,
        engine=read_engine(engine),
        seed=read_seed(seed),
        total=len(sized),
        output_unit=output_unit,
        only=None if only is None else read_positions(only, len(sized)),
    )
    run = Ensemble(job, models) if len(models) > 1 else job
    return run.maps(sized, on_progress or (lambda done, total: None))


def prepare_method(
    model: nn.Module | Sequence[nn.Module],
    volumes: Iterable[VolumeLike],
    method: str | Method,
    target: TargetLike = "predicted",
    *,
    class_names: ClassNames | None = None,
    engine: Engine | None = None,
    seed: int = 0,
    **options: Any,
) -> Method:
    """Let a method see all volumes that it depends on, so that some can be explained later.

    Parameters
    ----------
    model, volumes, method, target, class_names, engine, seed, **options
        See `explain`.

    Returns
    -------
    Method
        What `iter_explain` takes in place of the name; the method as given, where its maps do not
        depend on other volumes.

    Raises
    ------
    InputError
        See `iter_explain`.
    """
    made = make_method(method, options)
    seen = indexable(read_volumes(volumes))
    if not made.surveys or not len(seen):
        return made
    names = read_class_names(class_names)
    chosen = make_target(target, len(seen), names or None)
    # A method that looks at the volumes alone is the same for all networks.
    network = _models(model, made)[0]
    job = Job(network, made, chosen, "auto", names, read_engine(engine), read_seed(seed), len(seen))
    return job.prepared(seen).method


def _models(model: object, method: Method) -> list[nn.Module]:
    models = read_models(model)
    if len(models) > 1 and method.surveys and method.prepares_for_network:
        raise InputError(
            f"{method.info.name} with cohort=True prepares itself for one network; {len(models)} "
            "were given: give one, or leave cohort=True out."
        )
    return models


def _require_known_arguments(options: Mapping[str, Any], method: str | Method) -> None:
    """Say of an option that the method does not have where it belongs, or how it is spelled."""
    own = () if isinstance(method, Method) else known_options(method)
    for name in options:
        if name in own:
            continue
        if name in _OF_ENGINE:
            raise InputError(
                f"{name!r} is an option of the engine: give engine=Engine({name}=...)."
            )
        close = get_close_matches(name, [*_ARGUMENTS, *own], n=1, cutoff=0.7)
        if close:
            raise InputError(f"explain has no argument {name!r}; did you mean {close[0]!r}?")


_OF_ENGINE = frozenset(f.name for f in fields(Engine))
_ARGUMENTS = ("volume", "method", "target", "layer", "class_names", "engine", "seed")
