"""First lines that are rows."""

import pytest

from deepchem_meta.ranking._header import check_result_name, check_smiles_name


def test_molecules():
    pytest.importorskip("rdkit")
    for name in ("SMILES", "CN", "structure", ""):
        check_smiles_name("f.csv", name)
    with pytest.raises(ValueError, match="must name the columns.*Received: 'CCO', which is a mol"):
        check_smiles_name("f.csv", "CCO")


def test_results():
    for name in ("active", "hit", "pIC50", "", "2nd result"):
        check_result_name("f.csv", name)
    for name in ("1", "6.5", ">10", "45%", "1e-8", "inactive", "TRUE"):
        with pytest.raises(ValueError, match="must name the columns.*which is a result"):
            check_result_name("f.csv", name)
