"""Optimizers and learning rate schedules with DeepChem's names, arguments and defaults.

They hold settings alone; `to_keras_optimizer` turns them, DeepChem's own and a user's into Keras 3
optimizers. Wherever one of them is asked for, a Keras optimizer can be given instead.
"""

from deepchem_meta.models.optimizers.conversion import to_keras_optimizer
from deepchem_meta.models.optimizers.rules import (
    KFAC,
    AdaGrad,
    Adam,
    AdamW,
    GradientDescent,
    Lamb,
    Optimizer,
    RMSProp,
    SparseAdam,
)
from deepchem_meta.models.optimizers.schedules import (
    ExponentialDecay,
    LambdaLRWithWarmup,
    LearningRateSchedule,
    LinearCosineDecay,
    PiecewiseConstantSchedule,
    PolynomialDecay,
)

__all__ = [
    "KFAC",
    "AdaGrad",
    "Adam",
    "AdamW",
    "ExponentialDecay",
    "GradientDescent",
    "Lamb",
    "LambdaLRWithWarmup",
    "LearningRateSchedule",
    "LinearCosineDecay",
    "Optimizer",
    "PiecewiseConstantSchedule",
    "PolynomialDecay",
    "RMSProp",
    "SparseAdam",
    "to_keras_optimizer",
]
