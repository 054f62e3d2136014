import json

import numpy as np
import pytest

from deepchem_meta.evaluation import Evaluation


def make(n=4, task_names=None, **settings):
    rng = np.random.default_rng(0)
    values = {"loss": rng.normal(size=(n, 2)), "accuracy": rng.uniform(size=(n, 2))}
    return Evaluation(values, (0, 5), seed=3, task_names=task_names, settings=settings)


def test_means_and_intervals_over_tasks():
    evaluation = make(40)
    assert evaluation.unit == "tasks"
    np.testing.assert_allclose(evaluation.mean["loss"], evaluation.loss.mean(0))
    expected = 1.96 * evaluation.metrics["accuracy"].std(0, ddof=1) / np.sqrt(40)
    np.testing.assert_allclose(evaluation.ci95["accuracy"], expected)


def test_named_tasks_are_averaged_before_the_interval_over_draws():
    evaluation = make(6, task_names=["a", "b"] * 3)
    assert evaluation.unit == "draws"
    draws = evaluation.loss.reshape(3, 2, 2).mean(1)
    np.testing.assert_allclose(evaluation.mean["loss"], draws.mean(0))
    expected = 4.3027 * draws.std(0, ddof=1) / np.sqrt(3)
    np.testing.assert_allclose(evaluation.ci95["loss"], expected, rtol=1e-4)
    mean, _ = evaluation.by_task("accuracy")["b"]
    np.testing.assert_allclose(mean, evaluation.metrics["accuracy"][1::2].mean(0))


def test_table():
    text = str(make(40, algorithm="MAML", batch_norm="support"))
    head, names, *rows = text.splitlines()
    assert head.startswith("40 tasks, seed 3, algorithm MAML, batch_norm support; mean ± 95%")
    assert head.endswith("over tasks (1.96 standard errors)")
    assert names.split() == ["steps", "loss", "accuracy"]
    assert [row.split()[0] for row in rows] == ["0", "5"]
    assert "2 tasks, 3 draws of each" in str(make(6, task_names=["a", "b"] * 3))
    assert "over draws (Student's t)" in str(make(6, task_names=["a", "b"] * 3))


def test_to_dict_is_json():
    evaluation = make(4, algorithm="MAML")
    found = json.loads(json.dumps(evaluation.to_dict()))
    assert found["optimization_steps"] == [0, 5]
    np.testing.assert_allclose(found["values"]["loss"], evaluation.loss)
    np.testing.assert_allclose(found["mean"]["accuracy"], evaluation.mean["accuracy"])


def test_bad_input():
    with pytest.raises(ValueError, match="needs a source that names its tasks"):
        make().by_task()
    with pytest.raises(ValueError, match=r"must be one of \['loss', 'accuracy'\]. Received: 'auc'"):
        make(6, task_names=["a", "b"] * 3).by_task("auc")
