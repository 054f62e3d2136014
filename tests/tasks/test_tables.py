import gzip

import numpy as np
import pytest

from deepchem_meta.tasks.tables import read_assays_csv

NAN = np.nan
TABLE = "\ufeffA,name,smiles,B,empty\n1,x1,CCO,0.5,\n,x2,CC,nan,\n\n0.0,x3, C , -2 ,\n"


def read(tmp_path, text, **options):
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    return read_assays_csv(path, **options)


@pytest.mark.parametrize("gzipped", [False, True])
def test_table(tmp_path, gzipped):
    path = tmp_path / ("table.csv.gz" if gzipped else "table.csv")
    data = TABLE.encode("utf-8")
    path.write_bytes(gzip.compress(data) if gzipped else data)
    table = read_assays_csv(str(path))
    assert table.smiles == ["CCO", "CC", "C"] and table.lines == [2, 3, 5]
    assert table.names == ["A", "B"] and table.y.dtype == np.float64
    np.testing.assert_array_equal(table.y, [[1, 0.5], [NAN, NAN], [0, -2]])
    assert table.left_out == {
        "name": "has no numbers, but words such as 'x1'",
        "empty": "has no results",
    }
    assert table.qualified == {}


def test_columns_that_are_asked_for(tmp_path):
    table = read(tmp_path, TABLE, assays=["B", " A"])
    assert table.names == ["B", "A"]
    np.testing.assert_array_equal(table.y[0], [0.5, 1])
    assert table.left_out == dict.fromkeys(["name", "empty"], "is not among `assays`")
    assert read(tmp_path, TABLE, smiles="name", assays="A").smiles == ["x1", "x2", "x3"]
    empty = read(tmp_path, TABLE, assays=("empty",))
    assert empty.names == ["empty"] and np.isnan(empty.y).all()
    # What is not asked for may hold anything.
    mixed = "smiles,A,B\nC,1,x\nN,0,1\nO,1,>5\n"
    assert read(tmp_path, mixed, assays=["A"]).left_out == {"B": "is not among `assays`"}


def test_a_table_is_pandas(tmp_path):
    """Numbers of any format and gaps of many kinds, against the reader of pandas."""
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    gaps = ["", "NA", "nan", "N/A", "null", "#N/A", "None"]
    styles = ["{:.3f}", "{:.2e}", "{:+.1f}", " {:.4g} "]
    columns = {"smiles": ["C" * (i + 1) for i in range(60)]}
    for name in "ABCDE":
        cells = [rng.choice(styles).format(value) for value in rng.normal(size=60)]
        columns[name] = [rng.choice(gaps) if rng.random() < 0.4 else cell for cell in cells]
    frame = pandas.DataFrame(columns)
    frame.index.name = None
    frame.to_csv(tmp_path / "table.csv")
    expected = pandas.read_csv(tmp_path / "table.csv", index_col=0, skipinitialspace=True)
    table = read_assays_csv(tmp_path / "table.csv")
    assert table.names == list("ABCDE") and table.smiles == list(expected["smiles"])
    np.testing.assert_array_equal(table.y, expected[table.names].astype(float))
    assert table.left_out == {"column 1 (no name)": "has no name"}


def test_a_sparse_assay_stays(tmp_path):
    text = "smiles,A,B\nC,n.d.,1\nN,N.D.,0\nO,1,nd\nF,-,1\nS,n.t.,0\n"
    table = read(tmp_path, text, na_values=["n.t."])
    assert table.names == ["A", "B"] and table.left_out == {}
    np.testing.assert_array_equal(table.y, [[NAN, 1], [NAN, 0], [1, NAN], [NAN, 1], [NAN, 0]])


def test_columns_without_a_name_are_no_assays(tmp_path):
    text = ",Unnamed: 0,Unnamed: 0.1,smiles,A, \n0,0,0,C,1,5\n1,1,1,N,0,6\n"
    table = read(tmp_path, text)
    by_pandas = "has the name that pandas gives to a column without one"
    assert table.names == ["A"]
    assert table.left_out == {
        "column 1 (no name)": "has no name",
        "Unnamed: 0": by_pandas,
        "Unnamed: 0.1": by_pandas,
        "column 6 (no name)": "has no name",
    }
    assert read(tmp_path, text, assays=["Unnamed: 0", "A"]).names == ["Unnamed: 0", "A"]


