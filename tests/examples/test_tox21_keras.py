import csv
import gzip
import re

import numpy as np
import pytest

pytest.importorskip("rdkit")
pytest.importorskip("sklearn")

# Each functional group fills 12 rows; an assay is active for some groups.
GROUPS = ("", "O", "N", "c1ccccc1", "C(=O)O", "Cl")
SMILES = ["C" * n + group for group in GROUPS for n in range(1, 13)]
ASSAYS = ["A", "B", "C", "D", "E"]


@pytest.fixture
def example(load_example):
    return load_example("tox21_keras")


@pytest.fixture
def path(tmp_path):
    """Give a table of 72 molecules and one that is none; each label follows from the SMILES."""
    path = tmp_path / "table.csv.gz"
    with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*ASSAYS, "mol_id", "smiles"])
        for i, smiles in enumerate([*SMILES, "C1CC("]):
            results = [
                "" if (i + j) % (10 + j) == 0 else (i // 12 + j) % 2 for j in range(len(ASSAYS))
            ]
            writer.writerow([*results, f"M{i}", smiles])
    return path


def test_prints_a_table_of_the_last_assays(example, path, capsys):
    arguments = ["--steps", "3", "--shots", "2", "--draws", "2", "--inner-steps", "2"]
    example.main(["--data", str(path), *arguments])
    output = capsys.readouterr().out
    assert "72 molecules; dropped 1 " in output
    assert "seen in\ntraining under other assays" in output
    rows = re.findall(r"^(C|D|E|mean of assays) +(.+)$", output, re.MULTILINE)
    assert [row[0] for row in rows] == ["C", "D", "E", "mean of assays"]
    cells = np.array([re.findall(r"([\d.]+) ± ([\d.]+)", row[1]) for row in rows], float)
    assert cells.shape == (4, 3, 2)
    np.testing.assert_allclose(cells[3, :, 0], cells[:3, :, 0].mean(axis=0), atol=0.11)
    assert np.all(cells[..., 0] <= 100)


def test_all_other_molecules_of_a_test_assay_are_ranked(example, path):
    train, test = example.load_tasks(path, shots=4)
    assert train.names == ["A", "B"]
    assert test.names == ["C", "D", "E"]
    _, (_, y, *_) = train.sample(1, np.random.default_rng(0))
    assert y.shape == (1, 32, 1)
    (_, y, *_), (_, _, weights) = test.sample(3, np.random.default_rng(0))
    assert y[0].ravel().tolist() == [0] * 4 + [1] * 4
    labelled = np.isfinite(test.y).sum(axis=0)
    assert sorted(weights.sum(axis=1)) == sorted(labelled - 8)


def test_without_a_file_the_table_is_downloaded(example, tmp_path, monkeypatch):
    origins = []

    def get_file(origin):
        origins.append(origin)
        return str(tmp_path / "missing.csv.gz")

    monkeypatch.setattr(example.keras.utils, "get_file", get_file)
    with pytest.raises(SystemExit, match=r"^Error: .*missing\.csv\.gz"):
        example.main([])
    assert origins == [example.URL]


def test_an_assay_with_few_molecules_is_refused(example, path):
    with pytest.raises(SystemExit, match="^Error: Each assay must have enough compounds"):
        example.main(["--data", str(path), "--shots", "30"])


def test_an_interval_needs_two_draws(example, capsys):
    with pytest.raises(SystemExit):
        example.main(["--draws", "1"])
    assert "--draws must be at least 2" in capsys.readouterr().err
