"""Sums of two sine waves, of which one has twice the frequency of the other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from deepchem_meta._checks import check_level
from deepchem_meta.tasks._arguments import check_draw, check_range
from deepchem_meta.tasks._curves import CurveTasks, Parameters, uniform

__all__ = ["HarmonicTasks"]


class HarmonicTasks(CurveTasks):
    r"""Noisy sums of a sine wave and one of twice its frequency, each task somewhere else.

    .. math:: y = a_1 \sin(\omega x + b_1) + a_2 \sin(2 \omega x + b_2) + \epsilon

    with :math:`a_i \sim N(0, 1)`, :math:`b_i \sim U(0, 2\pi)`, :math:`\omega \sim U(5, 7)` and
    :math:`\epsilon \sim N(0, 0.1^2)`. The inputs of a task lie round a centre of its own:
    :math:`x \sim N(\mu, 1)` with :math:`\mu \sim U(-4, 4)`. About two periods of the wave lie
    within one standard deviation of the centre, so that few points leave much open.

    Parameters
    ----------
    shots : int, default 10
        Points of a task's support set.
    queries : int, default 10
        Points of a task's query set.
    amplitude : float, default 1.0
        The standard deviation of the amplitudes, whose mean is 0.
    phase : tuple of two floats, default (0.0, 2 pi)
        Between which the phases lie, in radians.
    frequency : tuple of two floats, default (5.0, 7.0)
        Between which :math:`\omega` lies, in radians per unit of x.
    center : tuple of two floats, default (-4.0, 4.0)
        Between which the tasks' centres :math:`\mu` lie.
    spread : float, default 1.0
        The standard deviation of a task's inputs round its centre.
    noise : float, default 0.1
        The standard deviation of the noise.
    noise_free_queries : bool, default False
        Whether the queries' targets are the curve's own values. With False, no model can have a
        mean squared error below ``noise ** 2``.

    Raises
    ------
    TypeError, ValueError
        If a number of points is not a whole number of at least 1, a range not two finite numbers
        in order, or a standard deviation not a finite number of at least 0.

    Examples
    --------
    >>> import numpy as np
    >>> from deepchem_meta.tasks import HarmonicTasks
    >>> (x, y), (query_x, query_y) = HarmonicTasks().sample(3, np.random.default_rng(0))
    >>> x.shape, y.shape, y.dtype
    ((3, 10, 1), (3, 10, 1), dtype('float32'))

    References
    ----------
    Lacoste, A., Oreshkin, B., Chung, W., Boquet, T., Rostamzadeh, N., and Krueger, D. (2018).
    Uncertainty in multitask transfer learning. https://arxiv.org/abs/1806.07528

    Notes
    -----
    The family and its ranges are the paper's; the level of the noise is ours.
    """

    def __init__(
        self,
        shots: int = 10,
        queries: int = 10,
        *,
        amplitude: float = 1.0,
        phase: tuple[float, float] = (0.0, 2 * math.pi),
        frequency: tuple[float, float] = (5.0, 7.0),
        center: tuple[float, float] = (-4.0, 4.0),
        spread: float = 1.0,
        noise: float = 0.1,
        noise_free_queries: bool = False,
    ):
        super().__init__(shots, queries, noise, noise_free_queries)
        self.amplitude = check_level("amplitude", amplitude)
        self.phase = check_range("phase", phase)
        self.frequency = check_range("frequency", frequency)
        self.center = check_range("center", center)
        self.spread = check_level("spread", spread)

    def draw(self, n: int, rng: np.random.Generator) -> Parameters:
        """Draw the parameters of `n` curves: two amplitudes and phases, frequency and centre."""
        shape = (check_draw(n, rng), 1, 1)
        amplitude = np.float32(self.amplitude)
        return {
            "amplitude1": amplitude * rng.standard_normal(shape, np.float32),
            "amplitude2": amplitude * rng.standard_normal(shape, np.float32),
            "phase1": uniform(self.phase, shape, rng),
            "phase2": uniform(self.phase, shape, rng),
            "frequency": uniform(self.frequency, shape, rng),
            "center": uniform(self.center, shape, rng),
        }

    def evaluate(self, parameters: Parameters, x: Any) -> np.ndarray:
        """Return the curves' values, without noise."""
        angle = parameters["frequency"] * x
        first = parameters["amplitude1"] * np.sin(angle + parameters["phase1"])
        return first + parameters["amplitude2"] * np.sin(2 * angle + parameters["phase2"])

    def _inputs(self, parameters, shape, rng):
        spread = np.float32(self.spread)
        return parameters["center"] + spread * rng.standard_normal(shape, np.float32)
