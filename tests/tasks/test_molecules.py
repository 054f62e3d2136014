import re

import numpy as np
import pytest

from deepchem_meta.tasks import morgan_fingerprints, scaffolds
from deepchem_meta.tasks.molecules import canonical_smiles, identify, parse_smiles, read_standard

SMILES = ["CCO", "c1ccccc1C", "CC(=O)O", "C1CCCCC1N"]


# Some are stereocentres, or double bonds, only because of map numbers.
MAPPED = [
    *("[CH3:1]c1ccccc1", "[CH3:1][C@H](O)[CH3:2]", "[CH3:1]/C=C([CH3:2])/[CH3:3]"),
    *("[cH:1]1[nH:2]ccc1", "[CH2:1]1CCC[C@@H]1O", "[H:1]O[H:2]", "[13CH3:1]C", "[Na+:1].[Cl-:12]"),
    *("[CH3:1][C@@H:3]([OH:4])[CH2:2][CH3:5]", "[CH3:1]/C=C/[c:2]1[cH:3]cccc1", "[*:1]CC"),
]
CLEAN = [re.sub(r":\d+\]", "]", text) for text in MAPPED]


class TestRDKit:
    """What needs RDKit."""

    @pytest.fixture(autouse=True)
    def rdkit(self):
        pytest.importorskip("rdkit")

    def test_standard_forms_and_why_there_are_none(self):
        def raising(molecule):
            raise RuntimeError("of C++")

        large = "C" * 151
        molecules, reasons = read_standard(["CCO", "C(", large, "C" * 150], lambda one: one)
        assert [m and m.GetNumAtoms() for m in molecules] == [3, None, None, 150]
        assert reasons == {1: "cannot be read by RDKit", 2: "has 151 atoms, more than 150"}
        molecules, reasons = read_standard(["CCO", large], raising)
        assert molecules == [None, None]
        assert reasons[0] == "cannot be standardised by RDKit: of C++"

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
        message = r"7 of 9 .*: '' is missing, 'C1CC\(' cannot be read by RDKit, .* and 2 more$"
        for given in (smiles, iter(smiles)):
            with pytest.raises(ValueError, match=message):
                morgan_fingerprints(given)
        molecules, kept = parse_smiles(smiles, "drop")
        assert len(molecules) == 2 and kept.tolist() == [0, 5]
        assert "Parse Error" not in capfd.readouterr().err

    @pytest.mark.parametrize("given", ["SMILES", "molecules"])
    def test_atom_maps_do_not_count(self, given):
        """Everything is as RDKit has it for the SMILES without map numbers."""
        from rdkit import Chem
        from rdkit.Chem import rdFingerprintGenerator
        from rdkit.Chem.Scaffolds import MurckoScaffold

        clean = [Chem.MolFromSmiles(text) for text in CLEAN]
        mapped = MAPPED if given == "SMILES" else [Chem.MolFromSmiles(text) for text in MAPPED]
        assert scaffolds(mapped) == [MurckoScaffold.MurckoScaffoldSmiles(mol=m) for m in clean]
        generator = rdFingerprintGenerator.GetMorganGenerator(
            radius=2, fpSize=2048, includeChirality=True
        )
        for molecule, other in zip(parse_smiles(mapped)[0], clean, strict=True):
            assert Chem.MolToSmiles(molecule) == Chem.MolToSmiles(other)
            assert generator.GetFingerprint(molecule) == generator.GetFingerprint(other)
        np.testing.assert_array_equal(morgan_fingerprints(mapped), morgan_fingerprints(CLEAN))
        if given == "molecules":  # those given are as they were
            again = [Chem.MolToSmiles(Chem.MolFromSmiles(text)) for text in MAPPED]
            assert [Chem.MolToSmiles(molecule) for molecule in mapped] == again

    def test_blanks(self):
        """A blank inside would make C of C C O; those round a SMILES do not matter."""
        for text in ("C C O", "CCO ethanol", "CCO\tethanol", "CCO |$R$|", "C\nC"):
            with pytest.raises(
                ValueError, match=r"text.split\(\)\[0\].* has a blank inside, after"
            ):
                parse_smiles(["CCO", text])
            molecules, kept = parse_smiles(["CCO", text, "N"], "drop")
            assert kept.tolist() == [0, 2] and [m.GetNumAtoms() for m in molecules] == [3, 1]
        assert canonical_smiles(parse_smiles([" CCO", "OCC \n"])[0]) == ["CCO", "CCO"]

    def test_molecules_in_other_containers(self):
        pandas = pytest.importorskip("pandas")
        expected = scaffolds(SMILES)
        series = pandas.Series(SMILES, index=[7, 5, 5, 0])
        array = np.array(SMILES)
        for given in (tuple(SMILES), series, array, array.astype(object), iter(SMILES)):
            assert scaffolds(given) == expected
        gaps = pandas.Series(["CCO", None, pandas.NA, float("nan"), 5, b"C"], dtype=object)
        assert parse_smiles(gaps, "drop")[1].tolist() == [0]
        with pytest.raises(ValueError, match="5 of 6 that are not: None is no text, <NA> is no"):
            parse_smiles(gaps)
        assert parse_smiles([]) == ([], pytest.approx(np.zeros(0)))

    def test_canonical_smiles(self):
        same = [["CCO", "OCC", "C(O)C", "[CH3:1]CO"], ["C[C@H](N)O", "N[C@@H](C)O"], ["[13CH4]"]]
        flat = [text for group in same for text in group]
        names = canonical_smiles(parse_smiles(flat)[0])
        numbers = [i for i, group in enumerate(same) for _ in group]
        assert len(set(zip(names, numbers, strict=True))) == len(set(names)) == 3
        assert canonical_smiles(parse_smiles(["C[C@@H](N)O", "CC(N)O", "C"])[0]) != names[-3:]

    def test_identify(self):
        ids = ["OCC", "CCO", "m7", 7, None, "", "C C", b"CCO"]
        assert identify(ids) == ["CCO", "CCO", "m7", 7, None, "", "C C", b"CCO"]

    @pytest.mark.parametrize(
        ("call", "error", "name"),
        [
            (lambda: morgan_fingerprints("CCO"), TypeError, "smiles"),
            (lambda: scaffolds(parse_smiles(["C"])[0][0]), TypeError, "smiles"),
            (lambda: parse_smiles(np.array([["C", "N"]])), TypeError, "smiles"),
            (lambda: parse_smiles(5), TypeError, "smiles"),
            (lambda: parse_smiles(b"CCO"), TypeError, "smiles"),
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
    assert identify(["OCC", 7]) == ["OCC", 7]


def test_the_reader_of_tables_is_still_here():
    from deepchem_meta.tasks import molecules, tables

    assert molecules.read_assays_csv is tables.read_assays_csv
    assert molecules.AssayTable is tables.AssayTable
