import csv
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.linear_model import Ridge

import deepchem_meta as dc
from deepchem_meta.evaluation import EstimatorBaseline, Evaluation, compare
from deepchem_meta.metalearning import MAML, KerasLearner
from deepchem_meta.tasks import SinusoidTasks


class Recorded:
    """Gives chosen values, and notes how it was asked for them."""

    def __init__(self, values, optimization_steps=3, seed=0):
        self.values = values  # a dict of functions of the steps
        self.optimization_steps = optimization_steps
        self.noise = np.random.default_rng(seed)
        self.calls = []

    def evaluate(self, tasks, *, n_tasks, optimization_steps, seed):
        self.calls.append((tasks, n_tasks, optimization_steps, seed))
        steps = np.array(optimization_steps, float)
        values = {
            name: value(steps) + 1e-3 * self.noise.normal(size=(n_tasks, len(steps)))
            for name, value in self.values.items()
        }
        return Evaluation(values, optimization_steps, seed=seed)


class Trained(Recorded):
    """Notes how it was trained, too."""

    def fit(self, steps, **options):
        self.calls.append(("fit", steps, options))


def flat(steps):
    return 1.0 + 0 * steps


def make_algorithm(learner=None, **options):
    learner = learner or make_learner()
    options = {"learning_rate": 0.01, "meta_batch_size": 2, "jit_compile": False, **options}
    return dc.metalearning.MAML(learner, seed=0, **options)


def make_learner():
    model = keras.Sequential([keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)])
    return dc.metalearning.KerasLearner(model, "mse", dc.tasks.SinusoidTasks(shots=3, queries=3))


class TestCompare:
    def test_the_numbers_are_those_of_evaluate(self):
        ridge = EstimatorBaseline(pytest.importorskip("sklearn.linear_model").Ridge())
        tasks = dc.tasks.SinusoidTasks(shots=3, queries=3)
        maml = make_algorithm(optimization_steps=2)
        found = compare([maml, ridge], tasks, n_tasks=30, seed=3)
        assert found.optimization_steps == {"MAML": 2, "Ridge": 0}
        assert (found.metric, found.n_tasks, found.seed, found.unit) == ("loss", 30, 3, "tasks")
        assert found.seconds == {}
        alone = maml.evaluate(tasks, n_tasks=30, optimization_steps=(2,), seed=3).loss
        np.testing.assert_allclose(found.evaluations["MAML"].loss, alone, rtol=1e-6)
        alone = ridge.evaluate(tasks, n_tasks=30, seed=3).loss
        np.testing.assert_array_equal(found.evaluations["Ridge"].loss, alone)

    def test_names(self):
        one = Recorded({"loss": flat})
        named = Recorded({"loss": flat})
        named.name = "mine"
        found = compare([one, one, named, one], "tasks", n_tasks=2)
        assert sorted(found.evaluations) == ["Recorded", "Recorded 2", "Recorded 3", "mine"]
        assert list(compare({"X": one}, "tasks", n_tasks=2).evaluations) == ["X"]

    def test_without_validation_each_takes_its_own_steps(self):
        some = {"A": Recorded({"loss": flat}, 2), "B": Recorded({"loss": flat}, 0)}
        found = compare(some, "tasks", n_tasks=9, seed=4)
        assert found.optimization_steps.items() == {"A": 2, "B": 0}.items()
        assert some["A"].calls == [("tasks", 1, (0,), 4), ("tasks", 9, (2,), 4)]

    def test_steps_are_chosen_on_validation(self):
        some = {
            "early": Recorded({"loss": lambda s: s, "acc": lambda s: -abs(s - 3)}),
            "late": Recorded({"loss": lambda s: s, "acc": lambda s: s}),
        }
        found = compare(some, "tasks", validation="others", n_tasks=9, validation_tasks=5)
        assert found.metric == "acc"
        assert found.optimization_steps == {"late": 10, "early": 3}
        assert some["early"].calls[-2:] == [
            ("others", 5, (1, 3, 5, 10), 1),  # from another seed
            ("tasks", 9, (3,), 0),
        ]
        found = compare(
            some, "tasks", validation="others", metric="loss", optimization_steps=[4, 2], n_tasks=9
        )
        assert found.optimization_steps == {"early": 2, "late": 2}
        one = compare(some, "tasks", validation="others", metric="loss", optimization_steps=4)
        assert one.optimization_steps == {"early": 4, "late": 4}

    def test_rates_are_chosen_on_validation_too(self):
        class Rated(Recorded):
            def choose_rate(self, *given):
                self.calls.append(("rate", *given))

        rated = Rated({"loss": flat})
        compare([rated], "tasks", validation="others", n_tasks=9, validation_tasks=5, seed=3)
        assert rated.calls[-3] == ("rate", "others", 5, 4, "loss")
        compare([rated], "tasks", n_tasks=9)
        assert ("rate", "others", 5, 4, "loss") not in rated.calls[-2:]

    def test_steps_that_diverge_are_not_chosen(self):
        some = [Recorded({"loss": lambda s: np.where(s < 4, np.nan, s)})]
        found = compare(some, "tasks", validation="others", n_tasks=2)
        assert found.optimization_steps == {"Recorded": 5}

    @pytest.mark.parametrize(
        ("metric", "best"),
        [
            ("loss", "low"),
            ("log_loss", "low"),
            ("mean_squared_error", "low"),
            ("rmse", "low"),
            ("accuracy", "high"),
            ("roc_auc", "high"),
            ("r2", "high"),
        ],
    )
    def test_which_is_best(self, metric, best):
        some = {
            name: Recorded({"loss": flat, metric: lambda s, value=value: value * flat(s)})
            for name, value in (("high", 2.0), ("low", 1.0))
        }
        assert next(iter(compare(some, "tasks", n_tasks=5, metric=metric).mean)) == best

    def test_the_metric_is_one_that_all_have(self):
        both = Recorded({"loss": flat, "acc": flat, "auc": flat})
        assert compare([both, Recorded({"loss": flat, "auc": flat})], "t").metric == "auc"
        assert compare([both, Recorded({"loss": flat})], "t").metric == "loss"
        with pytest.raises(ValueError, match=r"one of \['loss', 'auc'\], which all.*metric='acc'"):
            compare([both, Recorded({"loss": flat, "auc": flat})], "t", metric="acc")


