"""Tasks whose data are points of random curves of one variable."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from deepchem_meta._checks import check_count, check_flag, check_level
from deepchem_meta.tasks._arguments import check_draw
from deepchem_meta.tasks._datasets import AsDataset

__all__ = ["CurveTasks", "uniform"]

Parameters = dict[str, np.ndarray]


class CurveTasks(AsDataset):
    """The base of task sources that draw a curve for each task, and points of it.

    A subclass has `draw`, `evaluate` and `_inputs`.

    Parameters
    ----------
    shots, queries : int
        Points of a task's support and of its query set.
    noise : float
        The standard deviation of the normal noise on the targets.
    noise_free_queries : bool
        Whether the queries' targets have no noise.
    """

    def __init__(self, shots: int, queries: int, noise: float, noise_free_queries: bool):
        self.shots = check_count("shots", shots, minimum=1)
        self.queries = check_count("queries", queries, minimum=1)
        self.noise = check_level("noise", noise)
        self.noise_free_queries = check_flag("noise_free_queries", noise_free_queries)

    def draw(self, n: int, rng: np.random.Generator) -> Parameters:
        """Draw the parameters of `n` curves.

        They are those of the tasks that `sample` gives for the same `n` and the same state of
        `rng`.

        Parameters
        ----------
        n : int
            How many.
        rng : numpy.random.Generator

        Returns
        -------
        dict of str to float32 array of shape (n, 1, 1)
        """
        raise NotImplementedError

    def evaluate(self, parameters: Parameters, x: Any) -> np.ndarray:
        """Return the curves' values, without noise.

        Parameters
        ----------
        parameters : dict of str to float32 array of shape (n, 1, 1)
            From `draw`.
        x : array of shape (n, points, 1) or (points, 1)
            Where: other points for each curve, or the same for all.

        Returns
        -------
        array of shape (n, points, 1)
            float32 where `x` is.
        """
        raise NotImplementedError

    def sample(self, n: int, rng: np.random.Generator) -> tuple:
        """Draw `n` tasks.

        Parameters
        ----------
        n : int
            How many.
        rng : numpy.random.Generator
            The tasks depend on nothing else.

        Returns
        -------
        support : tuple of two float32 arrays of shape (n, shots, 1)
            x and y.
        query : tuple of two float32 arrays of shape (n, queries, 1)

        Raises
        ------
        TypeError, ValueError
            If `n` is not a whole number of at least 1, or `rng` not a generator.
        """
        n = check_draw(n, rng)
        parameters = self.draw(n, rng)
        support = self._points(parameters, n, self.shots, self.noise, rng)
        noise = 0.0 if self.noise_free_queries else self.noise
        return support, self._points(parameters, n, self.queries, noise, rng)

    def _points(self, parameters, n, size, noise, rng):
        x = self._inputs(parameters, (n, size, 1), rng)
        y = self.evaluate(parameters, x)
        if noise > 0:
            y += np.float32(noise) * rng.standard_normal(y.shape, np.float32)
        return x, y

    def _inputs(self, parameters, shape, rng):
        """Draw where the points lie, a float32 array of `shape`."""
        raise NotImplementedError

    def __repr__(self) -> str:
        names = inspect.signature(type(self)).parameters
        arguments = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__name__}({arguments})"


def uniform(
    limits: tuple[float, float], shape: tuple[int, ...], rng: np.random.Generator
) -> np.ndarray:
    """Draw float32 numbers of uniform density between two limits."""
    low, high = np.float32(limits)
    return low + (high - low) * rng.random(shape, np.float32)
