"""One deletion mask for the many: optimised over the subjects of a class."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from voxplain.attribution.method import Note
from voxplain.attribution.methods.masks.adam import Adam
from voxplain.attribution.methods.masks.search import Board, MaskSearch
from voxplain.errors import InputError

if TYPE_CHECKING:
    from voxplain.attribution.network.probe import Probe
    from voxplain.attribution.network.target import Target
    from voxplain.attribution.survey import Survey

__all__ = ["Masks", "Sharing", "StartLike", "shared_masks", "start_masks"]

# From the class that is explained, or None where there is no class, to a coarse keep-mask.
Masks = Mapping[int | None, NDArray[np.float32]]
StartLike = NDArray[np.float32] | Masks
# Logits of the images and of their references, where they are known already, each (n, K).
Known = tuple[torch.Tensor, torch.Tensor] | None
Opened = Callable[["Probe", torch.Tensor, "Target", Known], tuple[MaskSearch, Board]]


@dataclass(frozen=True)
class Sharing:
    """How many subjects make a shared mask.

    Parameters
    ----------
    most : int
        Subjects of the cohort that are looked at, drawn at random.
    together : int
        Subjects of a class whose mean gradient makes one step.
    steps : int
        Of the schedule, from its first; what comes after is each subject's own.
    """

    most: int
    together: int
    steps: int


def shared_masks(
    survey: Survey, opened: Opened, sharing: Sharing, seed: int
) -> dict[int | None, NDArray[np.float32]]:
    """Optimise one mask for each class that is explained.

    The cost is the mean class term of the class's subjects plus the price of the mask; each step
    sees the next few of them, in an order drawn once. Steps are the same however the engine cuts
    them into batches. A subject with nothing to lose is left out.

    Parameters
    ----------
    survey : Survey
    opened : callable
        Takes a probe, a batch, its target and, where they are known, the logits of images and
        references; gives the search and what it plays on.
    sharing : Sharing
    seed : int
        Of the draw of the subjects.

    Returns
    -------
    dict of int or None to array (cells), float32
        None stands for a target without a class. A class of which no subject was drawn, or has
        anything to lose, is left out.
    """
    positions = np.random.default_rng(seed).permutation(survey.total)[: sharing.most].tolist()

    def look(
        probe: Probe, x: torch.Tensor, target: Target, positions: Sequence[int]
    ) -> list[_Seen]:
        search, board = opened(probe, x, target, None)
        objective, blank = board.objective, x.new_ones((1, *search.grid.shape))
        return [
            _Seen(
                position,
                bool(objective.attainable[i]),
                objective.chosen.class_of(i),
                search,
                blank,
                (objective.logits[0][i], objective.logits[1][i]),
            )
            for i, position in enumerate(positions)
        ]

    members: dict[int | None, list[_Seen]] = {}
    for part in survey.run(positions, look):
        for one in part:
            if one.attainable:
                members.setdefault(one.index, []).append(one)
    return _optimised(survey, opened, members, sharing) if members else {}


def start_masks(
    start: StartLike | None, board: Board, cells: Sequence[int]
) -> tuple[torch.Tensor, list[list[Note]]]:
    """Lay out the mask from which each volume starts.

    Parameters
    ----------
    start : array (cells), mapping of int or None to array (cells), or None
        None keeps everything.
    board : Board
    cells : sequence of 3 ints
        Shape of the masks.

    Returns
    -------
    masks : tensor (N, *cells)
    notes : list of N lists of Note
        A warning where the class of a volume has no mask.

    Raises
    ------
    InputError
        If a mask has another shape, or values outside 0 to 1.
    """
    count = len(board.x)
    masks = board.x.new_ones((count, *cells))
    notes: list[list[Note]] = [[] for _ in range(count)]
    for sample in range(count if start is not None else 0):
        index = board.objective.chosen.class_of(sample)
        own = start.get(index) if isinstance(start, Mapping) else start
        if own is None:
            notes[sample] = [Note(f"no mask to start from for {_class_words(index)}", warn=True)]
            continue
        given = np.asarray(own)
        if given.shape != tuple(cells) or not ((given >= 0) & (given <= 1)).all():
            raise InputError(
                f"A start mask must have shape {tuple(cells)} and values from 0 to 1; one of shape "
                f"{given.shape} was given."
            )
        masks[sample] = torch.as_tensor(given).to(masks)
    return masks, notes


def _class_words(index: int | None) -> str:
    return "this target" if index is None else f"class {index}"


@dataclass(frozen=True, eq=False)
class _Seen:
    position: int
    attainable: bool
    index: int | None
    search: MaskSearch
    blank: torch.Tensor
    logits: tuple[torch.Tensor, torch.Tensor]


def _optimised(
    survey: Survey,
    opened: Opened,
    members: Mapping[int | None, Sequence[_Seen]],
    sharing: Sharing,
) -> dict[int | None, NDArray[np.float32]]:
    """Optimise the masks of all classes side by side, so that they share passes."""
    everyone = [(row, one) for row, seen in enumerate(members.values()) for one in seen]
    row_of = {one.position: row for row, one in everyone}
    known = {one.position: one.logits for _, one in everyone}
    search = everyone[0][1].search
    plan = search.schedule
    masks = torch.cat([seen[0].blank for seen in members.values()])
    adam = Adam(masks, plan.one_rate, plan.betas)
    nobody = torch.zeros(len(masks), dtype=torch.int64, device=masks.device)
    for step, shifts in enumerate(plan.shifts[: sharing.steps]):

        def gradients(
            probe: Probe,
            x: torch.Tensor,
            target: Target,
            positions: Sequence[int],
            masks: torch.Tensor = masks,
            shifts: NDArray[np.int64] = shifts,
        ) -> torch.Tensor:
            of_image, of_reference = (
                torch.stack(rows) for rows in zip(*(known[i] for i in positions), strict=True)
            )
            search, board = opened(probe, x, target, (of_image, of_reference))
            rows = torch.arange(len(x), device=x.device)
            return search.class_term(masks[[row_of[i] for i in positions]], board, rows, shifts)[0]

        group = []
        for seen in members.values():
            count = min(sharing.together, len(seen))
            group += [seen[(step * count + i) % len(seen)].position for i in range(count)]
        each = torch.cat(list(survey.run(group, gradients)))
        rows = torch.tensor([row_of[i] for i in group], device=masks.device)
        mean = torch.stack([each[rows == row].mean(0) for row in range(len(masks))])
        price = search.priced(masks, nobody)[1]
        masks = adam.step(masks, mean + plan.weight(step) * price, plan.rate(step)).clamp_(0, 1)
    return {index: masks[row].float().cpu().numpy() for row, index in enumerate(members)}