def test_qualifiers(tmp_path):
    text = "smiles,A,B,C\nC,>10,1,~1\nN,3,2,<2\nO,<= 0.5,3,3\n"
    with pytest.raises(
        ValueError, match=r"column 'A', line 2: .*\"drop\".*\"bound\".*'>10', and 1"
    ):
        read(tmp_path, text)
    dropped = read(tmp_path, text, qualifiers="drop")
    np.testing.assert_array_equal(dropped.y, [[NAN, 1, NAN], [3, 2, NAN], [NAN, 3, 3]])
    bound = read(tmp_path, text, qualifiers="bound")
    np.testing.assert_array_equal(bound.y, [[10, 1, 1], [3, 2, 2], [0.5, 3, 3]])
    assert dropped.qualified == bound.qualified == {"A": 2, "C": 2}
    assert read(tmp_path, text, assays=["C", "B"], qualifiers="drop").qualified == {"C": 2}
    every = read(tmp_path, "smiles,A,B\nC,>1,1\nN,>2,2\n", qualifiers="bound")
    np.testing.assert_array_equal(every.y, [[1, 1], [2, 2]])  # not a column of words


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("A,B\n1,2\n", {}, "columns 'smiles';.* without 'smiles', with the columns 'A', 'B'$"),
        ("smiles,A\nC,1\n", {"assays": ["A", "Z"]}, "columns 'smiles', 'A', 'Z';.* without 'Z'"),
        ("smiles,A,\nC,1,2\n", {"assays": ["A", ""]}, "without ''"),
        ("smiles,A\nC,1\n", {"assays": []}, "`assays` must be at least one column"),
        ("smiles,A\nC,1\n", {"assays": ["A", "A "]}, "each once"),
        ("smiles,A\nC,1\n", {"assays": ["smiles"]}, "not that of the SMILES, 'smiles'"),
        ("smiles,A,A\nC,1,2\n", {}, "more than one column named 'A'"),
        ("smiles,A,B,A\nC,1,2,3\n", {"assays": ["B"]}, "more than one column named 'A'"),
        ("", {}, "with the columns none$"),
        ("smiles,A\n", {}, "must have molecules"),
        ("smiles\nC\n", {}, "column of numbers.* it has no other column$"),
        ("smiles,A,B\nC,a,\n", {}, "column of numbers.*'A' has no numbers, .*'B' has no results$"),
        ("smiles,A\nC,1\n\nN,0\nO,O\nF,x\n", {}, "'A', line 5: .* Received: 'O', and 1 more such"),
        ("smiles,A\nC,x\nN,y\nO,1\n", {}, "'x', and 1 more"),
        ("smiles,A\nC,x\nN,2023_001\nO,1\n", {}, "`assays`.*`na_values`.*`qualifiers`.*'x'"),
        ("smiles,A,B\nC,a,1\n", {"assays": ["A"]}, "column 'A', line 2: .*Received: 'a'"),
        ("smiles,A\nC,>1\nN,x\n", {}, "line 3: .*Received: 'x', and 0"),
        ("smiles|A\nC|1\n", {}, "`delimiter` says"),
        ("smiles,A\nC,1\n", {"qualifiers": "keep"}, "`qualifiers` must be one of"),
    ],
)
def test_bad_tables(tmp_path, text, options, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, text, **options)


@pytest.mark.parametrize("options", [{"smiles": None}, {"assays": [1]}, {"na_values": "x"}])
def test_bad_types(tmp_path, options):
    with pytest.raises(TypeError, match=f"`{next(iter(options))}` must be"):
        read(tmp_path, TABLE, **options)


def test_options_of_the_file(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes("smiles|µ\nC|1\n".encode("cp1252"))
    table = read_assays_csv(path, encoding="cp1252", delimiter="|")
    assert table.names == ["µ"] and table.y.tolist() == [[1.0]]


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_assays_csv(tmp_path / "none.csv")


@pytest.mark.parametrize("name", ["tox21", "sider", "muv"])
def test_published_tables_are_pandas(shared_data, name):
    pandas = pytest.importorskip("pandas")
    path = shared_data / f"{name}.csv.gz"
    frame = pandas.read_csv(path)
    table = read_assays_csv(path)
    assert table.smiles == list(frame["smiles"])
    assert table.names == [name for name in frame.columns if name not in ("smiles", "mol_id")]
    np.testing.assert_array_equal(table.y, frame[table.names])
    assert list(table.left_out) == [name for name in frame.columns if name == "mol_id"]
    assert table.lines == list(range(2, len(frame) + 2))
