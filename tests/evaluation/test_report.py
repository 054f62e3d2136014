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
    *head, names, first, second = text.splitlines()
    head, rows = " ".join(head), [first, second]
    assert head.startswith("40 tasks, seed 3, algorithm MAML, batch_norm support; mean ± 95%")
    assert head.endswith("over tasks (1.96 standard errors)")
    assert names.split() == ["steps", "loss", "accuracy"]
    assert [row.split()[0] for row in rows] == ["0", "5"]
    assert "2 tasks, 3 draws of each" in str(make(6, task_names=["a", "b"] * 3))
    assert "over draws (Student's t)" in str(make(6, task_names=["a", "b"] * 3))


def test_the_range_over_named_tasks():
    found = make(6, task_names=["low", "h" * 60] * 3)
    assert all(len(line) <= 80 for line in str(found).splitlines())
    means = {name: mean for name, (mean, _) in found.by_task("accuracy").items()}
    stacked = np.stack(list(means.values()))
    np.testing.assert_allclose(
        found.spread("accuracy"), [stacked.min(0), stacked.mean(0), stacked.max(0)]
    )
    low = min(means, key=lambda name: means[name][-1])
    assert f"{means[low][-1]:.4g}" in str(found) and low[:24] in str(found)
    assert "means of each of 2 tasks after 5 steps" in str(found)


def test_the_spread_of_tasks_without_names_is_of_quantiles():
    found = make(40)
    wanted = np.quantile(found.loss, [0.05, 0.5, 0.95], axis=0)
    np.testing.assert_array_equal(found.spread(), wanted)
    with pytest.raises(ValueError, match="must be one of"):
        found.spread("auc")


def test_many_metrics_fit_a_screen_and_a_notebook():
    values = {name: np.ones((4, 2)) for name in ["loss", *(f"metric_{i}" for i in range(12))]}
    found = Evaluation(values, (0, 5), seed=0, task_names=["a<b", "c"] * 2)
    assert all(len(line) <= 80 for line in str(found).splitlines())
    page = found._repr_html_()
    assert page.count("<table>") == 2 and "a&lt;b" in page and "metric_11" in page


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
