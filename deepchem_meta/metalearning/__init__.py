"""Metalearning algorithms, and the learners that they work on."""

from deepchem_meta.metalearning.adapted_task import AdaptedTask
from deepchem_meta.metalearning.algorithm import MetaAlgorithm, MetaGradient
from deepchem_meta.metalearning.keras_learner import KerasLearner
from deepchem_meta.metalearning.learner import MetaLearner
from deepchem_meta.metalearning.maml import MAML

__all__ = ["MAML", "AdaptedTask", "KerasLearner", "MetaAlgorithm", "MetaGradient", "MetaLearner"]
