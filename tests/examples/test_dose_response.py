import re
import sys

import numpy as np
import pytest


@pytest.fixture
def example(load_example):
    return load_example("dose_response")


def errors(output, steps):
    """Return the root mean squared error after some numbers of steps."""
    rows = re.findall(r"^ *(\d+) +\S+ ± \S+ +(\S+) ± \S+$", output, re.MULTILINE)
    assert [int(row[0]) for row in rows] == steps
    return np.array([row[1] for row in rows], float)


def test_measurements_help_and_the_picture_is_written(example, tmp_path, capsys, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(example, "STEPS", (0, 1, 5))
    picture = tmp_path / "curves.png"
    example.main(["--steps", "500", "--test-tasks", "50", "--output", str(picture)])
    output = capsys.readouterr().out
    found = errors(output, [0, 1, 5])
    assert found[2] < found[0] / 1.3
    assert np.all(found > 0.05)  # the noise of what is predicted
    assert "5 concentrations measured with noise 0.05" in output
    assert str(picture) in output
    assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_without_matplotlib_the_table_is_printed(example, tmp_path, capsys, monkeypatch):
    for module in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(example, "STEPS", (0, 1))
    picture = tmp_path / "curves.png"
    example.main(
        [
            "--steps",
            "1",
            "--measured",
            "3",
            "--inner-steps",
            "1",
            "--test-tasks",
            "2",
            "--output",
            str(picture),
        ]
    )
    output = capsys.readouterr().out
    assert np.all(np.isfinite(errors(output, [0, 1])))
    assert "3 concentrations measured" in output
    assert "pip install" in output
    assert not picture.exists()
