"""Sine curves, the regression tasks of the MAML paper."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from deepchem_meta.tasks._arguments import check_draw, check_range
from deepchem_meta.tasks._curves import CurveTasks, Parameters, uniform

__all__ = ["SinusoidTasks"]


class SinusoidTasks(CurveTasks):
    r"""Sine curves of random amplitude and phase.

    .. math:: y = a \sin(x + b), \quad a \sim U(0.1, 5), \quad b \sim U(0, \pi),
              \quad x \sim U(-5, 5)

    There is no noise.

    Parameters
    ----------
    shots : int, default 10
        Points of a task's support set.
    queries : int, default 10
        Points of a task's query set.
    amplitude : tuple of two floats, default (0.1, 5.0)
        Between which `a` lies, with uniform density.
    phase : tuple of two floats, default (0.0, pi)
        Between which `b` lies, in radians.
    x : tuple of two floats, default (-5.0, 5.0)
        Between which the inputs lie, in radians.

    Raises
    ------
    TypeError, ValueError
        If a number of points is not a whole number of at least 1, or a range not two finite
        numbers in order.

    Examples
    --------
    >>> import numpy as np
    >>> from deepchem_meta.tasks import SinusoidTasks
    >>> tasks = SinusoidTasks(shots=5)
    >>> (x, y), (query_x, query_y) = tasks.sample(3, np.random.default_rng(0))
    >>> x.shape, query_y.shape, query_y.dtype
    ((3, 5, 1), (3, 10, 1), dtype('float32'))

    The whole curves of the same tasks:

    >>> curves = tasks.draw(3, np.random.default_rng(0))
    >>> tasks.evaluate(curves, np.linspace(-5, 5, 100)[:, None]).shape
    (3, 100, 1)
    >>> np.array_equal(tasks.evaluate(curves, x), y)
    True

    References
    ----------
    Finn, C., Abbeel, P., and Levine, S. (2017). Model-agnostic meta-learning for fast adaptation
    of deep networks. ICML. https://arxiv.org/abs/1703.03400

    Notes
    -----
    The authors' program has a :math:`\sin(x - b)`, with the same ranges.
    """

    def __init__(
        self,
        shots: int = 10,
        queries: int = 10,
        *,
        amplitude: tuple[float, float] = (0.1, 5.0),
        phase: tuple[float, float] = (0.0, math.pi),
        x: tuple[float, float] = (-5.0, 5.0),
    ):
        super().__init__(shots, queries, noise=0.0, noise_free_queries=False)
        self.amplitude = check_range("amplitude", amplitude)
        self.phase = check_range("phase", phase)
        self.x = check_range("x", x)

    def draw(self, n: int, rng: np.random.Generator) -> Parameters:
        """Draw the parameters of `n` curves: `amplitude` and `phase`."""
        shape = (check_draw(n, rng), 1, 1)
        return {
            "amplitude": uniform(self.amplitude, shape, rng),
            "phase": uniform(self.phase, shape, rng),
        }

    def evaluate(self, parameters: Parameters, x: Any) -> np.ndarray:
        """Return the curves' values, without noise."""
        return parameters["amplitude"] * np.sin(x + parameters["phase"])

    def _inputs(self, parameters, shape, rng):
        return uniform(self.x, shape, rng)
