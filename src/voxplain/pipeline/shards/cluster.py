"""Parts of a run on Dask: workers of this machine, or of a cluster that is there."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from os import cpu_count, getenv
from pathlib import Path
from typing import TYPE_CHECKING

from voxplain.errors import InputError, StoppedError, StudyError
from voxplain.pipeline.shards.parts import Part, Workers
from voxplain.pipeline.shards.stopping import stoppable
from voxplain.progress import Progress

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["make_parts"]

_TRIES, _PATIENCE = 3, 60.0  # s that a worker is waited for where there is none
_GO_ON = "each worker lost the batch that it was making, and the same command goes on."
_Made = tuple[str, str]  # the worker, and why it failed
_ONE_AT_A_TIME = threading.Lock()  # in a process, whatever its threads
_OWN = "127.0.0.1:0"  # where what Dask tells of itself is heard: here alone, at a free port


def make_parts(
    make: Callable[[Part], object], count: int, workers: Workers, progress: Progress
) -> None:
    """Make all parts of a run; what fails is tried again, on another worker where there is one.

    Parameters
    ----------
    make : callable
        A function of a module, which workers import, or a partial of one.
    count : int
    workers : Workers
    progress : Progress

    Raises
    ------
    StoppedError
        If the end was asked for by a signal.
    StudyError
        If there is no worker, or a part failed thrice; the others are made then.
    """
    failed: dict[Part, list[_Made]] = {Part(i, count): [] for i in range(1, count + 1)}
    with _connected(workers) as client, stoppable() as stop:
        gpus, here = _gpus(client), str(Path.cwd())
        running: dict[Future, tuple[Part, set[str]]] = {}

        def submit(part: Part) -> None:
            there, tried = client.scheduler_info()["workers"], dict(failed[part])
            others = {*there} - {*tried} if tried else set()
            only = {"workers": sorted(others)} if others else {}
            running[client.submit(_make, make, part, here, gpus, pure=False, **only)] = part, others

        with progress.step(f"{count} part{'s' * (count > 1)} on {workers}", count) as advance:
            for part in failed:
                submit(part)
            while running:
                for future in _ended(client, list(running)):
                    (part, _), (worker, why) = running.pop(future), _outcome(future)
                    if why:
                        failed[part].append((worker, why))
                        progress.say(f"Part {part} failed on {worker}: {why}")
                        if len(failed[part]) < _TRIES:
                            submit(part)
                for future, (part, others) in list(running.items()):
                    if others and others.isdisjoint(client.scheduler_info()["workers"]):
                        del running[future]
                        submit(part)
                advance(count - len(running))
                if stop.asked:
                    raise StoppedError(f"ended by {stop.asked}; {_GO_ON}")
    if lost := [(part, *told[-1]) for part, told in failed.items() if len(told) == _TRIES]:
        which = "; ".join(f"{part} on {worker}: {why}" for part, worker, why in lost)
        raise StudyError(f"{len(lost)} of {count} parts failed {_TRIES} times each: {which}.")


def _make(make: Callable[[Part], object], part: Part, here: str, gpus: dict[str, int]) -> _Made:
    """Make a part on a worker."""
    import torch
    from distributed import get_worker

    worker = get_worker().address
    with _ONE_AT_A_TIME:
        sys.path[:] = dict.fromkeys([here, *sys.path])  # where a user's own network may lie
        try:
            if count := torch.cuda.device_count():
                torch.cuda.set_device(gpus.get(worker, 0) % count)
            make(part)
        except Exception as error:
            return worker, " ".join(str(error).split()) or type(error).__name__
    return worker, ""


def _gpus(client: Client) -> dict[str, int]:
    """Give workers of one machine that see the same GPUs a number each."""
    sees = sorted(client.run(getenv, "CUDA_VISIBLE_DEVICES").items())
    places = [(worker.rpartition(":")[0], gpus) for worker, gpus in sees]
    return {worker: places[:i].count(places[i]) for i, (worker, _) in enumerate(sees)}


def _ended(client: Client, futures: list[Future]) -> list[Future]:
    """Wait a second for parts that end; where none does, see that somebody is at work."""
    from distributed import wait

    with suppress(TimeoutError):
        return list(wait(futures, timeout=1, return_when="FIRST_COMPLETED").done)
    _require_workers(client)
    return []


def _outcome(future: Future) -> _Made:
    dead = getattr(future.exception(), "last_worker", None)
    lost = (dead.address, "its worker died") if dead else ("Dask", f"{future.exception()}")
    return future.result() if future.status == "finished" else lost


def _require_workers(client: Client) -> None:
    try:
        client.wait_for_workers(1, timeout=_PATIENCE)
    except TimeoutError as error:
        raise StudyError("Dask has no workers there; start some: dask worker ADDRESS.") from error


@contextmanager
def _connected(workers: Workers) -> Iterator[Client]:
    """Start workers, or reach those that are there."""
    import dask
    from distributed import Client, LocalCluster

    threads = getenv("OMP_NUM_THREADS", str(max((cpu_count() or 1) // max(workers.count, 1), 1)))
    with ExitStack() as opened:
        # A part whose worker died is tried again here, and named.
        opened.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": 0}))
        there = workers.address or opened.enter_context(LocalCluster(
            n_workers=workers.count, threads_per_worker=1, memory_limit=None, silence_logs=50,
            dashboard_address=_OWN, worker_dashboard_address=_OWN, env={"OMP_NUM_THREADS": threads},
        ))  # fmt: skip
        try:
            client = opened.enter_context(Client(there, timeout=10))
        except (OSError, ValueError) as error:
            raise InputError(f"No Dask scheduler answers at {workers.address!r}.") from error
        _require_workers(client)
        yield client
