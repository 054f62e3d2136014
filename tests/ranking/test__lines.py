"""Lines and rows of files that are read bit by bit."""

import gzip

import pytest

from deepchem_meta.ranking._lines import read_lines, read_rows


def rows(path, column="smiles"):
    blank = []
    return list(read_rows(path, column, blank.append)), sum(blank)


def test_lines_of_rows_over_quoted_cells(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('smiles;"a, b, c"\n"CC\nO";1\n;\nCCN;2\n\n', encoding="utf-8")
    assert rows(path) == (
        [(1, ["smiles", "a, b, c"]), (2, ["CC\nO", "1"]), (5, ["CCN", "2"])],
        1,
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(encoding, tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("smiles,é\nCCO,1\n".encode(encoding))
    assert rows(path)[0] == [(1, ["smiles", "é"]), (2, ["CCO", "1"])]
    assert [line for line, _ in read_lines(path)] == [1, 2]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"smiles,n\nCCO,1\nCCN,\xe9\n", "Received: the byte 0xe9 on line 3"),
        ("smiles\nCCO\n".encode("utf-16-le"), "in UTF-16 with a byte order mark.*NUL bytes"),
        (b'smiles,n\nCCO,1\nCCN,"abc\n', "line 3: quotes round a cell must be closed"),
        (b"smiles\n" + b"C" * 200_000, "line 2: a cell must have at most 131,072 characters"),
    ],
)
def test_what_is_wrong_and_where(data, message, tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=message):
        rows(path)


def test_damaged_gzip(tmp_path):
    path = tmp_path / "a.csv.gz"
    text = "smiles\n" + "".join(f"{'C' * n}O\n" for n in range(1, 200))
    whole = gzip.compress(text.encode())
    corrupt = bytearray(whole)
    corrupt[60] ^= 0xFF
    for data in (whole[:-20], bytes(corrupt), b"none"):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"a.csv.gz must be a gzipped file that is whole"):
            rows(path)
