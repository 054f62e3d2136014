import csv
import json

import numpy as np
import pytest
from scipy import stats

from deepchem_meta.evaluation import Comparison, Evaluation

NAMES = ["A", "B", "C"]


def make_values(n=40, kinds=1, seed=0):
    """Return three evaluations whose tasks are hard or easy for all, B best in accuracy."""
    rng = np.random.default_rng(seed)
    hardness = rng.normal(size=(n, 1))
    names = None if kinds == 1 else [f"T{i}" for i in range(kinds)] * (n // kinds)
    return {
        name: Evaluation(
            {
                "loss": hardness**2 + rng.random((n, 1)),
                "accuracy": better + 0.1 * hardness + 0.01 * rng.normal(size=(n, 1)),
            },
            (steps,),
            seed=7,
            task_names=names,
            settings={"algorithm": name},
        )
        for name, better, steps in zip(NAMES, (0.5, 0.7, 0.6), (1, 5, 0), strict=True)
    }


class TestDifferences:
    @pytest.mark.parametrize(("n", "kinds"), [(40, 1), (12, 1), (24, 3)])
    def test_paired_by_task_or_by_draw(self, n, kinds):
        found = Comparison(make_values(n, kinds), "accuracy").differences("A")
        values = {name: one.metrics["accuracy"] for name, one in make_values(n, kinds).items()}
        assert set(found) == {"B", "C"}
        for name, (mean, half) in found.items():
            d = (values[name] - values["A"]).reshape(n // kinds, kinds).mean(axis=1)
            t = stats.t.ppf(0.975, len(d) - 1) if len(d) < 30 else 1.96
            assert mean == pytest.approx(d.mean())
            assert half == pytest.approx(t * d.std(ddof=1) / np.sqrt(len(d)), rel=1e-3)

    def test_by_default_they_are_to_the_best(self):
        found = Comparison(make_values(), "accuracy")
        assert found.differences() == found.differences("B")
        assert all(mean < 0 for mean, _ in found.differences().values())

    def test_they_are_known_better_than_the_means(self):
        found = Comparison(make_values(), "accuracy")
        assert found.differences()["C"][1] < 0.3 * found.ci95["C"]

    def test_infinite_losses_do_not_warn(self):
        values = {name: Evaluation({"loss": [[np.inf], [1.0]]}, (1,), seed=0) for name in "AB"}
        mean, half = Comparison(values, "loss").differences()["B"]
        assert np.isnan(mean)
        assert np.isnan(half)

    def test_an_unknown_reference_is_refused(self):
        with pytest.raises(ValueError, match=r"one of \['B', 'C', 'A'\]. Received: reference='D'"):
            Comparison(make_values(), "accuracy").differences("D")


class TestComparison:
    def test_the_best_is_first_everywhere(self):
        found = Comparison(make_values(), "accuracy", seconds={"A": 1.0, "B": 2.0})
        for part in (found.evaluations, found.optimization_steps, found.mean, found.ci95):
            assert list(part) == ["B", "C", "A"]
        assert found.seconds == {"B": 2.0, "A": 1.0}
        values = make_values()["B"].metrics["accuracy"]
        assert found.mean["B"] == pytest.approx(values.mean())
        assert found.ci95["B"] == pytest.approx(1.96 * values.std(ddof=1) / np.sqrt(40))

    def test_table(self):
        found = Comparison(make_values(), "accuracy", seconds={"A": 1.25})
        head, *rows = str(found).splitlines()[:4]
        assert head.split() == ["accuracy", "steps", "seconds", "difference", "from", "B"]
        assert [row.split()[0] for row in rows] == ["B", "C", "A"]
        mean, half = found.differences()["A"]
        expected = ["A", f"{found.mean['A']:.4g}", "±", f"{found.ci95['A']:.2g}", "1", "1.2"]
        assert rows[-1].split() == [*expected, f"{mean:.4g}", "±", f"{half:.2g}"]
        assert rows[0].split()[-1] == "5"  # neither seconds nor a difference
        assert " ".join(str(found).splitlines()[4:]) == (
            "40 tasks, seed 7; mean ± 95% interval over tasks (1.96 standard errors), "
            "differences paired by task"
        )
        assert len({len(line) for line in (head, rows[1], rows[2])}) == 1

    def test_table_of_named_tasks(self):
        found = Comparison(make_values(24, 3), "accuracy")
        lines = str(found).splitlines()
        assert all(len(line) <= 80 for line in lines)
        last = " ".join(lines[-2:])
        assert last.startswith("3 tasks, 8 draws of each, seed 7; ")
        assert last.endswith("over draws (Student's t), differences paired by draw")
        assert "lowest to highest" in lines[0]
        means = [mean[0] for mean, _ in found.evaluations["B"].by_task("accuracy").values()]
        assert f"{min(means):.4g} to {max(means):.4g}" in lines[1]
        page = found._repr_html_()
        assert "<table>" in page and "lowest to highest" in page and "paired by draw" in page

    def test_a_failed_one_has_a_row_in_notebooks(self):
        failed = {"<bad>": "failed at meta-step 5"}
        page = Comparison(make_values(), "accuracy", failed=failed)._repr_html_()
        assert "&lt;bad&gt;" in page and "failed at meta-step 5" in page

    def test_table_of_one(self):
        text = str(Comparison({"A": make_values()["A"]}, "loss"))
        assert "difference from" not in text

    def test_to_dict_is_json(self):
        found = Comparison(make_values(), "accuracy", seconds={"A": 1.5})
        read = json.loads(json.dumps(found.to_dict()))
        assert read["metric"] == "accuracy"
        assert read["mean"] == found.mean
        assert read["optimization_steps"] == {"B": 5, "C": 0, "A": 1}
        assert read["differences"]["A"] == list(found.differences()["A"])
        assert read["seconds"] == {"A": 1.5}
        assert read["evaluations"]["C"]["n_tasks"] == 40

    def test_to_csv_has_a_row_for_each(self, tmp_path):
        found = Comparison(make_values(), "accuracy", seconds={"A": 1.5})
        found.to_csv(tmp_path / "table.csv")
        with open(tmp_path / "table.csv", newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert [row["algorithm"] for row in rows] == ["B", "C", "A"]
        assert [row["seconds"] for row in rows] == ["", "", "1.5"]
        assert [row["optimization_steps"] for row in rows] == ["5", "0", "1"]
        assert rows[0]["difference"] == rows[0]["difference_ci95"] == ""
        assert float(rows[2]["difference"]) == found.differences()["A"][0]
        assert float(rows[1]["accuracy"]) == found.mean["C"]
        assert float(rows[1]["accuracy_ci95"]) == found.ci95["C"]
        assert float(rows[1]["loss"]) == pytest.approx(make_values()["C"].loss.mean())


class TestMistakes:
    @pytest.mark.parametrize("wrong", [{}, [1], None, {"A": {"loss": 1.0}}])
    def test_no_evaluations(self, wrong):
        with pytest.raises(TypeError, match="`evaluations` must be a dict.*Received"):
            Comparison(wrong, "loss")

    def test_evaluations_at_several_steps(self):
        one = Evaluation({"loss": np.ones((3, 2))}, (0, 1), seed=0)
        with pytest.raises(ValueError, match=r"one number of steps.*\{'A': \(0, 1\)\}"):
            Comparison({"A": one}, "loss")

    @pytest.mark.parametrize("other", [{"n": 41}, {"kinds": 4}])
    def test_evaluations_of_different_tasks(self, other):
        some = {"A": make_values()["A"], "B": make_values(**other)["B"]}
        with pytest.raises(ValueError, match="must be of the same tasks.*Received: .*'B': "):
            Comparison(some, "loss")

    def test_a_metric_that_is_not_there(self):
        with pytest.raises(ValueError, match=r"one of \['loss', 'accuracy'\].*metric='auc'"):
            Comparison(make_values(), "auc")
