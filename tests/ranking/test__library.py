"""A library that is read chunk by chunk."""

import gzip
import subprocess
import sys

import numpy as np
import pytest

from deepchem_meta.ranking._library import Library
from deepchem_meta.tasks import MorganCounts, Standardizer

pytest.importorskip("rdkit")
FEATURIZER = MorganCounts(64)


def read(path, **options):
    library = Library(path, **options)
    return library, list(library.chunks(FEATURIZER, Standardizer()))


def test_rows_lines_and_features(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('id,smiles\n1,OCC\n\n2,"nonsense, yes"\n3,CCN,4\n5,CCO\n', encoding="utf-8")
    library, (chunk,) = read(path)
    assert (library.columns, library.smiles) == (["id", "smiles"], 1)
    assert chunk.lines == [2, 4, 5, 6]
    assert chunk.canonical == ["CCO", None, None, "CCO"]
    assert sorted(chunk.reasons) == [1, 2] and "3 cells instead of 2" in chunk.reasons[2]
    assert len(chunk.stored[0]) == 2
    np.testing.assert_array_equal(chunk.stored[0][0], chunk.stored[0][1])


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("name", "text"), [("a.csv", "smiles;n\nCCO;1\n"), ("a.smi", "CCO ethanol\n\n")]
)
def test_forms(name, text, zipped, tmp_path):
    path = tmp_path / (name + ".gz" * zipped)
    path.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    _, (chunk,) = read(path)
    assert chunk.canonical == ["CCO"] and len(chunk.rows[0]) == 2


def test_files_that_are_no_library(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("smiles\n", encoding="utf-8")
    with pytest.raises(ValueError, match="must have a row for each candidate. Received: none"):
        Library(path)
    path.write_bytes(b"smiles\nCC\xff\n")
    with pytest.raises(ValueError, match="in the encoding UTF-8"):
        Library(path)
    (tmp_path / "a.csv.gz").write_bytes(b"not zipped")
    with pytest.raises(ValueError, match=r"a.csv.gz must be a gzipped file that is whole"):
        Library(tmp_path / "a.csv.gz")
    path.write_text("id,smiles,id\n1,CCO,2\n", encoding="utf-8")
    with pytest.raises(ValueError, match="no two columns may have the same name.*'id'"):
        Library(path)
    path.write_text("CCCCCCO\nCCCCCCN\n", encoding="utf-8")
    with pytest.raises(ValueError, match="the first line must name the columns"):
        Library(path)
    with pytest.raises(ValueError, match=r"a.sdf must be a CSV file, or a .smi file"):
        Library(tmp_path / "a.sdf")


def test_the_processes_need_no_tensorflow():
    code = "import sys, deepchem_meta.ranking._library; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_blank_rows_are_counted(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("\nsmiles,n\nCCO,1\n,\n\nCCN,2\n\n", encoding="utf-8")
    library, (chunk,) = read(path)
    assert chunk.lines == [3, 6] and library.blank == 2


def test_a_molecule_of_more_than_150_atoms(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(f"smiles\n{'C' * 150}\n{'C' * 151}\n", encoding="utf-8")
    _, (chunk,) = read(path)
    assert chunk.reasons == {1: "has 151 atoms, more than 150"}


def test_only_the_last_suffix_says_the_format(tmp_path):
    path = tmp_path / "a.smi.csv"
    path.write_text("smiles,n\nCCO,1\n", encoding="utf-8")
    assert read(path)[0].columns == ["smiles", "n"]
