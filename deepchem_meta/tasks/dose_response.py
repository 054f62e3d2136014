"""Dose-response curves, of which few concentrations have been measured."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from deepchem_meta.tasks._arguments import check_draw, check_range
from deepchem_meta.tasks._curves import CurveTasks, Parameters, uniform

__all__ = ["DoseResponseTasks"]


class DoseResponseTasks(CurveTasks):
    r"""Four-parameter logistic curves, each that of one compound, measured with noise.

    .. math:: y = \text{bottom} + \frac{\text{top} - \text{bottom}}
              {1 + 10^{\text{hill} \, (\log_{10} \text{EC}_{50} - x)}} + \epsilon

    where x is the decimal logarithm of the concentration in mol/L (-6 is one micromolar) and y
    the response as a fraction of the control's. The parameters, and the concentrations, are of
    uniform density between their limits. The support set holds the concentrations that have been
    measured, the query set those whose response is to be predicted.

    Parameters
    ----------
    shots : int, default 5
        Concentrations of a task's support set.
    queries : int, default 10
        Concentrations of a task's query set.
    bottom : tuple of two floats, default (0.0, 0.1)
        Between which the response at concentration 0 lies.
    top : tuple of two floats, default (0.5, 1.0)
        Between which the response at the highest concentrations lies. Below `bottom`, the
        compounds inhibit.
    log_ec50 : tuple of two floats, default (-8.0, -5.0)
        Between which the logarithm of the concentration of half the effect lies, in
        log10(mol/L).
    hill : tuple of two floats, default (0.5, 2.0)
        Between which the Hill slope lies, which has no unit.
    log_concentration : tuple of two floats, default (-9.0, -4.0)
        Between which x lies, in log10(mol/L).
    noise : float, default 0.05
        The standard deviation of the noise, in units of the response.
    noise_free_queries : bool, default False
        Whether the queries' targets are the curve's own values. With False, no model can have a
        mean squared error below ``noise ** 2``.

    Raises
    ------
    TypeError, ValueError
        If a number of points is not a whole number of at least 1, a range not two finite numbers
        in order, or the noise not a finite number of at least 0.

    Examples
    --------
    >>> import numpy as np
    >>> from deepchem_meta.tasks import DoseResponseTasks
    >>> tasks = DoseResponseTasks(shots=5, noise=0.02)
    >>> (x, y), (query_x, query_y) = tasks.sample(3, np.random.default_rng(0))
    >>> x.shape, query_x.shape, y.dtype
    ((3, 5, 1), (3, 10, 1), dtype('float32'))

    At the EC50 the response is half way between bottom and top:

    >>> curve = {"bottom": 0.0, "top": 1.0, "log_ec50": -6.0, "hill": 1.0}
    >>> tasks.evaluate(curve, np.array([[-7.0], [-6.0], [-5.0]])).round(3).ravel()
    array([0.091, 0.5  , 0.909])

    References
    ----------
    Sebaugh, J. L. (2011). Guidelines for accurate EC50/IC50 estimation. Pharmaceutical Statistics
    10(2), 128-134.

    Notes
    -----
    x is not standardised: a net learns faster from ``(x + 6.5) / 1.5``, which a Keras `Rescaling`
    layer can do.
    """

    def __init__(
        self,
        shots: int = 5,
        queries: int = 10,
        *,
        bottom: tuple[float, float] = (0.0, 0.1),
        top: tuple[float, float] = (0.5, 1.0),
        log_ec50: tuple[float, float] = (-8.0, -5.0),
        hill: tuple[float, float] = (0.5, 2.0),
        log_concentration: tuple[float, float] = (-9.0, -4.0),
        noise: float = 0.05,
        noise_free_queries: bool = False,
    ):
        super().__init__(shots, queries, noise, noise_free_queries)
        self.bottom = check_range("bottom", bottom)
        self.top = check_range("top", top)
        self.log_ec50 = check_range("log_ec50", log_ec50)
        self.hill = check_range("hill", hill)
        self.log_concentration = check_range("log_concentration", log_concentration)

    def draw(self, n: int, rng: np.random.Generator) -> Parameters:
        """Draw the parameters of `n` curves: `bottom`, `top`, `log_ec50` and `hill`."""
        shape = (check_draw(n, rng), 1, 1)
        names = ("bottom", "top", "log_ec50", "hill")
        return {name: uniform(getattr(self, name), shape, rng) for name in names}

    def evaluate(self, parameters: Parameters, x: Any) -> np.ndarray:
        """Return the curves' values, without noise."""
        # 1 / (1 + 10^-z) as a tanh, which does not overflow far from the EC50.
        z = parameters["hill"] * (x - parameters["log_ec50"])
        effect = 0.5 + 0.5 * np.tanh(0.5 * math.log(10) * z)
        return parameters["bottom"] + (parameters["top"] - parameters["bottom"]) * effect

    def _inputs(self, parameters, shape, rng):
        return uniform(self.log_concentration, shape, rng)
