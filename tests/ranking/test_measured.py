import gzip

import numpy as np
import pytest
from molecules_small import write

pytest.importorskip("rdkit")

from deepchem_meta.ranking import read_measured

FOUR = [("CCO", 1), ("CCN", 0), ("CCCO", 1), ("CCCN", 0)]


def test_columns_are_found_by_name_or_content(tmp_path):
    a = write(tmp_path / "a.csv", "id,SMILES,active", [(n, s, y) for n, (s, y) in enumerate(FOUR)])
    b = write(tmp_path / "b.csv", "compound_structure;outcome", [])
    b.write_text("drug;outcome\n" + "".join(f"{s}CCCC;{y}\n" for s, y in FOUR))
    c = write(
        tmp_path / "c.csv",
        "id,text,result,weight",
        [(n, s, y, 3.5) for n, (s, y) in enumerate(FOUR)],
    )
    for path, columns in ((a, ("SMILES", "active")), (b, ("drug", "outcome"))):
        found = read_measured(path)
        assert found.columns == columns and found.values.tolist() == [1, 0, 1, 0]
        assert found.task_type == "classification" and found.lines == [2, 3, 4, 5]
    assert read_measured(c, smiles="text").columns == ("text", "result")
    with pytest.raises(
        ValueError, match="one column must hold labels or values; name it.*'a', 'b'"
    ):
        read_measured(write(tmp_path / "d.csv", "smiles,a,b", [(s, y, y) for s, y in FOUR]))
    assert read_measured(tmp_path / "d.csv", result="b").columns == ("smiles", "b")


def test_gzipped_files(tmp_path):
    with gzip.open(tmp_path / "a.csv.gz", "wt") as file:
        file.write("smiles,active\n" + "".join(f"{s},{y}\n" for s, y in FOUR))
    assert len(read_measured(tmp_path / "a.csv.gz")) == 4


def test_contradictions_are_reported(tmp_path):
    rows = [*FOUR, ("CCCCN", 0), ("CCCCO", 1), ("OCC", 1), ("[Na+].CC[O-]", 0), ("NCCC", 1)]
    path = write(tmp_path / "a.csv", "smiles,active", [*rows, ("C1CC", 1), ("CCS", "")])
    found = read_measured(path)
    values = dict(zip(found.smiles, found.values, strict=True))
    assert values == {"CCO": 1, "CCN": 0, "CCCO": 1, "CCCCN": 0, "CCCCO": 1}
    assert found.canonical == found.smiles
    assert found.merged == 3 and found.contradicting == [[2, 8, 9], [5, 10]]
    assert found.missing == 1
    assert [(row.line, row.smiles) for row in found.unreadable] == [(11, "C1CC")]
    with pytest.raises(ValueError, match=r"each molecule must have one row.*\[2, 8, 9\]"):
        read_measured(path, duplicates="raise")


def test_values_of_one_molecule_are_averaged(tmp_path):
    rows = [("CCO", 5.0), ("CCN", 6.0), ("CCC", 7.0), ("CCS", 4.0), ("OCC", 6.0), ("CCF", "<3")]
    found = read_measured(write(tmp_path / "a.csv", "smiles,pIC50", rows))
    np.testing.assert_allclose(found.values, [5.5, 6, 7, 4, 3])
    assert found.bounds == [4] and found.task_type == "regression" and found.merged == 1
    assert found.shown(4, "g") == "<3" and found.shown(0, ".2f") == "5.50"
    assert found.scale == "pIC50"


def test_bounds_keep_their_sign_in_the_scale_that_is_shown(tmp_path):
    rows = [("CCO", ">10000"), ("CCN", 100), ("CCC", "~10"), ("CCS", "<1"), ("OCC", "100")]
    rows += [("CCF", ">100"), ("FCC", "<100")]
    found = read_measured(write(tmp_path / "a.csv", "smiles,IC50 (nM)", rows))
    # Of CCO, 5 or less and 7: a mean of at most 6. Of CCF, 7 or less and 7 or more: about 7.
    assert [found.shown(n, "g") for n in range(5)] == ["<6", "7", "~8", ">9", "~7"]
    assert found.bounds == [0, 3] and found.scale == "-log10(mol/L)"


def test_names_of_molecules_of_several_rows(tmp_path):
    rows = [("A", *FOUR[0]), ("B", *FOUR[1]), ("C", *FOUR[2]), ("D", *FOUR[3]), ("A", "OCC", 1)]
    found = read_measured(write(tmp_path / "a.csv", "lot,smiles,active", rows))
    assert found.names == ["A", "B", "C", "D"]
    assert read_measured(write(tmp_path / "a.csv", "smiles,active", FOUR)).names == [""] * 4


