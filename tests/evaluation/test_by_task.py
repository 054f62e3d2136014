"""One metric of each named task."""

import csv

import numpy as np
import pytest

from deepchem_meta.evaluation import ByTask, Evaluation, mean_and_interval
from deepchem_meta.plotting import plot_by_task

RNG = np.random.default_rng(0)
NAMES = ["assay of a very long name, " * 3, "b", "<c>"]
AUC = RNG.random((12, 2))


def make():
    values = {"loss": RNG.random((12, 2)), "auc": AUC}
    return Evaluation(values, (0, 5), seed=0, task_names=NAMES * 4)


def test_a_mapping_of_means_and_intervals():
    found = make().by_task("auc")
    assert isinstance(found, ByTask) and list(found) == NAMES and len(found) == 3
    mean, half = found["b"]
    np.testing.assert_allclose(mean, AUC[1::3].mean(axis=0), rtol=1e-12)
    np.testing.assert_array_equal(half, mean_and_interval(AUC[1::3])[1])
    assert [name for name, _ in found.items()] == NAMES
    with pytest.raises(KeyError):
        found["d"]


def test_the_table_has_80_columns_and_nothing_is_cut():
    text = str(make().by_task("auc"))
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("very long name") >= 3 and "highest draw" in text
    assert f"{np.median(AUC[1::3, 1]):.4g}" in text
    page = make().by_task("auc")._repr_html_()
    assert "&lt;c&gt;" in page and f"{AUC[2::3, 1].max():.4g}" in page


def test_the_file(tmp_path):
    make().by_task("auc").to_csv(tmp_path / "auc.csv")
    with open(tmp_path / "auc.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["task"], row["optimization_steps"]) for row in rows[2:4]] == [
        ("b", "0"),
        ("b", "5"),
    ]
    assert float(rows[3]["auc"]) == pytest.approx(AUC[1::3, 1].mean(), rel=1e-12)
    assert float(rows[3]["lowest"]) == AUC[1::3, 1].min()
    assert float(rows[3]["median"]) == np.median(AUC[1::3, 1])
    assert {row["draws"] for row in rows} == {"4"}


def test_the_plot_has_the_largest_on_top():
    ax = make().by_task("auc").plot()
    means = {name: AUC[i::3, 1].mean() for i, name in enumerate(NAMES)}
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == sorted(NAMES, key=means.get, reverse=True)
    assert "auc after 5 steps" in ax.get_xlabel()
    with pytest.raises(TypeError, match="`tasks` must be what `by_task` returns"):
        plot_by_task({"a": 1})