class TestTraining:
    def test_all_that_can_be_are_trained_for_as_many_steps(self):
        some = {"A": Trained({"loss": flat}), "B": Recorded({"loss": flat})}
        found = compare(some, "tasks", fit_steps=50, n_tasks=2)
        assert some["A"].calls == [
            ("tasks", 1, (0,), 0),
            ("fit", 50, {"verbose": 0}),
            ("tasks", 2, (3,), 0),
        ]
        assert list(found.seconds) == ["A"]
        assert "seconds" in str(found)

    def test_what_is_wrong_is_known_before_the_training(self):
        some = [Trained({"loss": flat})]
        with pytest.raises(ValueError, match="`metric` must be one of"):
            compare(some, "tasks", metric="acc", fit_steps=50)
        assert some[0].calls == [("tasks", 1, (0,), 0)]

    def test_training_is_that_of_fit(self, capsys):
        keras.utils.set_random_seed(1)
        alone = make_algorithm()
        keras.utils.set_random_seed(1)
        compared = make_algorithm()
        alone.fit(7, verbose=0)
        compare([compared], dc.tasks.SinusoidTasks(shots=3), fit_steps=7, n_tasks=2)
        for left, right in zip(alone.learner.variables, compared.learner.variables, strict=True):
            np.testing.assert_allclose(left.numpy(), right.numpy(), rtol=1e-6)
        assert capsys.readouterr().out == ""

    def test_seconds_end_the_training(self):
        maml = make_algorithm()
        maml.fit(1, verbose=0)  # what it compiles is not what is measured
        start = time.monotonic()
        found = compare([maml], dc.tasks.SinusoidTasks(shots=3), fit_seconds=0.5, n_tasks=2)
        assert 0.5 <= found.seconds["MAML"] <= time.monotonic() - start
        assert found.seconds["MAML"] < 30

    def test_algorithms_of_one_learner_are_not_trained(self):
        learner = make_learner()
        some = {"A": make_algorithm(learner), "B": make_algorithm(learner)}
        with pytest.raises(ValueError, match="a learner and a model each.*'A' and 'B'"):
            compare(some, dc.tasks.SinusoidTasks(), fit_steps=5)


