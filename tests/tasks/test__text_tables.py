import codecs
import gzip
import io
import zipfile

import pytest

from deepchem_meta.tasks._text_tables import check_delimiter, check_encoding, read_cells

TEXT = "smiles,µM\nCCO,1\nC=C,é\n"
BYTES = {
    "UTF-8": TEXT.encode("utf-8"),
    "UTF-8 with a mark": codecs.BOM_UTF8 + TEXT.encode("utf-8"),
    "UTF-16 LE": codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"),
    "UTF-16 BE": codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
}


def read(tmp_path, data, column="smiles", encoding=None, delimiter=None, name="table.csv"):
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8"))
    return read_cells(path, column, encoding, delimiter)


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("data", BYTES.values(), ids=BYTES)
def test_encodings_are_recognised(tmp_path, data, gzipped):
    data = gzip.compress(data) if gzipped else data
    cells = read(tmp_path, data, name="table.csv.gz" if gzipped else "table.csv")
    assert cells.columns == ["smiles", "µM"]
    assert cells.rows == [["CCO", "1"], ["C=C", "é"]]


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-16-le", "utf-8-sig", "UTF-8"])
def test_encodings_are_taken(tmp_path, encoding):
    cells = read(tmp_path, TEXT.encode(encoding), encoding=check_encoding(encoding))
    assert cells.columns == ["smiles", "µM"] and cells.rows[1] == ["C=C", "é"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_file_that_is_not_utf_8_is_an_error_with_the_line(tmp_path, end):
    data = TEXT.replace("µ", "u").replace("\n", end).encode("cp1252")
    message = r'\'utf-8\'.*encoding="cp1252".*Received: the byte 0xe9 on line 3$'
    with pytest.raises(ValueError, match=message):
        read(tmp_path, data)
    with pytest.raises(ValueError, match=r"'utf-8-sig'.* byte 0xe9 on line 3$"):
        read(tmp_path, codecs.BOM_UTF8 + data, encoding="utf-8-sig")


def test_a_file_that_is_no_text_is_an_error(tmp_path):
    workbook = io.BytesIO()
    with zipfile.ZipFile(workbook, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    for data in (TEXT.encode("utf-16-le"), "smiles,A\nC,1\n".encode("utf-16-be"), b"smiles\nC\0\n"):
        with pytest.raises(ValueError, match=r'text file.* NUL bytes.*encoding="utf-16-le"'):
            read(tmp_path, data)
    with pytest.raises(ValueError, match="NUL bytes.* save a workbook as CSV"):
        read(tmp_path, workbook.getvalue())
    with pytest.raises(ValueError, match="NUL bytes, read in the encoding 'cp1252'"):
        read(tmp_path, TEXT.encode("utf-16-le"), encoding="cp1252")


@pytest.mark.parametrize(
    ("text", "columns", "row"),
    [
        ("smiles;A\nC;1,5\n", ["smiles", "A"], ["C", "1,5"]),
        ("smiles\tA\nC\t1\n", ["smiles", "A"], ["C", "1"]),
        ("\tsmiles\tA\n0\tC\t1\n", ["", "smiles", "A"], ["0", "C", "1"]),
        ("smiles\nC\n", ["smiles"], ["C"]),
        # More commas than semicolons, but they do not make a column of the SMILES.
        ("smiles;A (1, 2, 3, 4)\nC;1\n", ["smiles", "A (1, 2, 3, 4)"], ["C", "1"]),
        ('"A;B;C;D",smiles\n1,C\n', ["A;B;C;D", "smiles"], ["1", "C"]),
        (' smiles , "A" \nC,1\n', ["smiles", '"A"'], ["C", "1"]),
        ("a;b;c\n1;2;3\n", ["a", "b", "c"], ["1", "2", "3"]),  # there is no column of SMILES
    ],
)
def test_delimiters_are_recognised(tmp_path, text, columns, row):
    cells = read(tmp_path, text)
    assert cells.columns == columns and cells.rows == [row]


def test_delimiters_are_pandas(tmp_path):
    pandas = pytest.importorskip("pandas")
    for sep in (",", ";", "\t", "|"):
        frame = pandas.DataFrame({"A,x": ["1", "2"], "smiles": ["C;C", "N\tN"], "t": ['"', "\n"]})
        frame.to_csv(tmp_path / "table.csv", sep=sep, index=False)
        given = sep if sep == "|" else None
        cells = read_cells(tmp_path / "table.csv", "smiles", None, given)
        assert cells.columns == list(frame.columns)
        assert cells.rows == frame.to_numpy().tolist()


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_those_of_the_file(tmp_path, end):
    text = end.join(["", "smiles,A", "C,1", "", '"N', '1",2', " ", ",", "O,3", ""])
    cells = read(tmp_path, text)
    assert cells.columns == ["smiles", "A"]
    assert cells.rows == [["C", "1"], [f"N{end}1", "2"], ["O", "3"]]
    assert cells.lines == [3, 5, 9]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("smiles,A,B,A\nC,1,2,3\n", "same name. Received: more than one column named 'A'$"),
        ("smiles,A,B,A ,B,\nC,1,2,3,4,5\n", "named 'A', 'B'$"),
        ("smiles,A\nC,1\n\nC,1,2\n", "line 4: a line must have 2 cells.* Received: 3$"),
        ('smiles,A\nC,"1\nN,2\nO,3\n', "line 2: quotes .* must be closed.* Received: .*unexpected"),
        ('smiles,A\nC,1\n"N"x,2\n', "line 3: quotes .* Received: .*expected after"),
        ("smiles,A\nC," + 200_000 * "x", "line 2: .* larger than field limit"),
        (200_000 * "x", "line 1: .* larger than field limit"),
    ],
)
def test_bad_tables(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, text)


def test_several_columns_may_have_no_name(tmp_path):
    assert read(tmp_path, "smiles,, \nC,1,2\n").columns == ["smiles", "", ""]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: check_encoding("latin-99"), ValueError),
        (lambda: check_encoding("hex"), ValueError),
        (lambda: check_encoding(8), TypeError),
        (lambda: check_delimiter(";;"), ValueError),
        (lambda: check_delimiter(""), ValueError),
        (lambda: check_delimiter('"'), ValueError),
        (lambda: check_delimiter("\n"), ValueError),
        (lambda: check_delimiter(9), TypeError),
    ],
)
def test_bad_arguments(call, error):
    with pytest.raises(error, match=r"`(encoding|delimiter)` must be .* Received: "):
        call()


def test_arguments_may_be_left_out():
    assert check_encoding(None) is check_delimiter(None) is None
    assert check_delimiter("|") == "|" and check_encoding("Latin1") == "iso8859-1"


def test_damaged_gzip_and_large_cells_are_named(tmp_path):
    whole = gzip.compress(TEXT.encode())
    for data in (whole[:-9], b"none"):
        with pytest.raises(ValueError, match="table.csv.gz must be a gzipped file that is whole"):
            read(tmp_path, data, name="table.csv.gz")
    assert read(tmp_path, whole, name="table.CSV.GZ").lines == [2, 3]
    with pytest.raises(ValueError, match="line 2: a cell must have at most 131,072 characters"):
        read(tmp_path, "smiles\n" + "C" * 200_000)
