"""The tasks that `algorithms.py` compares all algorithms on, and how each is set for them."""

import argparse
import functools
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import keras
import numpy as np

import deepchem_meta as dc
from deepchem_meta import metalearning as ml

sys.path.append(str(Path(__file__).resolve().parents[2] / "examples"))

NOTHING = MappingProxyType({})
part = functools.partial


class Workload(NamedTuple):
    """Where tasks come from, and what is trained on them and how."""

    train: object
    choose: object  # what choices are made on
    test: object
    make_learner: Callable  # tasks -> learner
    algorithms: dict  # name -> learner -> algorithm
    loss: object = None  # that of learners
    metric: str = "loss"
    n_tasks: int = 600  # to test on
    n_choose: int = 100  # to choose the steps of adaptation on
    sources: Mapping = NOTHING  # name -> another source to train on
    validation: Mapping = NOTHING  # arguments of fit; then the number of meta-steps is chosen too,
    final: object = None  # and so many are taken on this source
    pooled: Callable | None = None  # source -> x, y, sample weights of all its classes or assays


# How algorithms are made of a learner.


def maml(learner, rate, steps, tasks, cls=ml.MAML, **options):
    return cls(learner, rate, steps, tasks, keras.optimizers.Adam(1e-3), seed=0, **options)


def stepless(learner, tasks, cls=ml.ProtoNet, **options):
    return cls(learner, tasks, keras.optimizers.Adam(1e-3), seed=0, **options)


def maml_plus_plus(learner, rate, steps, tasks, total, **options):
    """MAML++ with all of its parts, three of which are scaled to the whole training."""
    return ml.MAMLPlusPlus(learner, rate, steps, tasks, total_steps=total, seed=0, **options)


def reptile(learner, total, rate=1e-3, steps=5, tasks=5, **options):
    """Reptile with the paper's settings, whose meta-rate falls linearly."""
    falling = keras.optimizers.schedules.PolynomialDecay(1.0, total, 0.0)
    optimizer = keras.optimizers.SGD(falling)
    return ml.Reptile(learner, rate, steps, tasks, optimizer, seed=0, **options)


def tuned_head(learner):
    """Adapt a new head on a body that Keras trained, by gradient descent."""
    head = learner.model.layers[-1]
    return ml.FineTuning(learner, (0.003, 0.03, 0.3), 20, seed=0, adapt_variables=head)


def logistic_head(learner):
    """Fit scikit-learn's logistic regression to the features of a body that Keras trained."""
    from sklearn.linear_model import LogisticRegression

    return dc.evaluation.EstimatorBaseline(LogisticRegression(), features=learner.embed)


def cubic():
    """Ridge regression on x, x² and x³ of each task alone."""
    from sklearn.linear_model import Ridge

    return dc.evaluation.EstimatorBaseline(Ridge(), features=lambda x: x ** np.arange(1, 4))


def estimator(name, **settings):
    """Return scikit-learn's estimator of that name, which needs no learner."""
    from sklearn import ensemble, linear_model, neighbors

    (cls,) = (
        getattr(part, name) for part in (ensemble, linear_model, neighbors) if hasattr(part, name)
    )
    return dc.evaluation.EstimatorBaseline(cls(**settings))


UNTRAINED = (estimator, cubic)
# Those whose schedules must know how many meta-steps there will be.
SCHEDULED = (maml_plus_plus, reptile)
# Those whose body is trained by Keras on all classes or assays at once.
PRETRAINED = (tuned_head, logistic_head)


# The tasks.