class TestMistakes:
    @pytest.mark.parametrize("wrong", [[], {}, None, {1: Recorded({"loss": flat})}])
    def test_no_algorithms(self, wrong):
        with pytest.raises(TypeError, match="`algorithms` must be a list.*Received: algorithms="):
            compare(wrong, "tasks")

    @pytest.mark.parametrize("wrong", [3, Recorded])
    def test_no_evaluate(self, wrong):
        with pytest.raises(TypeError, match="an object with `evaluate`. Received: .* as 'A'"):
            compare({"A": wrong}, "tasks")

    @pytest.mark.parametrize(
        ("options", "kind", "message"),
        [
            ({"validation": "tasks"}, ValueError, "`validation` must have other tasks"),
            ({"n_tasks": 0}, ValueError, "`n_tasks` must be at least 1"),
            ({"validation_tasks": 0}, ValueError, "`validation_tasks` must be at least 1"),
            ({"seed": 0.5}, TypeError, "`seed` must be an int"),
            ({"optimization_steps": (1,)}, ValueError, "`optimization_steps` needs `validation`"),
            ({"validation": "v", "optimization_steps": ()}, ValueError, "or a sequence of int"),
            ({"validation": "v", "optimization_steps": 3.5}, ValueError, "or a sequence.*=3.5"),
            ({"validation": "v", "optimization_steps": (-1,)}, ValueError, "at least 0.*-1"),
            ({"fit_steps": 1, "fit_seconds": 1.0}, ValueError, "One of `fit_steps` and `fit_sec"),
            ({"fit_steps": 0}, ValueError, "`fit_steps` must be at least 1"),
            ({"fit_seconds": 0}, ValueError, "`fit_seconds` must be a finite number above 0"),
        ],
    )
    def test_arguments(self, options, kind, message):
        one = Trained({"loss": flat})
        with pytest.raises(kind, match=message):
            compare([one], "tasks", **options)
        assert one.calls == []


def test_one_that_diverges_has_a_row_and_the_others_their_results(tmp_path):
    def maml(rate, optimizer=None):
        keras.utils.set_random_seed(0)
        learner = KerasLearner(keras.Sequential([keras.layers.Dense(1)]), "mse", SinusoidTasks(5))
        optimizer = optimizer or keras.optimizers.SGD(0.01)
        return MAML(learner, rate, 1, 2, optimizer)

    class Breaks(keras.optimizers.SGD):
        """Finite until the fourth step."""

        def update_step(self, gradient, variable, learning_rate):
            rate = tf.where(self.iterations < 3, learning_rate, np.float32(np.inf))
            super().update_step(gradient, variable, rate)

    algorithms = {"good": maml(0.01), "bad": maml(0.01, Breaks(0.01)), "also good": maml(0.02)}
    comparison = compare(algorithms, SinusoidTasks(5), n_tasks=5, fit_steps=10)
    assert set(comparison.evaluations) == {"good", "also good"}
    assert comparison.failed == {"bad": "failed at meta-step 5"}
    assert [line for line in str(comparison).splitlines() if line.startswith("bad")] == [
        "bad        failed at meta-step 5"
    ]
    assert comparison.to_dict()["failed"] == comparison.failed
    comparison.to_csv(tmp_path / "table.csv")
    with open(tmp_path / "table.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["failed"] for row in rows] == ["", "", "failed at meta-step 5"]
    with pytest.raises(FloatingPointError):
        compare([maml(0.01, Breaks(0.01))], SinusoidTasks(5), n_tasks=5, fit_steps=10)


def test_one_that_breaks_in_its_evaluation_has_a_row_too():
    class Broken(EstimatorBaseline):
        def evaluate(self, tasks, *, n_tasks, **options):
            if n_tasks > 1:
                raise RuntimeError("no room\nfor more")
            return super().evaluate(tasks, n_tasks=n_tasks, **options)

    line = EstimatorBaseline(Ridge(), name="line")
    comparison = compare([Broken(Ridge(), name="broken"), line], SinusoidTasks(5), n_tasks=5)
    assert comparison.failed == {"broken": "failed: RuntimeError: no room"}
    assert list(comparison.evaluations) == ["line"]
