"""What DeepChem has and this package has not, and how to use both."""

from __future__ import annotations

__all__ = ["missing_attribute"]

# Of DeepChem 2.8: its packages, and the models that its tutorials use.
_ELSEWHERE = {
    "deepchem_meta": (
        "data", "deepchemdataset", "dock", "feat", "hyper", "metrics", "molnet", "rl", "splits",
        "trans", "utils",
    ),
    "deepchem_meta.models": (
        "AttentiveFPModel", "CNN", "ChemCeption", "DAGModel", "DTNNModel", "GAN", "GATModel",
        "GBDTModel", "GCNModel", "GraphConvModel", "KerasModel", "MPNNModel", "Model",
        "MultitaskClassifier", "MultitaskFitTransformRegressor", "MultitaskRegressor", "PagtnModel",
        "ProgressiveMultitaskClassifier", "ProgressiveMultitaskRegressor",
        "RobustMultitaskClassifier", "RobustMultitaskRegressor", "ScScoreModel", "SeqToSeq",
        "SklearnModel", "SmilesToImage", "TextCNNModel", "TorchModel", "WGAN", "WeaveModel",
        "callbacks", "layers", "losses", "torch_models",
    ),
}  # fmt: skip


def missing_attribute(module: str, name: str) -> AttributeError:
    """Return the error for an attribute that a module has not.

    Parameters
    ----------
    module : str
        Its full name.
    name : str
        The attribute. Of one that DeepChem has, the error says how to use both packages.
    """
    if name not in _ELSEWHERE.get(module, ()):
        return AttributeError(f"module {module!r} has no attribute {name!r}")
    return AttributeError(
        f"`{name}` is DeepChem's, and not here: this package has `metalearning` and "
        "`models.optimizers`. Keep `import deepchem as dc` for the rest, and change two lines: "
        "`from deepchem_meta.metalearning import MAML, MetaLearner` and "
        '`from deepchem_meta.models.optimizers import Adam`. The page "Coming from DeepChem" '
        "(docs/migrating.md) has more."
    )
