"""Metalearning algorithms, and the learners that they work on."""

from deepchem_meta.engine.inner_loop import InnerLoop
from deepchem_meta.engine.roles import Roles
from deepchem_meta.engine.task_batch import TaskBatch
from deepchem_meta.metalearning import inner_optimizers
from deepchem_meta.metalearning.adapted import Adapted
from deepchem_meta.metalearning.adapted_task import AdaptedTask
from deepchem_meta.metalearning.algorithm import MetaAlgorithm, MetaGradient
from deepchem_meta.metalearning.anil import ANIL, BOIL
from deepchem_meta.metalearning.embedding_algorithm import EmbeddingAlgorithm
from deepchem_meta.metalearning.fine_tuning import FineTuning
from deepchem_meta.metalearning.gaussian_process import GaussianProcessHead
from deepchem_meta.metalearning.implicit_maml import ImplicitMAML
from deepchem_meta.metalearning.keras_learner import KerasLearner
from deepchem_meta.metalearning.learner import MetaLearner, StatefulLearner
from deepchem_meta.metalearning.maml import MAML
from deepchem_meta.metalearning.maml_plus_plus import MAMLPlusPlus
from deepchem_meta.metalearning.matching_net import MatchingNet
from deepchem_meta.metalearning.meta_sgd import MetaSGD
from deepchem_meta.metalearning.preemption import SaveOnSignal
from deepchem_meta.metalearning.proto_maml import ProtoMAML
from deepchem_meta.metalearning.protonet import ProtoNet
from deepchem_meta.metalearning.reptile import Reptile
from deepchem_meta.metalearning.ridge import RidgeRegressionHead
from deepchem_meta.metalearning.saving import load
from deepchem_meta.metalearning.task_algorithm import TaskGradient, TaskObjective

__all__ = [
    "ANIL",
    "BOIL",
    "MAML",
    "Adapted",
    "AdaptedTask",
    "EmbeddingAlgorithm",
    "FineTuning",
    "GaussianProcessHead",
    "ImplicitMAML",
    "InnerLoop",
    "KerasLearner",
    "MAMLPlusPlus",
    "MatchingNet",
    "MetaAlgorithm",
    "MetaGradient",
    "MetaLearner",
    "MetaSGD",
    "ProtoMAML",
    "ProtoNet",
    "Reptile",
    "RidgeRegressionHead",
    "Roles",
    "SaveOnSignal",
    "StatefulLearner",
    "TaskBatch",
    "TaskGradient",
    "TaskObjective",
    "inner_optimizers",
    "load",
]
