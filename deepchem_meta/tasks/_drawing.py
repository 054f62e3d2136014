"""Draws without replacement, for many sets at once, and draws in rounds."""

from __future__ import annotations

import numpy as np

__all__ = ["draw_distinct", "draw_rounds"]


def draw_distinct(
    counts: np.ndarray, sizes: np.ndarray | int, rng: np.random.Generator
) -> np.ndarray:
    """Draw distinct whole numbers from each of several ranges, in random order.

    Row i holds ``sizes[i]`` of the numbers 0 to ``counts[i] - 1``. Every ordered choice is equally
    likely. The numbers are drawn by Floyd's algorithm, whose work depends on how many are drawn
    and not on how many there are, and are then shuffled.

    Parameters
    ----------
    counts : int array of shape (rows,)
        How many numbers each range has.
    sizes : int array of shape (rows,), or int
        How many of them to draw, at most ``counts``.
    rng : numpy.random.Generator

    Returns
    -------
    int64 array of shape (rows, largest size)
        Rows with fewer numbers end in -1.

    References
    ----------
    Bentley, J., and Floyd, B. (1987). Programming pearls: a sample of brilliance. Communications
    of the ACM 30(9), 754-757.
    """
    sizes = np.broadcast_to(sizes, counts.shape)
    width = int(sizes.max(initial=0))
    drawn = np.full((width, len(counts)), -1, np.int64)  # a step of the algorithm is one long row
    for i in range(width):
        active = i < sizes
        last = np.where(active, counts - sizes + i, 0)
        number = rng.integers(0, last + 1)
        taken = (drawn[:i] == number).any(axis=0)
        drawn[i] = np.where(active, np.where(taken, last, number), -1)
    keys = np.where(drawn < 0, 2.0, rng.random(drawn.shape))
    return np.take_along_axis(drawn, keys.argsort(axis=0), axis=0).T


def draw_rounds(total: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw `n` of the numbers 0 to `total` - 1 in rounds.

    Each round has every number once, in random order, so that all occur equally often, to within
    one.

    Parameters
    ----------
    total, n : int
    rng : numpy.random.Generator

    Returns
    -------
    int64 array of shape (n,)
    """
    rounds = np.tile(np.arange(total), (-(-n // total), 1))
    return rng.permuted(rounds, axis=1).reshape(-1)[:n]
