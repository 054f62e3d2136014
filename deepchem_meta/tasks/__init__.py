"""Task sources: where the few-shot tasks that a model learns from come from.

A source has a method ``sample(n, rng)``, which draws `n` tasks with a `numpy.random.Generator` and
returns ``(support, query)``. Both are ``(x, y)`` or ``(x, y, sample_weight)``, as in Keras; the
first axis of each array is the task, the second the example. An example of weight 0 is padding,
so tasks may differ in size. Any object with such a method is a source; those that have no state,
as all here but `DatasetTasks`, give the same tasks for the same state of `rng`.
"""

from deepchem_meta.tasks.assays import AssayTasks
from deepchem_meta.tasks.classification import FewShotClassificationTasks
from deepchem_meta.tasks.compounds import Candidates, Compounds, compounds_from_csv
from deepchem_meta.tasks.dose_response import DoseResponseTasks
from deepchem_meta.tasks.embedding import embed
from deepchem_meta.tasks.featurizers import Descriptors, Featurizer, MorganCounts, SideBySide
from deepchem_meta.tasks.grouped import GroupedTasks
from deepchem_meta.tasks.harmonic import HarmonicTasks
from deepchem_meta.tasks.molecule_features import MoleculeFeatures
from deepchem_meta.tasks.molecules import morgan_fingerprints, scaffolds
from deepchem_meta.tasks.padding import pad_tasks
from deepchem_meta.tasks.sinusoid import SinusoidTasks
from deepchem_meta.tasks.source import TaskSource
from deepchem_meta.tasks.standardizing import Standardizer
from deepchem_meta.tasks.streams import DatasetTasks

__all__ = [
    "AssayTasks",
    "Candidates",
    "Compounds",
    "DatasetTasks",
    "Descriptors",
    "DoseResponseTasks",
    "Featurizer",
    "FewShotClassificationTasks",
    "GroupedTasks",
    "HarmonicTasks",
    "MoleculeFeatures",
    "MorganCounts",
    "SideBySide",
    "SinusoidTasks",
    "Standardizer",
    "TaskSource",
    "compounds_from_csv",
    "embed",
    "morgan_fingerprints",
    "pad_tasks",
    "scaffolds",
]