def omniglot(ways, arguments):
    import omniglot as example

    images, characters = example.load_images(arguments.data, arguments.out / "pictures")
    settings = argparse.Namespace(ways=ways, shots=1, queries=5)
    train, test = example.load_tasks(images, characters, settings)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def make_learner(tasks):
        keras.utils.set_random_seed(0)
        model = example.make_model(tasks.ways)
        model.layers[-2].name = "embedding"
        return ml.KerasLearner(model, loss, tasks, metrics=["accuracy"], embedding="embedding")

    def pooled(tasks):
        """Return the pictures to train on, turned in four ways, and their characters."""
        alphabets = np.array([name.split("/")[0] for name in characters])
        different = np.unique(alphabets)
        known = np.isin(alphabets, different[: len(different) - len(different) // 3])
        x = images[known].astype("float32") / 255
        labels = np.unique(characters[known], return_inverse=True)[1]
        x = np.concatenate([np.rot90(x, turns, axes=(1, 2)) for turns in range(4)])
        return x, np.concatenate([labels + turns * (labels.max() + 1) for turns in range(4)]), None

    tasks = 8 if ways == 5 else 4
    rate, steps = (0.4, 1) if ways == 5 else (0.1, 3)
    algorithms = {
        "MAML": part(maml, rate=rate, steps=steps, tasks=tasks),
        "MAML, first order": part(maml, rate=rate, steps=steps, tasks=tasks, first_order=True),
        "ANIL": part(maml, rate=rate, steps=3, tasks=tasks, cls=ml.ANIL),
        "BOIL": part(maml, rate=rate, steps=steps, tasks=tasks, cls=ml.BOIL),
        "MetaSGD": part(maml, rate=0.1, steps=1, tasks=tasks, cls=ml.MetaSGD),
        "MAMLPlusPlus": part(maml_plus_plus, rate=0.1, steps=3, tasks=tasks),
        "ImplicitMAML": part(
            maml, rate=0.1, steps=16, tasks=8, cls=ml.ImplicitMAML, inner_clipnorm=None
        ),
        "Reptile": part(reptile),
        "ProtoMAML": part(maml, rate=0.02, steps=1, tasks=tasks, cls=ml.ProtoMAML),
        "ProtoNet": part(stepless, tasks=2),
        "MatchingNet": part(stepless, tasks=2, cls=ml.MatchingNet),
        "RidgeRegressionHead": part(stepless, tasks=2, cls=ml.RidgeRegressionHead),
        "classifier, fine-tuned": part(tuned_head),
        "classifier, logistic regression": part(logistic_head),
        "nearest neighbour": part(estimator, "KNeighborsClassifier", n_neighbors=1),
    }
    more = train.replace(ways=20)
    return Workload(
        train,
        train.replace(queries=15),
        test,
        make_learner,
        algorithms,
        loss,
        "accuracy",
        sources={
            "Reptile": train.replace(shots=10, queries=1),
            **dict.fromkeys(("ProtoNet", "MatchingNet", "RidgeRegressionHead"), more),
        },
        pooled=pooled,
    )


def sinusoid(shots, arguments):
    train = dc.tasks.SinusoidTasks(shots=shots, queries=shots)
    test = dc.tasks.SinusoidTasks(shots=shots, queries=100)

    def make_learner(tasks):
        keras.utils.set_random_seed(0)
        dense = keras.layers.Dense
        model = keras.Sequential([dense(40, "relu"), dense(40, "relu", name="hidden"), dense(1)])
        return ml.KerasLearner(model, "mse", tasks, embedding="hidden")

    algorithms = {
        "MAML": part(maml, rate=0.01, steps=1, tasks=25),
        "MAML, 5 steps": part(maml, rate=0.01, steps=5, tasks=25),
        "MAML, first order": part(maml, rate=0.01, steps=1, tasks=25, first_order=True),
        "ANIL": part(maml, rate=0.01, steps=5, tasks=25, cls=ml.ANIL),
        "BOIL": part(maml, rate=0.01, steps=5, tasks=25, cls=ml.BOIL),
        "MetaSGD": part(maml, rate=0.01, steps=1, tasks=25, cls=ml.MetaSGD),
        "MAMLPlusPlus": part(maml_plus_plus, rate=0.01, steps=5, tasks=25, inner_clipnorm=10.0),
        "ImplicitMAML": part(maml, rate=0.01, steps=16, tasks=25, cls=ml.ImplicitMAML),
        "Reptile": part(
            reptile,
            rate=0.02,
            steps=32,
            inner_optimizer=ml.inner_optimizers.GradientDescent(),
            inner_clipnorm=10.0,
        ),
        "RidgeRegressionHead": part(stepless, tasks=25, cls=ml.RidgeRegressionHead),
        "FineTuning": part(maml, rate=(0.001, 0.01, 0.05), steps=10, tasks=25, cls=ml.FineTuning),
        "ridge, cubic": part(cubic),
    }
    sources = {"Reptile": dc.tasks.SinusoidTasks(shots=50, queries=1)}  # as in its paper
    return Workload(train, train, test, make_learner, algorithms, sources=sources)


def assays(n_test, n_choose, new_molecules, arguments):
    tasks = dc.tasks.AssayTasks.from_csv(arguments.data, shots=10, on_error="drop", drop_small=True)
    rest, test = tasks.split(test=n_test)
    train, choose = rest.split(test=n_choose)
    if new_molecules:
        group = scaffold_groups(tasks.ids)
        rest, train = rest.take(group != 2), train.take(group == 0)
        choose, test = choose.take(group == 1), test.take(group == 2)
    choose, test = choose.replace(queries="rest"), test.replace(queries="rest")
    loss = keras.losses.BinaryCrossentropy(from_logits=True)

    def make_learner(tasks):
        keras.utils.set_random_seed(0)
        dense = part(keras.layers.Dense, kernel_initializer="he_normal")
        model = keras.Sequential([dense(512, "relu"), dense(128, "relu", name="hidden"), dense(1)])
        return ml.KerasLearner(model, loss, tasks, embedding="hidden")

    def pooled(tasks):
        """Return all molecules with their results in all assays, and which are known."""
        return tasks.x, np.nan_to_num(tasks.y)[..., np.newaxis], ~np.isnan(tasks.y)

    algorithms = {
        "MAML": part(maml, rate=0.1, steps=5, tasks=8),
        "MAML, first order": part(maml, rate=0.1, steps=5, tasks=8, first_order=True),
        "ANIL": part(maml, rate=0.1, steps=5, tasks=8, cls=ml.ANIL),
        "BOIL": part(maml, rate=0.1, steps=5, tasks=8, cls=ml.BOIL),
        "MetaSGD": part(maml, rate=0.05, steps=3, tasks=8, cls=ml.MetaSGD),
        "MAMLPlusPlus": part(maml_plus_plus, rate=0.1, steps=5, tasks=8),
        "ImplicitMAML": part(maml, rate=0.1, steps=10, tasks=8, cls=ml.ImplicitMAML),
        "Reptile": part(reptile),
        "ProtoMAML": part(maml, rate=0.02, steps=3, tasks=8, cls=ml.ProtoMAML),
        "ProtoNet": part(stepless, tasks=8),
        "MatchingNet": part(stepless, tasks=8, cls=ml.MatchingNet),
        "RidgeRegressionHead": part(stepless, tasks=8, cls=ml.RidgeRegressionHead),
        "FineTuning": part(maml, rate=(0.001, 0.01, 0.1), steps=10, tasks=8, cls=ml.FineTuning),
        "all assays, fine-tuned": part(tuned_head),
        "all assays, logistic regression": part(logistic_head),
        "random forest": part(estimator, "RandomForestClassifier", random_state=0),
        "logistic regression": part(estimator, "LogisticRegression"),
        "nearest neighbours": part(estimator, "KNeighborsClassifier"),
    }
    return Workload(
        train,
        choose,
        test,
        make_learner,
        algorithms,
        loss,
        "roc_auc",
        n_tasks=20 * n_test,
        n_choose=10 * n_choose,
        validation={
            "validation": choose,
            "validation_tasks": 5 * n_choose,
            "steps_per_epoch": 25,
            "save_best": "val_roc_auc",
        },
        final=rest,
        pooled=pooled,
    )


def scaffold_groups(smiles):
    """Divide molecules into 0 (half or more), 1 (a fifth) and 2 (three tenths), none by halves.

    Molecules of one scaffold are in one group; those of the most frequent ones are in group 0.
    """
    names, scaffold, counts = np.unique(
        dc.tasks.scaffolds(smiles), return_inverse=True, return_counts=True
    )
    order = np.random.default_rng(0).permutation(len(names))
    order = order[np.argsort(counts[order] > 100, kind="stable")]
    before = np.cumsum(counts[order]) - counts[order]
    group = np.empty(len(names), int)
    group[order] = np.select([before < 0.3 * len(smiles), before < 0.5 * len(smiles)], [2, 1], 0)
    return group[scaffold]


WORKLOADS = {
    "omniglot5": part(omniglot, 5),
    "omniglot20": part(omniglot, 20),
    "sinusoid5": part(sinusoid, 5),
    "sinusoid10": part(sinusoid, 10),
    "tox21": part(assays, 3, 2, False),
    "tox21-new-molecules": part(assays, 3, 2, True),
    "sider": part(assays, 6, 4, False),
    "sider-new-molecules": part(assays, 6, 4, True),
}
