"""From a network and volumes to maps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from typing import TYPE_CHECKING, Any, cast, overload

from torch import nn

from voxplain.errors import InputError
from voxplain.explain.engine import Engine
from voxplain.explain.ensemble import Ensemble
from voxplain.explain.job import Job, indexable
from voxplain.explain.method import Method
from voxplain.explain.methods import make_method
from voxplain.explain.numbers import number_target
from voxplain.explain.probe import layer_name
from voxplain.explain.target import TargetLike, make_target
from voxplain.volume import Volume

if TYPE_CHECKING:
    from voxplain.maps import AttributionMap

__all__ = ["explain", "iter_explain", "prepare_method"]


@overload
def explain(
    model: nn.Module | Sequence[nn.Module],
    volume: Volume,
    method: str | Method = ...,
    target: TargetLike = ...,
    *,
    layer: str | nn.Module = ...,
    class_names: Sequence[str] | None = ...,
    output_unit: str | None = ...,
    engine: Engine | None = ...,
    seed: int = ...,
    **options: Any,
) -> AttributionMap: ...
@overload
def explain(
    model: nn.Module | Sequence[nn.Module],
    volume: Iterable[Volume],
    method: str | Method = ...,
    target: TargetLike = ...,
    *,
    layer: str | nn.Module = ...,
    class_names: Sequence[str] | None = ...,
    output_unit: str | None = ...,
    engine: Engine | None = ...,
    seed: int = ...,
    **options: Any,
) -> list[AttributionMap]: ...
def explain(  # noqa: PLR0913 - what a map depends on, each by its name
    model: nn.Module | Sequence[nn.Module],
    volume: Volume | Iterable[Volume],
    method: str | Method = "gradient",
    target: TargetLike = "predicted",
    *,
    layer: str | nn.Module = "auto",
    class_names: Sequence[str] | None = None,
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
    volume : Volume, or several
        As the network wants them: preprocessed, on its grid.
    method : str or Method, default="gradient"
        A name from `voxplain.explain.methods.METHODS`, or a method with its options set.
    target : int, str, sequence of them, or callable, default="predicted"
        What to explain: a class index, a class name, one per volume, the predicted class, or a
        callable from the output (N, K) to one scalar per sample.
    layer : str or torch.nn.Module, default="auto"
        For methods that look at a layer: its dotted path, the module, or the last one whose output
        has spatial extent. Other methods pay no attention to it.
    class_names : sequence of str, optional
        Names in the order of the network's outputs; of a single output, that of class 0 and that
        of class 1, whose logit it is.
    output_unit : str, optional
        For a network whose output is a number and no logit: the number's unit, such as
        ``"years"``. The target is then the output itself, or a function of it, such as
        `voxplain.explain.expected_value`.
    engine : Engine, optional
        Device, precision and batch size.
    seed : int, default=0
        The only source of randomness.
    **options
        Options of the method.

    Returns
    -------
    AttributionMap or list of AttributionMap
        One for one `Volume`, a list for several.

    Raises
    ------
    InputError
        If the method, an option, the target or the layer is unknown, or a value is not finite.
    NetworkError
        If the network cannot take the volumes, or does not fit the method.
    """
    volumes = [volume] if isinstance(volume, Volume) else volume
    maps = list(
        iter_explain(
            model,
            volumes,
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
    return maps[0] if isinstance(volume, Volume) else maps


def iter_explain(  # noqa: PLR0913 - the arguments of explain, and the progress
    model: nn.Module | Sequence[nn.Module],
    volumes: Iterable[Volume],
    method: str | Method = "gradient",
    target: TargetLike = "predicted",
    *,
    layer: str | nn.Module = "auto",
    class_names: Sequence[str] | None = None,
    output_unit: str | None = None,
    engine: Engine | None = None,
    seed: int = 0,
    on_progress: Callable[[float, int], None] | None = None,
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

    Returns
    -------
    iterator of AttributionMap
        In the order of the volumes.

    Raises
    ------
    InputError
        Before the first map, if the method, an option, the target or a named layer is unknown.
    """
    made = make_method(method, options)
    models = _models(model, made)
    sized = volumes if isinstance(volumes, Sized) else list(volumes)
    name = layer if layer == "auto" else layer_name(models[0], layer)
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
        target=make_target(target, len(sized), class_names),
        layer=name,
        class_names=tuple(class_names or ()),
        engine=engine or Engine(),
        seed=seed,
        total=len(sized),
        output_unit=output_unit,
    )
    run = Ensemble(job, models) if len(models) > 1 else job
    return run.maps(cast("Iterable[Volume]", sized), on_progress or (lambda done, total: None))


def prepare_method(
    model: nn.Module | Sequence[nn.Module],
    volumes: Iterable[Volume],
    method: str | Method,
    target: TargetLike = "predicted",
    *,
    class_names: Sequence[str] | None = None,
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
    seen = indexable(volumes)
    if not made.surveys or not len(seen):
        return made
    chosen = make_target(target, len(seen), class_names)
    names = tuple(class_names or ())
    (network,) = _models(model, made)
    job = Job(network, made, chosen, "auto", names, engine or Engine(), seed, len(seen))
    return job.prepared(seen).method


def _models(model: object, method: Method) -> list[nn.Module]:
    models: list[nn.Module] = []
    for one in model if isinstance(model, list | tuple) else [model]:
        if not isinstance(one, nn.Module):
            raise InputError(
                "model must be a torch.nn.Module, or several in a list; "
                f"{type(one).__name__} was given."
            )
        models.append(one)
    if not models:
        raise InputError("model must be a torch.nn.Module, or several; an empty list was given.")
    if len(models) > 1 and method.surveys:
        raise InputError(
            f"{method.info.name} with cohort=True prepares itself for one network; {len(models)} "
            "were given: give one, or leave cohort=True out."
        )
    return models
