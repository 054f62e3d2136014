import re
import sys

import numpy as np
import pytest

from deepchem_meta.evaluation import Evaluation


@pytest.fixture
def example(load_example):
    return load_example("sinusoid_keras")


def losses(output, steps):
    """Return the mean loss after some numbers of steps, of MAML and of plain training."""
    rows = re.findall(r"^ *(\d+) +(\S+) ± (\S+)$", output, re.MULTILINE)
    assert [int(row[0]) for row in rows] == steps * 2
    return np.array([row[1] for row in rows], float).reshape(2, -1)


def test_maml_adapts_better_than_plain_training(example, tmp_path, capsys, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(example, "STEPS", (0, 1))
    picture = tmp_path / "sine.png"
    example.main(["--steps", "1000", "--test-tasks", "50", "--output", str(picture)])
    output = capsys.readouterr().out
    maml, plain = losses(output, [0, 1])
    assert maml[1] < maml[0] / 1.5
    assert maml[1] < plain[1]
    assert "MAML, 10 points of each new curve" in output
    assert str(picture) in output
    assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_without_matplotlib_the_table_is_printed(example, tmp_path, capsys, monkeypatch):
    for module in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(example, "STEPS", (0, 1))
    picture = tmp_path / "sine.png"
    example.main(["--steps", "1", "--shots", "5", "--test-tasks", "2", "--output", str(picture)])
    output = capsys.readouterr().out
    assert np.all(np.isfinite(losses(output, [0, 1])))
    assert "5 points of each new curve" in output
    assert "pip install" in output
    assert not picture.exists()


def test_a_rate_that_diverges_is_not_chosen(example):
    class Algorithm:
        def evaluate(self, tasks, **options):
            losses = {0.01: np.nan, 0.003: 2.0, 0.001: 3.0}
            values = np.full((4, 1), losses[self.learning_rate])
            return Evaluation({"loss": values}, (10,), seed=1)

    algorithm = Algorithm()
    example.choose_rate(algorithm, None)
    assert algorithm.learning_rate == 0.003
