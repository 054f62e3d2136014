"""Learning from few labels with TensorFlow and Keras 3, with DeepChem's API.

The package is a drop-in replacement for ``deepchem.metalearning`` and
``deepchem.models.optimizers``::

    import deepchem_meta as dc

    maml = dc.metalearning.MAML(learner, optimizer=dc.models.optimizers.Adam(5e-3))
    maml.fit(9000)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from deepchem_meta._deepchem import missing_attribute

if TYPE_CHECKING:
    from deepchem_meta import (
        evaluation,
        metalearning,
        models,
        plotting,
        pretrained,
        ranking,
        tasks,
    )
    from deepchem_meta.ranking import rank

__version__ = "0.2.0"

__all__ = [
    "__version__",
    "evaluation",
    "metalearning",
    "models",
    "plotting",
    "pretrained",
    "rank",
    "ranking",
    "tasks",
]


def __getattr__(name: str) -> Any:
    """Import a part when it is first used, or say where what is missing is to be had.

    TensorFlow takes seconds to import, which the command's ``--help`` need not wait for.
    """
    if name == "rank":
        return importlib.import_module("deepchem_meta.ranking").rank
    if name in __all__:
        return importlib.import_module(f"deepchem_meta.{name}")
    raise missing_attribute(__name__, name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
