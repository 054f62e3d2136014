import gzip

import numpy as np
import pytest

from deepchem_meta.tasks import morgan_fingerprints, scaffolds
from deepchem_meta.tasks.molecules import parse_smiles, read_assays_csv

SMILES = ["CCO", "c1ccccc1C", "CC(=O)O", "C1CCCCC1N"]


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


class TestRDKit:
    """What needs RDKit."""

    @pytest.fixture(autouse=True)
    def rdkit(self):
        pytest.importorskip("rdkit")

    def test_fingerprints_are_rdkits(self):
        from rdkit import Chem
        from rdkit.Chem import rdFingerprintGenerator

        generator = rdFingerprintGenerator.GetMorganGenerator(radius=3, fpSize=128)
        molecules = [Chem.MolFromSmiles(text) for text in SMILES]
        x = morgan_fingerprints(SMILES, radius=3, size=128)
        assert x.dtype == np.float32 and x.shape == (4, 128)
        for row, molecule in zip(x, molecules, strict=True):
            counts = np.zeros(128)
            for place, count in (
                generator.GetCountFingerprint(molecule).GetNonzeroElements().items()
            ):
                counts[place] = count
            np.testing.assert_allclose(row, np.log(1 + counts), rtol=1e-6)
        bits = morgan_fingerprints(molecules, radius=3, size=128, counts=False)
        np.testing.assert_array_equal(bits, x > 0)

    def test_default_is_2048_counts_of_radius_2(self):
        x = morgan_fingerprints(["CCCCCCCC"])
        assert x.shape == (1, 2048)
        np.testing.assert_allclose(np.expm1(x).sum(), 8 + 8 + 6, rtol=1e-6)  # by radius 0, 1, 2

    def test_no_molecules(self):
        assert morgan_fingerprints([]).shape == (0, 2048)

    def test_scaffolds(self):
        assert scaffolds(["CCc1ccccc1", "c1ccc(CC2CCCC2)cc1O", "CCO"]) == [
            "c1ccccc1",
            "c1ccc(CC2CCCC2)cc1",
            "",
        ]

    def test_unreadable_smiles(self, capfd):
        smiles = ["C", "", "C1CC(", None, float("nan"), "CC", "xyz", "C(C)(C)(C)(C)C", "%%"]
        with pytest.raises(ValueError, match=r"7 of 9 .*: '', 'C1CC\(', None, .* and 2 more$"):
            morgan_fingerprints(smiles)
        molecules, kept = parse_smiles(smiles, "drop")
        assert len(molecules) == 2 and kept.tolist() == [0, 5]
        assert "Parse Error" not in capfd.readouterr().err

    @pytest.mark.parametrize(
        ("call", "error", "name"),
        [
            (lambda: morgan_fingerprints("CCO"), TypeError, "smiles"),
            (lambda: morgan_fingerprints(["C"], radius=-1), ValueError, "radius"),
            (lambda: morgan_fingerprints(["C"], size=0), ValueError, "size"),
            (lambda: morgan_fingerprints(["C"], counts=1), TypeError, "counts"),
            (lambda: parse_smiles(["C"], "skip"), ValueError, "on_error"),
        ],
    )
    def test_bad_arguments(self, call, error, name):
        with pytest.raises(error, match=f"`{name}` must be"):
            call()


def test_without_rdkit(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "rdkit.Chem", None)
    for call in (lambda: scaffolds(["C"]), lambda: parse_smiles(["C"])):
        with pytest.raises(ImportError, match=r'pip install "deepchem_meta\[molecules\]"'):
            call()


TABLE = "\ufeffA,name,smiles,B,empty\n1,x1,CCO,0.5,\n,2,CC,nan,\n\n0.0,x3,C, -2 ,\n"


@pytest.mark.parametrize("gzipped", [False, True])
def test_table(tmp_path, gzipped):
    path = tmp_path / ("table.csv.gz" if gzipped else "table.csv")
    data = TABLE.encode("utf-8")
    path.write_bytes(gzip.compress(data) if gzipped else data)
    table = read_assays_csv(str(path))
    assert table.smiles == ["CCO", "CC", "C"]
    assert table.names == ["A", "B", "empty"]  # `name` holds words
    nan = np.nan
    np.testing.assert_array_equal(table.y, [[1, 0.5, nan], [nan, nan, nan], [0, -2, nan]])
    table = read_assays_csv(path, assays=["B", "A"])
    assert table.names == ["B", "A"]
    np.testing.assert_array_equal(table.y[0], [0.5, 1])
    assert read_assays_csv(path, smiles="name", assays=("A",)).smiles == ["x1", "2", "x3"]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("A,B\n1,2\n", {}, "columns 'smiles' once. Received: a file with the columns 'A', 'B'"),
        ("smiles,A\nC,1\n", {"assays": ["A", "Z"]}, "'smiles', 'A', 'Z' once"),
        ("smiles,A,A\nC,1,2\n", {"assays": ["A"]}, "once"),
        ("", {}, "once"),
        ("smiles,A\n", {}, "must have molecules"),
        ("smiles,A\nC,a\n", {}, "must have a column of numbers"),
        ("smiles,A\nC,1,2\n", {}, "line 2: a line must have 2 cells.* Received: 3"),
        ("smiles,A\nC,1\nC,0\nC,O\n", {}, "column 'A': .* Received: 'O' for molecule 3, and 0"),
        ("smiles,A\nC,a\n", {"assays": ["A"]}, "'a' for molecule 1"),
    ],
)
def test_bad_tables(tmp_path, text, options, message):
    with pytest.raises(ValueError, match=message):
        read_assays_csv(write(tmp_path / "table.csv", text), **options)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_assays_csv(tmp_path / "none.csv")
