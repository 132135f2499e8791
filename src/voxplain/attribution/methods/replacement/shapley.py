"""Shapley values from the scores of coalitions."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from math import comb

import numpy as np
from numpy.typing import NDArray

__all__ = ["Coalition", "ShapleyTable"]

Coalition = frozenset[int]


class ShapleyTable:
    """The coalitions that must be scored, and the values that follow from the scores.

    Orders are drawn in pairs, one the reverse of the other. Where all coalitions are no more than
    those on the way of the orders, all are asked for, and the values are exact.

    Parameters
    ----------
    players : sequence of int
    pairs : int
        Pairs of orders.
    seed : int
    """

    def __init__(self, players: Sequence[int], pairs: int, seed: int) -> None:
        self.players = tuple(players)
        self._orders: list[list[int]] = []
        if 2 ** len(self.players) > 2 * pairs * max(len(self.players) - 1, 0) + 2:
            draw = np.random.default_rng(seed)
            for _ in range(pairs):
                order = draw.permutation(self.players).tolist()
                self._orders += [order, order[::-1]]

    @property
    def coalitions(self) -> list[Coalition]:
        """Every coalition whose score is needed, each once, from nobody to everybody."""
        if self._orders:
            needed = (who for order in self._orders for who in _growing(order))
            return sorted(dict.fromkeys(needed), key=len)
        sizes = range(len(self.players) + 1)
        return [frozenset(w) for n in sizes for w in itertools.combinations(self.players, n)]

    def values(self, scores: Mapping[Coalition, float]) -> tuple[NDArray[np.float64], str]:
        """Share the score of everybody, less that of nobody, among the players.

        Parameters
        ----------
        scores : mapping of coalition to float
            Of all `coalitions`.

        Returns
        -------
        values : array (players,), float64
        words : str
            How exact they are.
        """
        if not self._orders:
            return self._exact(scores), "exact values, from all coalitions"
        place = {player: i for i, player in enumerate(self.players)}
        gains = np.zeros((len(self._orders), len(self.players)))
        for row, order in zip(gains, self._orders, strict=True):
            along = np.diff([scores[who] for who in _growing(order)])
            row[[place[player] for player in order]] = along
        # Only pairs are independent of each other.
        of_pairs = gains.reshape(-1, 2, gains.shape[1]).mean(1)
        pairs = len(of_pairs)
        if pairs == 1:
            return of_pairs[0], "one pair of orders, which tells no standard error"
        error = of_pairs.std(0, ddof=1) / np.sqrt(pairs)
        words = (
            f"standard error of a region's value: {error.mean():.2g} on average, "
            f"{error.max():.2g} at most, over {pairs} pairs of orders"
        )
        return of_pairs.mean(0), words

    def _exact(self, scores: Mapping[Coalition, float]) -> NDArray[np.float64]:
        values = np.zeros(len(self.players))
        for i, player in enumerate(self.players):
            for others in self.coalitions:
                if player not in others:
                    weight = len(self.players) * comb(len(self.players) - 1, len(others))
                    values[i] += (scores[others | {player}] - scores[others]) / weight
        return values


def _growing(order: Sequence[int]) -> Iterator[Coalition]:
    """Yield nobody, the first, the first two, ... and everybody."""
    for size in range(len(order) + 1):
        yield frozenset(order[:size])
