"""Files that are refused."""

import os

import pytest

from deepchem_meta.ranking._formats import check_file, check_format, kind_of


@pytest.mark.parametrize("name", ["a.csv", "a.CSV.GZ", "a.txt", "a", "/dev/stdin", "a.sdf.csv"])
def test_text_of_any_name_is_tried(name, tmp_path):
    check_format(tmp_path / name, names=False)
    check_format(tmp_path / name, names=True)


def test_others_are_refused_with_what_to_do(tmp_path):
    check_format(tmp_path / "a.smi.gz", names=True)
    for name, words in (
        ("a.sdf", "Received: .sdf; RDKit converts it to CSV"),
        ("a.sdf.gz", "Received: .sdf; RDKit converts it to CSV"),
        ("a.XLSX", "Received: .xlsx; save it as CSV"),
        ("a.zip", "Received: .zip; unpack it"),
    ):
        with pytest.raises(ValueError, match=words):
            check_format(tmp_path / name, names=True)
    with pytest.raises(ValueError, match="Received: .smi; it has no results"):
        check_format(tmp_path / "a.smi.gz", names=False)


def test_pipes_and_folders_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="read more than once. Received: a pipe or a device"):
        check_file(tmp_path / "pipe")
    with pytest.raises(ValueError, match="Received: a folder"):
        check_file(tmp_path)
    check_file(tmp_path / "none.csv")  # opening it raises FileNotFoundError


def test_the_last_suffix_but_gz_is_the_kind(tmp_path):
    for name, kind in (("a.smi", ".smi"), ("a.SMI.gz", ".smi"), ("a.smi.csv", ".csv"), ("a", "")):
        assert kind_of(tmp_path / name) == kind
