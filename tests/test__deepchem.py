"""What DeepChem has and this package has not."""

import pytest

import deepchem_meta as dc


@pytest.mark.parametrize(
    ("owner", "name"),
    [(dc, "molnet"), (dc, "feat"), (dc, "data"), (dc.models, "GraphConvModel")],
)
def test_the_error_names_the_page_and_the_second_way(owner, name):
    assert not hasattr(owner, name)
    with pytest.raises(AttributeError, match=r"Keep `import deepchem as dc`.*docs/migrating\.md"):
        getattr(owner, name)


@pytest.mark.parametrize("owner", [dc, dc.models])
def test_other_names_are_missing_as_ever(owner):
    with pytest.raises(
        AttributeError, match=f"^module '{owner.__name__}' has no attribute 'nope'$"
    ):
        owner.nope  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'nope'"):
        from deepchem_meta import nope  # noqa: F401
