import csv
import gzip
import re

import numpy as np
import pytest

pytest.importorskip("rdkit")
pytest.importorskip("sklearn")

CHAINS = ["C" * n for n in range(1, 13)]
SMILES = [
    *CHAINS,
    *(chain + "O" for chain in CHAINS),
    *(chain + "N" for chain in CHAINS),
    *(chain + "c1ccccc1" for chain in CHAINS),
    *(chain + "C(=O)O" for chain in CHAINS),
    *(chain + "Cl" for chain in CHAINS),
]
ASSAYS = ["A", "B", "C", "D", "E"]
BAD = "C1CC("


def table():
    """Return a table of 72 molecules and one that is none; each label follows from the SMILES."""
    rows = []
    for i, smiles in enumerate([*SMILES, BAD]):
        row = {"mol_id": f"M{i}", "smiles": smiles}
        for j, assay in enumerate(ASSAYS):
            # Each functional group fills 12 rows; an assay is active for some groups.
            active = (i // 12 + j) % 2
            row[assay] = "" if (i + j) % 10 == 0 else str(active)
        rows.append(row)
    return rows


def write(path, rows, columns=(*ASSAYS, "mol_id", "smiles")):
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def example(load_example):
    return load_example("tox21_maml")


def test_prints_a_finite_table(example, tmp_path, capfd):
    path = write(tmp_path / "table.csv.gz", table())
    example.main(
        ["--data", str(path), "--steps", "3", "--shots", "2", "--draws", "2", "--inner-steps", "2"]
    )
    output, errors = capfd.readouterr()
    assert "72 molecules; dropped 1 " in output
    assert "SMILES Parse Error" not in errors  # it is counted, and RDKit's own words are not shown
    assert "3 meta-steps on 2 assays" in output
    assert "seen in\ntraining under other assays" in output
    rows = re.findall(r"^(C|D|E|mean of assays) +(.+)$", output, re.MULTILINE)
    assert [row[0] for row in rows] == ["C", "D", "E", "mean of assays"]
    cells = np.array([re.findall(r"([\d.]+) ± ([\d.]+)", row[1]) for row in rows], float)
    assert cells.shape == (4, 3, 2)
    np.testing.assert_allclose(cells[3, :, 0], cells[:3, :, 0].mean(axis=0), atol=0.11)
    assert np.all(cells[..., 0] <= 100)


def test_support_and_queries_are_disjoint_and_balanced(example, tmp_path):
    path = write(tmp_path / "table.csv", table())
    train, test = example.load_assays(path, shots=4)
    assert [assay.name for assay in train] == ["A", "B"]
    assert [assay.name for assay in test] == ["C", "D", "E"]
    for assay in train:
        # In place of a fingerprint, the number of the molecule.
        assay.x = np.arange(len(SMILES), dtype="float32")[:, np.newaxis]
    learner = example.AssayLearner(train, shots=4, rng=np.random.default_rng(0))
    for _ in range(20):
        learner.select_task()
        (support, support_y), (query, query_y) = learner.get_batch(), learner.get_batch()
        assert support_y.tolist() == [1] * 4 + [0] * 4
        assert query_y.tolist() == [1] * 16 + [0] * 16
        molecules = np.concatenate([support, query])[:, 0].astype(int)
        assert len(set(molecules)) == 40
        offset = ASSAYS.index(learner.assay.name)
        np.testing.assert_array_equal(
            (molecules // 12 + offset) % 2, np.concatenate([support_y, query_y])
        )


def test_fingerprints_are_logarithms_of_counts(example):
    x, parsed = example.fingerprints(["CCO", BAD, "", "C" * 12])
    assert parsed.tolist() == [True, False, False, True]
    assert x.shape == (2, 2048)
    assert x.dtype == np.float32
    # Ethanol has three atoms of different surroundings, dodecane 10 carbons of type CH2.
    np.testing.assert_allclose(np.expm1(x.max(axis=1)), [1, 10], rtol=1e-6)


def test_without_a_file_the_table_is_downloaded(example, tmp_path, monkeypatch):
    origins = []

    def get_file(origin):
        origins.append(origin)
        return str(tmp_path / "missing.csv.gz")

    monkeypatch.setattr(example.keras.utils, "get_file", get_file)
    with pytest.raises(SystemExit, match=r"missing\.csv\.gz"):
        example.main([])
    assert origins == [example.URL]


def no_smiles(rows):
    for row in rows:
        row["structure"] = row["smiles"]
    return {"columns": (*ASSAYS, "structure")}


def few_assays(rows):
    return {"columns": ("A", "B", "C", "smiles")}


def bad_label(rows):
    rows[4]["B"] = "0.5"
    return {}


def no_actives(rows):
    for row in rows:
        row["D"] = "0"
    return {}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (no_smiles, r"no column `smiles`.*A, B, C, D, E, structure"),
        (few_assays, r"more than 3 columns of assays.*It has: A, B, C$"),
        (bad_label, r"molecule 5, column B: .*Received: '0\.5'"),
        (no_actives, r"assay D needs 3 active.*It has 0 and 72$"),
    ],
)
def test_a_bad_table_is_refused(example, tmp_path, spoil, message):
    rows = table()
    path = write(tmp_path / "table.csv", rows, **spoil(rows))
    with pytest.raises(SystemExit, match=message):
        example.main(["--data", str(path), "--shots", "2"])


def test_a_missing_file_is_named(example, tmp_path):
    with pytest.raises(SystemExit, match=r"No such file.*nowhere\.csv"):
        example.main(["--data", str(tmp_path / "nowhere.csv")])


def test_a_file_that_is_not_gzipped_is_refused(example, tmp_path):
    path = write(tmp_path / "table.csv", table()).rename(tmp_path / "table.csv.gz")
    with pytest.raises(SystemExit, match="[Nn]ot a gzipped file"):
        example.main(["--data", str(path)])


def test_an_interval_needs_two_draws(example, capsys):
    with pytest.raises(SystemExit):
        example.main(["--draws", "1"])
    assert "--draws must be at least 2" in capsys.readouterr().err
