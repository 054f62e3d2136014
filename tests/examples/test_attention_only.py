import re

import numpy as np
import pytest

import deepchem_meta as dc


@pytest.fixture
def example(load_example):
    return load_example("attention_only")


@pytest.fixture
def tasks(example):
    return example.BindingSites(shots=4, queries=3, fragments=3)


def test_the_table_and_what_adaptation_moves(example, capsys, tmp_path):
    path = tmp_path / "attention_only.png"
    example.main(["--steps", "60", "--test-tasks", "100", "--output", str(path)])
    assert path.stat().st_size > 10_000
    output = capsys.readouterr().out
    rows = re.findall(r"^ *(\d+) +(\S+) ± (\S+)$", output, re.MULTILINE)
    assert [int(row[0]) for row in rows] == list(example.STEPS)
    losses = np.array([row[1] for row in rows], float)
    assert np.all(np.isfinite(losses))
    assert losses[2] < losses[0]
    changes = dict(re.findall(r"^ *(embedding|attention|readout) +(\S+)$", output, re.MULTILINE))
    assert changes["embedding"] == changes["readout"] == "0"
    assert float(changes["attention"]) > 0


def test_adapt_moves_the_attention_alone_and_fit_moves_all(example, tasks):
    maml = example.make_maml(tasks, seed=0)
    variables = maml.learner.variables
    before = [v.numpy() for v in variables]
    support, query = tasks.sample(2, np.random.default_rng(0))
    adapted = maml.adapt([array[0] for array in support]).variables
    for v, start, value in zip(variables, before, adapted, strict=True):
        np.testing.assert_array_equal(v.numpy(), start)  # the model itself stays as it is
        if not v.path.startswith("attention/"):
            np.testing.assert_array_equal(value, start)
        # A key's bias adds the same to all scores of a query: its gradient is 0 but for rounding.
        elif v.path != "attention/key/bias":
            assert np.abs(value - start).max() > 1e-6, v.path

    maml.train_on_batch(support, query)
    for v, start in zip(variables, before, strict=True):
        assert np.any(v.numpy() != start) or v.path == "attention/key/bias", v.path


def test_a_pattern_chooses_the_same_weights(example, tasks):
    maml = example.make_maml(tasks, seed=0)
    by_name = dc.metalearning.MAML(
        maml.learner, learning_rate=0.1, optimization_steps=2, adapt_variables="attention/"
    )
    support = [array[0] for array in tasks.sample(1, np.random.default_rng(0))[0]]
    for one, other in zip(
        maml.adapt(support).variables, by_name.adapt(support).variables, strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_vectorised_meta_gradients_are_those_of_one_task_after_the_other(example, tasks):
    maml = example.make_maml(tasks, seed=0)
    looped = dc.metalearning.MAML(
        maml.learner,
        learning_rate=0.1,
        optimization_steps=2,
        adapt_variables="attention/",
        task_execution="looped",
    )
    batches = tasks.sample(3, np.random.default_rng(0))
    found, expected = maml.meta_gradient(*batches), looped.meta_gradient(*batches)
    assert found.loss == pytest.approx(expected.loss, rel=1e-5)
    for one, other in zip(found.gradients, expected.gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


def test_a_molecule_is_worth_its_fragment_furthest_in_the_direction(example):
    x = np.zeros((1, 1, 2, 4), "float32")
    x[0, 0, :, 0] = [1.0, -1.0]  # along the direction, and against it
    x[0, 0, :, 3] = [5.0, 7.0]  # what the two are worth

    class Normal:
        def normal(self, size):
            return x

    direction = np.array([[[1.0], [0.0], [0.0]]])
    _, sharp = example.BindingSites(fragments=2, sharpness=30.0)._molecules(direction, 1, Normal())
    _, even = example.BindingSites(fragments=2, sharpness=0.0)._molecules(direction, 1, Normal())
    assert sharp.tolist() == [[[5.0]]]
    assert even.tolist() == [[[6.0]]]


def test_an_interval_needs_two_tasks(example, capsys):
    with pytest.raises(SystemExit):
        example.main(["--test-tasks", "1"])
    assert "--test-tasks must be at least 2" in capsys.readouterr().err
