import os
import subprocess
import sys

import pytest
from molecules_small import ALCOHOLS, AMINES, write

from deepchem_meta._command import main

SUPPORT = [(s, 1) for s in ALCOHOLS[:6]] + [(s, 0) for s in AMINES[:6]]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "ten.csv", "smiles,active", SUPPORT)
    write(tmp_path / "library.csv", "smiles", [(s,) for s in ALCOHOLS + AMINES + ["C1CC"]])
    return tmp_path


def test_it_ranks_from_anywhere(folder):
    pytest.importorskip("rdkit")
    command = [sys.executable, "-m", "deepchem_meta", "rank", "--support", "ten.csv"]
    command += ["--candidates", "library.csv"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0 and done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0].startswith("On assays that the encoder had not seen, with 16 measured")
    assert lines[-2].startswith("33 candidates in ") and lines[-1] == "Report: ranked.html"
    assert "1 candidate could not be read: line 34: 'C1CC' cannot be read by RDKit." in lines
    assert sorted(os.listdir(folder)) == ["library.csv", "ranked.csv", "ranked.html", "ten.csv"]


def test_errors_are_one_line_and_status_2(folder, capsys):
    pytest.importorskip("rdkit")
    write(folder / "bad.csv", "smiles,active", SUPPORT[:6])
    for arguments, words in (
        (["--support", "bad.csv", "--candidates", "library.csv"], "2 active and 2 inactive"),
        (["--support", "none.csv", "--candidates", "library.csv"], "No such file"),
        (["--support", "ten.csv", "--candidates", "none.csv"], "No such file"),
        (["--support", "ten.csv", "--candidates", "library.csv", "-o", "no/a.csv"], "`output`"),
    ):
        assert main(["rank", *arguments]) == 2
        captured = capsys.readouterr()
        assert captured.out == "" and captured.err.count("\n") == 1
        assert captured.err.startswith("deepchem-meta: error: ") and words in captured.err
    assert sorted(os.listdir(folder)) == ["bad.csv", "library.csv", "ten.csv"]


def test_help_needs_no_tensorflow(folder):
    code = (
        "import sys; sys.argv[1:] = ['rank', '--help']; from deepchem_meta._command import main\n"
    )
    code += "try:\n    main()\nexcept SystemExit:\n    assert 'tensorflow' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Rank a library of candidates" in done.stdout and "--base-rate SHARE" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_wrong_options_exit_with_status_2(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["rank", "--support", "ten.csv"])
    assert caught.value.code == 2
    assert "--candidates" in capsys.readouterr().err


@pytest.mark.parametrize("where", ["full", "closed pipe", "ASCII"])
def test_a_summary_that_cannot_be_printed(where, folder):
    pytest.importorskip("rdkit")
    rows = [(s, 5 + n / 10) for n, (s, _) in enumerate(SUPPORT)]
    write(folder / "ten.csv", "smiles,pIC50", rows)
    command = [sys.executable, "-m", "deepchem_meta", "rank", "--support", "ten.csv"]
    command += ["--candidates", "library.csv", "--report", "none"]
    read, written = os.pipe()
    os.close(read)
    ascii_out = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    with open("/dev/full", "wb") as full, os.fdopen(written, "wb") as pipe:
        out = {"full": full, "closed pipe": pipe, "ASCII": subprocess.PIPE}[where]
        done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, env=ascii_out)
    assert len((folder / "ranked.csv").read_text().splitlines()) == 34
    if where == "ASCII":
        assert done.returncode == 0 and b"R? " in done.stdout and done.stderr == b""
    else:
        assert done.returncode == 2 and done.stderr.count(b"\n") == 1
        assert b"the files were written, but the summary could not be printed" in done.stderr