@pytest.mark.parametrize("name", ["a.sdf", "a.mol", "a.SDF.gz", "a.xlsx", "a.smi"])
def test_files_of_other_formats(name, tmp_path):
    with pytest.raises(ValueError, match="must be a CSV file, gzipped or not. Received: .[a-z]+; "):
        read_measured(tmp_path / name)


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        ("smiles,active", [], "must have a row for each compound"),
        (
            "smiles,active",
            FOUR[:3],
            "at least 2 active and 2 inactive.*Received: 2 active and 1 in",
        ),
        ("smiles,active", [(s, 1) for s, _ in FOUR], "Received: 4 active and 0 inactive"),
        (
            "smiles,pIC50",
            [(s, 6.5) for s, _ in FOUR],
            "must differ by 1e-06 or more. Received: 4 of 6.5",
        ),
        ("smiles,pIC50", [("CCO", 6.5), ("CCN", 7)], "at least 4 compounds.*Received: 2"),
        ("smiles,active", [("red", 1), ("green", 0)], "the column 'smiles' must hold SMILES"),
        ("name,active", [("red", 1), ("green", 0)], "a column must hold SMILES"),
        ("smiles,name", [("CCO", "a"), ("CCN", "b")], "one column must hold labels or values"),
        ("smiles,IC50", [(s, 10) for s, _ in FOUR], "the unit of the concentrations in 'IC50'"),
    ],
)
def test_wrong_files_are_named(header, rows, message, tmp_path):
    path = write(tmp_path / "ten.csv", header, rows)
    with pytest.raises(ValueError, match=message):
        read_measured(path)


def test_wrong_names_of_columns(tmp_path):
    path = write(tmp_path / "ten.csv", "smiles,active", FOUR)
    with pytest.raises(ValueError, match="the column of SMILES must be one of 'smiles', 'active'"):
        read_measured(path, smiles="structure")
    with pytest.raises(ValueError, match="the column of results must be one of"):
        read_measured(path, result="hit")
    with pytest.raises(ValueError, match="the column 'active' must hold SMILES. Received: '1'"):
        read_measured(path, smiles="active")
    with pytest.raises(FileNotFoundError):
        read_measured(tmp_path / "none.csv")


def test_values_of_one_molecule_that_are_far_apart_are_told(tmp_path):
    rows = [("CCO", 5.0), ("CCN", 6.0), ("CCC", 7.0), ("CCS", 4.0), ("OCC", 6.5), ("NCC", 7.0)]
    found = read_measured(write(tmp_path / "a.csv", "smiles,pIC50", rows))
    assert found.contradicting == [[2, 6]] and found.values[0] == 5.75 and found.undecided == []
    # 10 and 1000 nM are 8 and 6; percentages have a scale of their own.
    rows = [("CCO", 10), ("CCN", 20), ("CCC", 30), ("CCS", 40), ("OCC", 1000)]
    assert read_measured(write(tmp_path / "a.csv", "smiles,Ki (nM)", rows)).contradicting == [
        [2, 6]
    ]
    assert read_measured(write(tmp_path / "a.csv", "smiles,% inh", rows)).contradicting == []


def test_a_tie_is_remembered(tmp_path):
    path = write(tmp_path / "a.csv", "smiles,active", [*FOUR, ("CCCCO", 1), ("OCCCC", 0)])
    found = read_measured(path)
    assert found.undecided == ["CCCCO"] and len(found) == 4 and found.contradicting == [[6, 7]]


def test_molecules_that_are_too_large_or_raise_in_rdkit(tmp_path):
    path = write(tmp_path / "a.csv", "smiles,active", [*FOUR, ("C" * 151, 1), ("CCCCS", 0)])

    def fails_on_sulphur(molecule):
        if any(atom.GetSymbol() == "S" for atom in molecule.GetAtoms()):
            raise RuntimeError("Pre-condition\nViolation")
        return molecule

    found = read_measured(path, standardizer=fails_on_sulphur)
    assert [(row.line, row.reason) for row in found.unreadable] == [
        (6, "has 151 atoms, more than 150"),
        (7, "cannot be standardised by RDKit: Pre-condition Violation"),
    ]


@pytest.mark.parametrize(
    "values", [(5 + n * 1e-9 for n in range(4)), (n * 1e-30 for n in range(4))]
)
def test_values_that_do_not_differ_enough(values, tmp_path):
    rows = [(s, repr(v)) for (s, _), v in zip(FOUR, values, strict=True)]
    with pytest.raises(ValueError, match="must differ by 1e-06 or more"):
        read_measured(write(tmp_path / "a.csv", "smiles,value", rows))


def test_damaged_gzip_is_named(tmp_path):
    path = tmp_path / "a.csv.GZ"
    whole = gzip.compress(("smiles,active\n" + "".join(f"{s},{y}\n" for s, y in FOUR)).encode())
    path.write_bytes(whole)
    assert len(read_measured(path)) == 4
    path.write_bytes(whole[:-9])
    with pytest.raises(ValueError, match=r"a.csv.GZ must be a gzipped file that is whole"):
        read_measured(path)
