import pytest

pytest.importorskip("rdkit")
from rdkit import Chem

from deepchem_meta.tasks import Standardizer


def canonical(smiles, **options):
    return Chem.MolToSmiles(Standardizer(**options)(Chem.MolFromSmiles(smiles)))


@pytest.mark.parametrize(
    ("smiles", "wanted"),
    [
        ("CC(=O)[O-].[Na+]", "CC(=O)O"),
        ("CC[NH3+].[Cl-]", "CCN"),
        ("C[N+](C)(C)C.[Cl-]", "C[N+](C)(C)C"),  # has no hydrogen to give
        ("Oc1ccccn1", "Oc1ccccn1"),  # tautomers are left alone
        ("O=c1cccc[nH]1", "O=c1cccc[nH]1"),
        ("[2H]C", "[2H]C"),
        ("C[C@H](N)O", "C[C@H](N)O"),
    ],
)
def test_default(smiles, wanted):
    assert canonical(smiles) == Chem.CanonSmiles(wanted)


def test_each_on_request():
    assert canonical("CC(=O)[O-].[Na+]", strip_salts=False, neutralize=False).count(".") == 1
    assert canonical("CC(=O)[O-]", neutralize=False) == "CC(=O)[O-]"
    assert canonical("[13CH4]", keep_isotopes=False) == "C"
    assert canonical("C[C@H](N)O", keep_stereo=False) == "CC(N)O"
    with pytest.raises(TypeError, match="`neutralize` must be True or False"):
        Standardizer(neutralize=1)


def test_the_molecule_stays_as_it_is():
    molecule = Chem.MolFromSmiles("[13CH4]")
    Standardizer(keep_isotopes=False)(molecule)
    assert Chem.MolToSmiles(molecule) == "[13CH4]"
