"""Learning from few labels with TensorFlow and Keras 3, with DeepChem's API.

The package is a drop-in replacement for ``deepchem.metalearning`` and
``deepchem.models.optimizers``::

    import deepchem_meta as dc

    maml = dc.metalearning.MAML(learner, optimizer=dc.models.optimizers.Adam(5e-3))
    maml.fit(9000)
"""

from __future__ import annotations

from deepchem_meta import evaluation, metalearning, models, plotting, tasks
from deepchem_meta._deepchem import missing_attribute

__version__ = "0.2.0"

__all__ = ["__version__", "evaluation", "metalearning", "models", "plotting", "tasks"]


def __getattr__(name: str) -> None:
    """Say where what is missing is to be had, if DeepChem has it."""
    raise missing_attribute(__name__, name)
